"use strict";
// node backpressure.js URL TRANSPORT EVENT
// Request rows with EVENT, count them, and print {"rows", "in_order", "disconnects"}.
const { io } = require("socket.io-client");
const { report } = require("./harness");

const [url, transport, event] = process.argv.slice(2);
const socket = io(url, { transports: [transport] });
const disconnects = [];
let rows = 0;
let inOrder = true;

const finish = (error) => {
  report({ rows, in_order: inOrder, disconnects, error });
  process.exit(0);
};

socket.on("connect", () => socket.emit(event));
socket.on("disconnect", (reason) => disconnects.push(reason));
socket.on("row", (number) => {
  inOrder = inOrder && number === rows;
  rows++;
});
socket.on("end", () => finish());
setTimeout(() => finish("no `end` event within 270 s"), 270_000);
