// Receives a session's events, for the requests next to this file. They hand in `WebSocket`, which
// only their own scripts can require.

const { setTimeout: pause } = require("node:timers/promises");

/** Longest time to wait for an event, in milliseconds. */
const PATIENCE_MS = 5000;

/** Connects to a `wsUrl`. Events are kept until they are asked for. */
exports.listen = async function listen(WebSocket, wsUrl) {
  const events = [];
  const socket = new WebSocket(wsUrl);
  socket.on("message", (message) => events.push(...[JSON.parse(message)].flat()));
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));

  /** The first event of a type. */
  async function event(type) {
    for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await pause(10)) {
      const found = events.find((received) => received.type === type);
      if (found) return found;
    }
    throw new Error(`no ${type} among ${JSON.stringify(events)}`);
  }
  return { event, close: () => socket.close() };
};
