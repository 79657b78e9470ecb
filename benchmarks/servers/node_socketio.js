// socket.io 4.8 on Node, as the benchmark meets it:  node benchmarks/servers/node_socketio.js P [--deflate]
// Behaviour: see servers/ours.py, whose twin this is.
"use strict";

let Server;
try {
  ({ Server } = require("socket.io"));
} catch {
  console.error("socket.io is not installed: run benchmarks/setup");
  process.exit(1);
}

const [port, ...flags] = process.argv.slice(2);

const io = new Server(Number(port), {
  pingInterval: 25000,
  pingTimeout: 20000,
  serveClient: false,
  // What its documentation advises for the least cost: no compression, no kept request.
  perMessageDeflate: flags.includes("--deflate") ? { threshold: 1024 } : false,
});
io.engine.on("connection", (rawSocket) => {
  rawSocket.request = null;
});

io.on("connection", (socket) => {
  socket.join("r");
  socket.on("echo", (data, ack) => ack(data));
  socket.on("msg", (data) => {});
  socket.on("bcast", (data, ack) => {
    io.to("r").emit("update", data);
    ack(1);
  });
});

// The benchmark asks all servers to collect garbage before it reads their memory.
process.on("SIGUSR2", () => globalThis.gc && globalThis.gc());
process.on("SIGTERM", () => process.exit(0));
