// Server of the delivery benchmark with socket.io on Node:  node benchmarks/load/ticker.js PORT [--no-recovery | --redis URL]
// It behaves like ticker.py. With a URL, the servers share a Redis stream (@socket.io/redis-streams-adapter).
"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");
const { Server } = require("socket.io");

const [port, flag, url] = process.argv.slice(2);
const INTERVAL = 10; // milliseconds
const HEARTBEAT = 2000; // milliseconds: see ticker.py

async function makeAdapter() {
  if (flag !== "--redis") return {};
  const load = createRequire(path.join(__dirname, "..", "..", "tests", "cluster", "package.json"));
  const client = load("redis").createClient({ url });
  await client.connect();
  return { adapter: load("@socket.io/redis-streams-adapter").createAdapter(client) };
}

async function main() {
  const io = new Server({
    pingInterval: HEARTBEAT,
    pingTimeout: HEARTBEAT,
    serveClient: false,
    ...(flag === "--no-recovery" ? {} : { connectionStateRecovery: {} }),
    ...(await makeAdapter()),
  });
  io.on("connection", (socket) => {
    socket.on("begin", (seconds, ack) => {
      const ticks = (seconds * 1000) / INTERVAL;
      let number = 0;
      const timer = setInterval(() => {
        io.emit("tick", number++);
        if (number === ticks) {
          clearInterval(timer);
          ack(ticks);
        }
      }, INTERVAL);
    });
  });
  io.listen(Number(port));
}

process.on("SIGTERM", () => process.exit(0));
main();
