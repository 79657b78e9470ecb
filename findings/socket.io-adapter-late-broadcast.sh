#!/usr/bin/env bash
# socket.io-adapter: with most adapters for several servers, a broadcast reaches own clients after later actions.
#
# With the in-memory adapter, `io.to("room").emit("first")` writes to the clients of this server before it returns.
# ClusterAdapter, the base of the adapters for sharded Redis, Redis Streams, PostgreSQL and node:cluster, publishes
# the event first, waits until the broker has answered, and only then selects the sockets of the room and writes to
# them. Actions in the next line overtake the event, even with one server and one client: `socket.emit("second")` and
# the ack of the current event arrive before "first". A socket that leaves the room or is disconnected in the next
# line never receives "first". createAdapter of @socket.io/redis-adapter has another base and keeps the order.
#
# Affected: handlers that pass their tests with the in-memory adapter, and change their behavior with the first
# cluster: last events before `socket.disconnect()`, acks behind a broadcast. socket.io 4.8.4, socket.io-adapter
# 2.5.9, @socket.io/redis-adapter 8.3.0, @socket.io/redis-streams-adapter 0.3.1.
# Source: socket.io-adapter, cluster-adapter.js, `broadcast`. Version 2.5.4 corrected the same for disconnectSockets
# and socketsLeave (socketio/socket.io-redis-streams-adapter#13), which wait for the broker as well. The page
# "Delivery guarantees" of Socket.IO promises the order of events without this exception.
# Remedy, with Redis: `io.in(socket.id)` with disconnectSockets, socketsLeave or emit in place of the methods of the
# socket; they wait for the broker as the broadcast does.
# Needs: node, npm, redis-server 7.
set -euo pipefail
work=$(mktemp -d)
port=$(node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})')
redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --dir "$work" >/dev/null &
redis=$!
trap 'kill $redis 2>/dev/null || true; wait $redis 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" @socket.io/redis-adapter@8.3.0 \
  @socket.io/redis-streams-adapter@0.3.1 socket.io@4.8.4 socket.io-client@4.8.4 redis@5.12.1 >/dev/null
cat > program.js <<'NODE'
const { createClient } = require("redis");
const { Server } = require("socket.io");
const { io: connect } = require("socket.io-client");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const streams = require("@socket.io/redis-streams-adapter");

const adapters = {
  "in-memory": () => undefined,
  "redis classic": createAdapter,
  "redis sharded": createShardedAdapter,
  "redis streams": (publisher) => streams.createAdapter(publisher),
};
const actions = {
  "ack": (io, socket, ack) => { io.to("room").emit("first"); ack(); },
  "socket.emit": (io, socket) => { io.to("room").emit("first"); socket.emit("second"); },
  "socket.leave": (io, socket) => { io.to("room").emit("first"); socket.leave("room"); },
  "socket.disconnect": (io, socket) => { io.to("room").emit("first"); socket.disconnect(); },
};
const IN_ORDER = ["first ack", "first second", "first", "first disconnect"].join(", ");
const TOO_LATE = ["ack first", "second first", "", "disconnect"].join(", ");

async function observe(name) {
  const publisher = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const io = new Server(0, { adapter: adapters[name](publisher, subscriber) });
  io.on("connection", (socket) => {
    socket.join("room");
    socket.on("act", (action, ack) => actions[action](io, socket, ack));
  });
  const results = [];
  for (const action in actions) {
    const url = `http://127.0.0.1:${io.httpServer.address().port}`;
    const client = connect(url, { transports: ["websocket"], reconnection: false, forceNew: true });
    const seen = [];
    client.onAny((event) => seen.push(event));
    client.on("disconnect", () => seen.push("disconnect"));
    await new Promise((done) => client.on("connect", done));
    client.emit("act", action, () => seen.push("ack"));
    await new Promise((done) => setTimeout(done, 1000));
    results.push(seen.join(" "));
    client.removeAllListeners().close();
  }
  return results.join(", ");
}

async function main() {
  console.log("clients see, after a broadcast and:", Object.keys(actions).join(", "));
  console.log("expected:     ", IN_ORDER);
  const found = {};
  for (const name in adapters) {
    found[name] = await observe(name);
    console.log(`${name}: `.padEnd(14), found[name]);
  }
  const isAsDescribed = found["in-memory"] === IN_ORDER && found["redis classic"] === IN_ORDER
    && found["redis sharded"] === TOO_LATE && found["redis streams"] === TOO_LATE;
  process.exit(isAsDescribed ? 0 : 1);
}
setTimeout(() => process.exit(2), 60_000);
main();
NODE
node program.js "$port"
