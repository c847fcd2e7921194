// Compresses files by gzip and Brotli, and writes the table of them that a component includes.
//
// Usage: node pack.mjs OUT PATH=URL…, where a path is a file, or a folder with a page, some of whose files have hashed names.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const MEDIA_TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".md": "text/markdown; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

/** A name with a hash, as Vite makes it. */
const HASHED = /-[\w-]{8}\.\w+$/;

const [out, ...entries] = process.argv.slice(2);
const packed = join(out, "packed");
rmSync(packed, { recursive: true, force: true });
mkdirSync(packed);

const rows = entries.flatMap((entry) => {
  const at = entry.lastIndexOf("=");
  const [path, url] = [entry.slice(0, at), entry.slice(at + 1)];
  if (statSync(path).isFile()) return [row(path, url, false)];
  const names = readdirSync(path, { recursive: true }).filter((name) => statSync(join(path, name)).isFile());
  return names.map((name) => {
    const place = name === "index.html" ? url : `${url.replace(/\/$/, "")}/${name}`;
    return row(join(path, name), place, HASHED.test(name));
  });
});
writeFileSync(join(out, "assets.rs"), `&[\n${rows.join("")}]\n`);

/** One row of the table, whose compressed files are written on the way. */
function row(path, url, immutable) {
  const bytes = readFileSync(path);
  const mediaType = MEDIA_TYPES[extname(path)];
  if (mediaType === undefined) throw new Error(`no media type is known for ${path}`);
  const hash = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(join(packed, `${hash}.gz`), gzipSync(bytes, { level: 9 }));
  writeFileSync(join(packed, `${hash}.br`), brotliCompressSync(bytes, { params }));
  const include = (extension) => `include_bytes!(concat!(env!("OUT_DIR"), "/packed/${hash}.${extension}"))`;
  const members = [
    `path: ${JSON.stringify(url)}`,
    `media_type: ${JSON.stringify(mediaType)}`,
    `tag: "${hash}"`,
    `immutable: ${immutable}`,
    `gzip: ${include("gz")}`,
    `brotli: ${include("br")}`,
  ];
  return `    Asset { ${members.join(", ")} },\n`;
}
