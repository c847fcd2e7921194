// Uploads files up to their finalize, which the requests next to this file do themselves.

/** A session with these files, each `{ name, content, checksums? }` and of one part; gives its id. */
exports.upload = async function upload(baseUrl, files) {
  const sessions = `${baseUrl}/api/mocs/uploads/sessions`;
  const declared = { category: "instruction", name: "castle.pdf", size: 1, type: "application/pdf" };
  const { sessionId } = await send("POST", sessions, JSON.stringify({ files: [declared] }));
  for (const { name, content, checksums } of files) {
    const bytes = Buffer.from(content);
    const body = JSON.stringify({ fileKey: name, fileSizeBytes: bytes.length, checksums });
    const { fileId } = await send("POST", `${sessions}/${sessionId}/files`, body);
    await send("PUT", `${sessions}/${sessionId}/files/${fileId}/parts/1`, bytes);
    await send("POST", `${sessions}/${sessionId}/files/${fileId}/complete`);
  }
  return sessionId;
};

/** Registers a PDF of this size in a new session; gives the ids of both. */
exports.register = async function register(baseUrl, size) {
  const sessionId = await exports.upload(baseUrl, []);
  const body = JSON.stringify({ fileKey: "castle.pdf", fileSizeBytes: size });
  const { fileId } = await send("POST", `${baseUrl}/api/mocs/uploads/sessions/${sessionId}/files`, body);
  return { sessionId, fileId };
};

async function send(method, url, body) {
  const response = await fetch(url, { method, body });
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
  return response.json();
}
