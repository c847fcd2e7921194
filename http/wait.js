// Asks until there is a response, for what follows a request.

const { setTimeout: pause } = require("node:timers/promises");

/** Longest time to wait, in milliseconds. */
const PATIENCE_MS = 10_000;

/** The JSON at `url` as soon as `pick` takes something of it. */
exports.waitFor = async function waitFor(url, pick) {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await pause(50)) {
    const found = pick(await (await fetch(url)).json());
    if (found) return found;
  }
  throw new Error(`waited in vain at ${url}`);
};

/** What the receiver has got at `path` that has `text` in it. */
exports.received = (receiverUrl, path, text) =>
  exports.waitFor(`${receiverUrl}/received`, (list) =>
    list.find((request) => request.path === path && request.body.includes(text)),
  );
