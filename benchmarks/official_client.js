// Load generator based on the official client, socket.io-client.
//   node benchmarks/official_client.js PORT echo|msg|bcast CONNECTIONS
// Prints "ready" when all sockets are connected. Each input line "run SECONDS" starts a measurement: the program prints
// "began" after the warm-up, "ended" with JSON (messages, p50 and p99 in milliseconds), and "idle" when no message is in
// flight. The program ends when its input ends.
"use strict";

const readline = require("node:readline");
const { performance } = require("node:perf_hooks");
let io;
try {
  ({ io } = require("socket.io-client"));
} catch {
  console.error("socket.io-client is not installed: run benchmarks/setup");
  process.exit(1);
}

const [port, workload, connections] = process.argv.slice(2);
const IN_FLIGHT = 8;
const BURST = 64;
const WARM_UP = 200; // milliseconds
const data = { id: 417, kind: "update", done: false, text: "the quick bro" };

let running = false;
let messages = 0;
let inFlight = 0;
let latencies = [];

// Each function starts the loop of one socket. The loop continues while `running` is true.
const loops = {
  echo(socket) {
    const send = () => {
      inFlight++;
      const sentAt = performance.now();
      socket.emit("echo", data, () => {
        inFlight--;
        messages++;
        latencies.push(performance.now() - sentAt);
        if (running) send();
      });
    };
    for (let i = 0; i < IN_FLIGHT; i++) send();
  },

  msg(socket) {
    const send = () => {
      inFlight++;
      const sentAt = performance.now();
      for (let i = 1; i < BURST; i++) socket.emit("msg", data);
      socket.emit("echo", data, () => {
        inFlight--;
        messages += BURST;
        latencies.push(performance.now() - sentAt);
        if (running) send();
      });
    };
    send();
  },

  bcast(socket, index) {
    // The first socket sends the next broadcast when all sockets have the current one and its ack has arrived.
    if (index > 0) return;
    let missing = 0;
    let sentAt = 0;
    const countReceipt = () => {
      if (--missing > 0) return;
      inFlight--;
      if (running) send();
    };
    const send = () => {
      inFlight++;
      missing = sockets.length + 1;
      sentAt = performance.now();
      socket.emit("bcast", data, countReceipt);
    };
    for (const each of sockets) {
      each.off("update").on("update", () => {
        messages++;
        latencies.push(performance.now() - sentAt);
        countReceipt();
      });
    }
    send();
  },
};

const sockets = Array.from({ length: Number(connections) }, () =>
  io(`http://127.0.0.1:${port}`, { transports: ["websocket"], forceNew: true, reconnection: false }),
);

function percentile(ordered, share) {
  return ordered.length ? ordered[Math.min(ordered.length - 1, Math.floor(ordered.length * share))] : 0;
}

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function run(seconds) {
  running = true;
  sockets.forEach(loops[workload]);
  await sleep(WARM_UP);
  latencies = [];
  const counted = messages;
  const began = performance.now();
  console.log("began");
  await sleep(seconds * 1000);
  const result = { messages: messages - counted, seconds: (performance.now() - began) / 1000 };
  const ordered = latencies.sort((a, b) => a - b);
  console.log("ended " + JSON.stringify({ ...result, p50: percentile(ordered, 0.5), p99: percentile(ordered, 0.99) }));
  running = false;
  while (inFlight > 0) await sleep(5);
  console.log("idle");
}

Promise.all(sockets.map((socket) => new Promise((done, fail) => socket.on("connect", done).on("connect_error", fail))))
  .then(async () => {
    console.log("ready");
    for await (const line of readline.createInterface({ input: process.stdin })) await run(Number(line.split(" ")[1]));
    process.exit(0);
  })
  .catch((error) => {
    console.error(String(error));
    process.exit(1);
  });
