// Official clients that arrive and leave.
//   node benchmarks/soak/official.js PORT EVENT [TOKEN]
// EVENT is acknowledged by the server. The lines "go" and "pause" of the input start and stop the clients; after "pause"
// the program prints one JSON object with the number of clients by the way they left. It ends when its input ends.
"use strict";

const readline = require("node:readline");
const { io } = require("socket.io-client");

const [port, event, token] = process.argv.slice(2);
const CLIENTS = 6;
const PAUSE = 40; // milliseconds between two clients of one place
const PATIENCE = 15000; // milliseconds for each step
const WAYS = ["disconnect", "cut", "cut and return", "close the manager"];
const TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]];

let running = false;
let places = [];
let counts = {};

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const pick = (list) => list[Math.floor(Math.random() * list.length)];

function once(emitter, name) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no "${name}" in time`)), PATIENCE);
    emitter.once(name, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

async function visit() {
  const way = pick(WAYS);
  const socket = io(`http://127.0.0.1:${port}`, {
    transports: pick(TRANSPORTS), auth: token ? { token } : {}, forceNew: true, reconnectionDelay: 50,
  });
  try {
    await once(socket, "connect");
    socket.emit("join", "red");
    for (let number = 0; number < 5; number++) await socket.timeout(PATIENCE).emitWithAck(event, number);
    if (way.startsWith("cut")) {
      socket.io.engine.close();
      if (way === "cut and return") {
        await once(socket, "connect");
        await socket.timeout(PATIENCE).emitWithAck(event, 5);
      }
    }
    counts[way] = (counts[way] || 0) + 1;
  } catch (error) {
    counts[error.message] = (counts[error.message] || 0) + 1;
  } finally {
    if (way === "cut") socket.io.reconnection(false);
    socket.disconnect();
    socket.io._close();
  }
}

async function place() {
  while (running) {
    await visit();
    await pause(PAUSE);
  }
}

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  if (line === "go") {
    running = true;
    counts = {};
    places = Array.from({ length: CLIENTS }, place);
  } else {
    running = false;
    await Promise.all(places);
    console.log(JSON.stringify(counts));
  }
}).on("close", () => process.exit(0));
console.log("ready");
