// Server of the delivery benchmark with socket.io on Node:  node benchmarks/load/ticker.js PORT [--no-recovery]
// It behaves like ticker.py.
"use strict";

const { Server } = require("socket.io");

const [port, flag] = process.argv.slice(2);
const INTERVAL = 10; // milliseconds
const HEARTBEAT = 2000; // milliseconds: see ticker.py
const io = new Server(Number(port), {
  pingInterval: HEARTBEAT,
  pingTimeout: HEARTBEAT,
  serveClient: false,
  ...(flag === "--no-recovery" ? {} : { connectionStateRecovery: {} }),
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

process.on("SIGTERM", () => process.exit(0));
