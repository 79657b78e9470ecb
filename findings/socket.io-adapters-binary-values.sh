#!/usr/bin/env bash
# Adapters of Socket.IO: an event with binary data has other values for the clients of other servers.
#
# A server encodes an event for its own clients as JSON with attachments. For other servers, the adapters encode an
# event with binary data as MessagePack, each with a library that has other rules than JSON.stringify:
# - @msgpack/msgpack (Redis Streams, PostgreSQL) ignores toJSON: a URL arrives as {}, and an object of a class such
#   as a decimal, an object ID or an amount of money with its internal fields. Without binary data in the event,
#   these adapters use JSON, and the value arrives as on the own server.
# - notepack.io (both Redis adapters with channels) writes a typed array element by element as bytes: the 8 bytes of
#   Float32Array [1.5, 300] become the 2 bytes 1 and 44, and a DataView is empty.
# No error is raised, and a test with one server shows nothing.
#
# Affected: @socket.io/redis-streams-adapter 0.3.1, @socket.io/redis-adapter 8.3.0, and by the same code
# @socket.io/postgres-adapter 0.5.0, with socket.io 4.8.4.
# Source: `encode` of the adapters; @msgpack/msgpack 2.8, Encoder; notepack.io 3.0.1, lib/encode.js.
# Remedy: send plain values, String(url) or value.toJSON(), and Buffer.from(array.buffer, offset, length).
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

class Money {
  constructor(cents) {
    this.cents = cents;
  }
  toJSON() {
    return (this.cents / 100).toFixed(2);
  }
}
const adapters = {
  "redis classic": createAdapter,
  "redis sharded": createShardedAdapter,
  "redis streams": (publisher) => streams.createAdapter(publisher),
};
const icon = Buffer.from("icon");
const events = {
  "URL": [new URL("http://a/"), null],
  "URL, bytes": [new URL("http://a/"), icon],
  "Money": [new Money(250), null],
  "Money, bytes": [new Money(250), icon],
  "Float32Array": [Float32Array.of(1.5, 300), null],
};
const DIFFERENT = {
  "redis classic": ["Float32Array"],
  "redis sharded": ["Float32Array"],
  "redis streams": ["URL, bytes", "Money, bytes"],
};
const show = (value) => (Buffer.isBuffer(value) ? `<${value.toString("hex")}>` : JSON.stringify(value));

async function startServer(name) {
  const publisher = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  return new Server(0, { adapter: adapters[name](publisher, subscriber) });
}

async function findDifferent(name) {
  const servers = [await startServer(name), await startServer(name)];
  const clients = servers.map((io) =>
    connect(`http://127.0.0.1:${io.httpServer.address().port}`, { transports: ["websocket"], forceNew: true }));
  await Promise.all(clients.map((client) => new Promise((done) => client.on("connect", done))));
  while ((await servers[0].of("/").adapter.serverCount()) < 2) await new Promise((done) => setTimeout(done, 20));
  await new Promise((done) => setTimeout(done, 500));
  const different = [];
  for (const event in events) {
    const received = clients.map((client) => new Promise((done) => client.once(event, (value) => done(show(value)))));
    servers[0].emit(event, ...events[event]);
    const [own, other] = await Promise.all(received);
    if (own !== other) {
      console.log(`${name}: ${event}: ${own} on the same server, ${other} on the other`);
      different.push(event);
    }
  }
  clients.forEach((client) => client.close());
  return different;
}

async function main() {
  console.log("expected: all clients receive the same value");
  let isAsDescribed = true;
  for (const name in adapters) {
    const different = await findDifferent(name);
    isAsDescribed &&= different.join() === DIFFERENT[name].join();
  }
  process.exit(isAsDescribed ? 0 : 1);
}
setTimeout(() => process.exit(2), 60_000);
main();
NODE
node program.js "$port"
