"use strict";
// node mixed_room.js URL
// Clients of four versions in one room, over every transport; each case prints one line.
const { CaseContext, assert, check, connected, emitWithAck, runCases, waitUntil } = require("./harness");

const [url] = process.argv.slice(2);
const CLIENTS = ["socket.io-client", "socket.io-client-3", "socket.io-client-2", "socket.io-client-20", "socket.io-client-1"];
const TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]];

/** Connect every client over every transport, and let all join a room. */
const connectAll = async (t) => {
  const sockets = [];
  for (const name of CLIENTS) {
    const library = require(name);
    for (const transports of TRANSPORTS) {
      const context = new CaseContext(library.io ?? library, url, { transports });
      const socket = context.open();
      t.sockets.push(socket);
      sockets.push(socket);
    }
  }
  await Promise.all(sockets.map(connected));
  await Promise.all(sockets.map((socket) => emitWithAck(socket, "join", "mixed")));
  return sockets;
};

check("an event reaches clients of all versions in one room", async (t) => {
  const sockets = await connectAll(t);
  const received = sockets.map(() => []);
  sockets.forEach((socket, n) => socket.on("notice", (value) => received[n].push(value)));
  const value = { text: "plain", part: Buffer.from([0, 1, 254, 255]), rest: [Buffer.from("two")] };
  for (const socket of sockets) await emitWithAck(socket, "broadcast", ["mixed"], value);
  await waitUntil(() => received.every((each) => each.length === sockets.length));
  for (const each of received) for (const found of each) assert.deepEqual(found, value);
});

check("acks of all versions are collected", async (t) => {
  const sockets = await connectAll(t);
  sockets.forEach((socket, n) => socket.on("request", (value, answer) => answer([value, n])));
  const [answers] = await emitWithAck(sockets[4], "broadcast-with-ack", 7, 0);
  const responses = answers.responses.sort((a, b) => a[1] - b[1]);
  assert.deepEqual(responses, sockets.map((_, n) => [7, n]));
  assert.deepEqual(answers.missing, []);
});

check("a client of one version is disconnected without the others", async (t) => {
  const sockets = await connectAll(t);
  const leaving = sockets[8];
  const left = new Promise((resolve) => leaving.once("disconnect", resolve));
  leaving.emit("disconnect-me", "bye");
  assert.equal(await left, "io server disconnect");
  const others = sockets.filter((socket) => socket !== leaving);
  const answers = await Promise.all(others.map((socket) => emitWithAck(socket, "ack", "here")));
  assert.deepEqual(answers, others.map(() => ["here"]));
});

runCases(() => new CaseContext(undefined, url, {}));
