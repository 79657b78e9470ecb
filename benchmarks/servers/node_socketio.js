// Benchmark server with socket.io 4.8 on Node:  node benchmarks/servers/node_socketio.js P [--deflate] [--msgpack]
// [--ping-interval=SECONDS]
// The server behaves like servers/ours.py.
"use strict";

let Server;
try {
  ({ Server } = require("socket.io"));
} catch {
  console.error("socket.io is not installed: run benchmarks/setup");
  process.exit(1);
}

const [port, ...flags] = process.argv.slice(2);

const pingInterval = flags.find((flag) => flag.startsWith("--ping-interval="));

// The benchmark sends SIGUSR2 before it reads the memory of a server. The handlers precede the listening socket: until
// they exist, a signal ends the process.
process.on("SIGUSR2", () => globalThis.gc && globalThis.gc());
process.on("SIGTERM", () => process.exit(0));

const io = new Server(Number(port), {
  pingInterval: pingInterval ? Number(pingInterval.split("=")[1]) * 1000 : 25000,
  pingTimeout: 20000,
  serveClient: false,
  ...(flags.includes("--msgpack") ? { parser: require("socket.io-msgpack-parser") } : {}),
  // The documentation of socket.io recommends for the lowest cost: no compression, and no reference to the request.
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
