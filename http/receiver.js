// Receives webhooks and traces and keeps them, for the requests next to this file:
//
//   node http/receiver.js [PORT]
//
// prints where it listens. Start the application with SPIN_VARIABLE_MOC_FINALIZE_WEBHOOK_URL and
// _ORIGIN and with SPIN_VARIABLE_OTEL_EXPORTER_OTLP_ENDPOINT set to that address.
// GET /received lists what has come.

const http = require("node:http");

/** Largest body that is kept, and how many requests are. */
const BODY_MAX_BYTES = 1024 * 1024;
const REQUESTS_MAX = 1000;

const received = [];

const server = http.createServer((request, response) => {
  const chunks = [];
  let size = 0;
  request.on("data", (chunk) => {
    size += chunk.length;
    if (size <= BODY_MAX_BYTES) chunks.push(chunk);
  });
  request.on("end", () => {
    if (request.method === "GET") {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(received));
      return;
    }
    // A byte a character: what is not text stays what it is, and text in it can be searched for.
    const body = Buffer.concat(chunks).toString("latin1");
    received.push({ path: request.url, headers: request.headers, body });
    if (received.length > REQUESTS_MAX) received.shift();
    response.writeHead(200).end();
  });
});

server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  console.log(`receiver http://127.0.0.1:${server.address().port}`);
});
// Whoever has started it ends it by closing its input.
process.stdin.on("end", () => process.exit()).resume();
