// A client that measures: one acked event after another, with the official client over WebSocket.
//   node benchmarks/hostile/victim.js URL EVENT PAUSE_MS TOKEN PARSER
// Prints "ready" after the connection. The input line "begin" drops the measured waits; at the end of the input, the
// program prints JSON: the waits in milliseconds, the events without an acknowledgement, and the disconnects.
"use strict";

const readline = require("node:readline");
const { performance } = require("node:perf_hooks");
const { io } = require("socket.io-client");

const PATIENCE = 30000; // milliseconds until an acknowledgement counts as lost

// TOKEN and PARSER may be empty; PARSER is the name of a package.
const [url, event, pause, token, parser] = process.argv.slice(2);
const socket = io(url, {
  transports: ["websocket"],
  auth: token ? { token } : {},
  rejectUnauthorized: false, // the certificate of the tests, on the loopback interface
  ...(parser ? { parser: require(parser) } : {}),
});

let waits = [];
let lost = 0;
let disconnects = 0;
let ready = false;
let ended = false;

function finish() {
  console.log(JSON.stringify({ waits, lost, disconnects }));
  socket.close();
  process.exit(0);
}

function send() {
  if (ended) return finish();
  const sentAt = performance.now();
  socket.timeout(PATIENCE).emit(event, 1, (error) => {
    if (error) lost++;
    else waits.push(performance.now() - sentAt);
    setTimeout(send, Number(pause));
  });
}

socket.once("connect", () => {
  ready = true;
  console.log("ready");
  send();
});
socket.on("connect_error", (error) => {
  if (socket.active && ready) return; // a reconnection
  console.error(`the victim is refused: ${error.message}`);
  process.exit(1);
});
socket.on("disconnect", () => disconnects++);

const input = readline.createInterface({ input: process.stdin });
input.on("line", () => {
  waits = [];
});
input.on("close", () => {
  ended = true;
});
