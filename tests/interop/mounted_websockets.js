"use strict";
// node mounted_websockets.js URL
// Use the WebSocket route of a mounted application with the package ws, next to a client of
// Socket.IO on the same port, and print one report.
const url = process.argv[2];
const { report } = require("./harness");
const WebSocket = require("ws");
const { io } = require("socket.io-client");

const address = url.replace("http", "ws");
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

/** Open a WebSocket, exchange messages, and return everything that the client observed. */
async function echo(query, options, data) {
  const socket = new WebSocket(`${address}/echo?${query}`, ["v1", "v2"], options);
  await once(socket, "open");
  const received = [];
  socket.on("message", (message, isBinary) => received.push(isBinary ? message.length : `${message}`));
  for (const each of data) socket.send(each);
  socket.send("fragment ", { fin: false });
  socket.send("end");
  socket.ping("here");
  const [pong] = await once(socket, "pong");
  socket.send("close");
  const [code, reason] = await once(socket, "close");
  const { protocol, extensions } = socket;
  return { protocol, extensions, received, pong: `${pong}`, code, reason: `${reason}` };
}

/** Return status, header and body of a refused handshake. */
async function refused(path) {
  const socket = new WebSocket(`${address}${path}`);
  const [, response] = await once(socket, "unexpected-response");
  let body = "";
  for await (const piece of response) body += piece;
  return { status: response.statusCode, retry: response.headers["retry-after"] ?? null, body };
}

/** Close with a code and a reason, and return what the application has received. */
async function close(client) {
  const socket = new WebSocket(`${address}/echo`);
  await once(socket, "open");
  const left = once(client, "left");
  socket.close(4001, "bye");
  return (await left)[0];
}

(async () => {
  const client = io(url, { transports: ["websocket"] });
  await once(client, "connect");
  const plain = await echo("", {}, ["h\u00e9llo", Buffer.alloc(100_000)]);
  const results = {
    plain,
    denied: await refused("/denied"),
    missing: await refused("/missing"),
    left: await close(client),
    ack: await client.emitWithAck("double", 21),
  };
  report(results);
  client.disconnect();
})();
setTimeout(() => process.exit(1), 270_000).unref();
