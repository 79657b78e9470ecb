"use strict";
// node recovery.js URL TRANSPORTS
// Record the event `number` until the event `end`, reconnect after each cut, and print one report:
// {"numbers": [[n, offset], …], "connects": [{"id", "recovered"}, …]}.
const { io } = require("socket.io-client");
const { report } = require("./harness");

const [url, transports] = process.argv.slice(2);
const numbers = [];
const connects = [];
const socket = io(url, {
  transports: transports.split(","),
  reconnectionDelay: 1,
  reconnectionDelayMax: 8,
});

const finish = (error) => {
  report({ numbers, connects, error });
  process.exit(0);
};

socket.on("connect", () => connects.push({ id: socket.id, recovered: Boolean(socket.recovered) }));
socket.on("connect_error", (error) => {
  if (!socket.active) finish(`refused: ${error.message}`);
});
socket.on("number", (n, offset) => numbers.push([n, offset]));
socket.on("request", (text, ack) => ack(text));
socket.on("end", () => finish());
setTimeout(() => finish("no `end` event within 270 s"), 270_000);
