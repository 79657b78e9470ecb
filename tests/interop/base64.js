"use strict";
// node base64.js URL TRANSPORTS PACKAGE
// Sends and receives a binary argument with `forceBase64`; prints {"echo", "disconnects"}.
const { report } = require("./harness");

const [url, transports, name] = process.argv.slice(2);
const { io } = require(name);
const socket = io(url, { transports: transports.split(","), forceBase64: true });
const disconnects = [];

const finish = (echo) => {
  report({ echo, disconnects });
  process.exit(0);
};

socket.on("disconnect", (reason) => disconnects.push(reason));
socket.emit("echo", Buffer.from([0, 1, 254, 255]), (answer) => finish([...Buffer.from(answer)]));
setTimeout(() => finish("no answer came in time"), 270_000);
