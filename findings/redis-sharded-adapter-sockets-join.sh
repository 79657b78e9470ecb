#!/usr/bin/env bash
# @socket.io/redis-adapter, sharded: events behind socketsJoin do not reach the sockets of other servers.
#
# `io.in(id).socketsJoin("room")` and then `io.to("room").emit(...)` is the documented way to put sockets of all
# servers into a room and to send them an event. In the mode "dynamic", the default of createShardedAdapter, the
# request travels on the channel of the namespace, and the event on the channel of the room. The other server
# subscribes to that channel only when it has received the request. Redis has then discarded the event, because the
# channel had no subscriber: the first events of each new room are lost, on every run, without an error. The same
# applies to "dynamic-private". The mode "static", the adapter of createAdapter and the streams adapter lose nothing:
# there, requests and events have the same subscribers.
#
# Affected: @socket.io/redis-adapter 8.3.0 with socket.io 4.8.4, two or more servers.
# Source: redis-adapter 8.3.0, sharded-adapter.js, `computeChannel` and the listener of "create-room"; Redis
# documentation, "Pub/Sub": delivery is at most once. Open pull request socketio/socket.io#5432 would make
# socketsJoin return a promise.
# Remedy: subscriptionMode "static"; or select the sockets by their IDs, and not by the new room.
# Needs: node, npm, redis-server 7.
set -euo pipefail
work=$(mktemp -d)
port=$(node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})')
redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --dir "$work" >/dev/null &
redis=$!
trap 'kill $redis 2>/dev/null || true; wait $redis 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" \
  @socket.io/redis-adapter@8.3.0 socket.io@4.8.4 socket.io-client@4.8.4 redis@5.12.1 >/dev/null
cat > program.js <<'NODE'
const { createClient } = require("redis");
const { Server } = require("socket.io");
const { io: connect } = require("socket.io-client");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");

const ROOMS = 20;

async function startServer(mode) {
  const publisher = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const adapter = mode === "createAdapter"
    ? createAdapter(publisher, subscriber)
    : createShardedAdapter(publisher, subscriber, { subscriptionMode: mode });
  return new Server(0, { adapter });
}

async function countReceived(mode) {
  const [here, there] = [await startServer(mode), await startServer(mode)];
  const client = connect(`http://127.0.0.1:${there.httpServer.address().port}`, { transports: ["websocket"] });
  let received = 0;
  client.on("news", () => received++);
  await new Promise((done) => client.on("connect", done));
  // Both servers have subscribed to the channel of the namespace when they count each other.
  while ((await here.of("/").adapter.serverCount()) < 2) await new Promise((done) => setTimeout(done, 20));
  for (let room = 0; room < ROOMS; room++) {
    here.in(client.id).socketsJoin(`project:${room}`);
    here.to(`project:${room}`).emit("news");
  }
  const ended = new Promise((done) => client.on("end", done));
  here.in(client.id).emit("end"); // on the channel of the namespace, behind all others
  await ended;
  await new Promise((done) => setTimeout(done, 500));
  client.close();
  return received;
}

async function main() {
  console.log(`expected: each mode delivers ${ROOMS} events`);
  const found = {};
  for (const mode of ["createAdapter", "static", "dynamic", "dynamic-private"]) {
    found[mode] = await countReceived(mode);
    console.log(`seen: ${mode.padEnd(15)} ${found[mode]}`);
  }
  const isComplete = (mode) => found[mode] === ROOMS;
  const isAsDescribed = isComplete("createAdapter") && isComplete("static")
    && !isComplete("dynamic") && !isComplete("dynamic-private");
  process.exit(isAsDescribed ? 0 : 1);
}
setTimeout(() => process.exit(2), 60_000);
main();
NODE
node program.js "$port"
