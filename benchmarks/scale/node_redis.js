// Benchmark server with socket.io 4.8 and @socket.io/redis-adapter:
//   node node_redis.js PORT --redis URL --adapter classic|sharded
// It behaves like benchmarks/servers/node_socketio.js.
"use strict";
const { createRequire } = require("node:module");
const path = require("node:path");
const { parseArgs } = require("node:util");

const load = createRequire(path.join(__dirname, "..", "..", "tests", "cluster", "package.json"));
const { createClient } = load("redis");
const { Server } = load("socket.io");
const { createAdapter, createShardedAdapter } = load("@socket.io/redis-adapter");

const { values: options, positionals } = parseArgs({
  options: { redis: { type: "string" }, adapter: { type: "string", default: "sharded" } },
  allowPositionals: true,
});
const create = options.adapter === "sharded" ? createShardedAdapter : createAdapter;

const main = async () => {
  const publisher = createClient({ url: options.redis });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const io = new Server(Number(positionals[0]), {
    pingInterval: 25000,
    pingTimeout: 20000,
    serveClient: false,
    perMessageDeflate: false,
    adapter: create(publisher, subscriber),
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
};

main();
