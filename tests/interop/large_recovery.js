"use strict";
// node large_recovery.js URL TRANSPORTS
// Leave after the event `start`, return, and print one report of the events `number` until `end`:
// {"numbers": [n, …], "recovered": true}.
const { io } = require("socket.io-client");
const { report } = require("./harness");

const [url, transports] = process.argv.slice(2);
const numbers = [];
const socket = io(url, { transports: transports.split(","), reconnectionDelay: 500 });

const finish = (error) => {
  report({ numbers, recovered: Boolean(socket.recovered), error });
  process.exit(0);
};

socket.on("start", () => socket.io.engine.close());
socket.on("number", (n) => numbers.push(n));
socket.on("end", () => finish());
setTimeout(() => finish("no `end` event within 270 s"), 270_000);
