// Benchmark server with socket.io 4.8 and @socket.io/cluster-adapter:  node node_cluster.js PORT WORKERS
// It behaves like benchmarks/servers/node_socketio.js. Clients use WebSocket only, which needs no
// sticky sessions.
"use strict";
const cluster = require("node:cluster");

const [port, workers] = process.argv.slice(2).map(Number);

if (cluster.isPrimary) {
  require("@socket.io/cluster-adapter").setupPrimary();
  for (let number = 0; number < workers; number++) cluster.fork();
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers)) worker.kill("SIGTERM");
    process.exit(0);
  });
} else {
  const { Server } = require("socket.io");
  const { createAdapter } = require("@socket.io/cluster-adapter");
  const io = new Server(port, {
    pingInterval: 25000,
    pingTimeout: 20000,
    serveClient: false,
    perMessageDeflate: false,
    adapter: createAdapter(),
  });
  io.engine.on("connection", (rawSocket) => {
    rawSocket.request = null;
  });
  io.on("connection", (socket) => {
    socket.join("r");
    socket.on("echo", (data, ack) => ack(data));
    socket.on("msg", () => {});
    socket.on("bcast", (data, ack) => {
      io.to("r").emit("update", data);
      ack(1);
    });
  });
  process.on("SIGTERM", () => process.exit(0));
}
