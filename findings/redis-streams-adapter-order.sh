#!/usr/bin/env bash
# @socket.io/redis-streams-adapter: a client may receive events out of the order of their offsets.
#
# With connection state recovery, the offset of an event is the id of its entry in the stream, and a client
# recovers the entries after its last offset. A server delivers its own events when XADD has returned, and the
# events of other servers when its XREAD returns them. So an own event with a later id may arrive before an
# event of another server with an earlier id. A client that loses its connection between the two never receives
# the earlier event; one that loses it after both receives the later event twice.
#
# Affected: @socket.io/redis-streams-adapter 0.3.1 with socket.io 4.8.4 and redis 5.12.1, two or more servers.
# Source: socket.io-adapter 2.5.9, ClusterAdapter.broadcast; redis-streams-adapter, startPolling.
# Needs: node, npm, redis-server.
set -euo pipefail
work=$(mktemp -d)
port=$(node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})')
redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --dir "$work" >/dev/null &
redis=$!
trap 'kill $redis 2>/dev/null || true; wait $redis 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" \
  @socket.io/redis-streams-adapter@0.3.1 socket.io@4.8.4 socket.io-client@4.8.4 redis@5.12.1 >/dev/null
cat > program.js <<'NODE'
const { createClient } = require("redis");
const { Server } = require("socket.io");
const { io: connect } = require("socket.io-client");
const { createAdapter } = require("@socket.io/redis-streams-adapter");

const EVENTS = 500; // of each server
const makeServer = async () => {
  const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
  await client.connect();
  return new Server(0, { adapter: createAdapter(client), connectionStateRecovery: {} });
};
const isBefore = (a, b) => {
  const [ms1, n1] = a.split("-").map(Number);
  const [ms2, n2] = b.split("-").map(Number);
  return ms1 < ms2 || (ms1 === ms2 && n1 < n2);
};

(async () => {
  const [own, other] = [await makeServer(), await makeServer()];
  const client = connect(`http://127.0.0.1:${own.httpServer.address().port}`, { transports: ["websocket"] });
  await new Promise((resolve) => client.on("connect", resolve));
  await new Promise((resolve) => setTimeout(resolve, 500)); // both servers read the stream
  const offsets = [];
  client.on("event", (server, offset) => offsets.push(offset));
  for (let i = 0; i < EVENTS; i++) {
    other.emit("event", "other");
    own.emit("event", "own");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const wrong = offsets.filter((offset, i) => i && isBefore(offset, offsets[i - 1])).length;
  console.log("expected: each offset is greater than the previous one");
  console.log(`${offsets.length} events, ${wrong} of them after an event with a greater offset`);
  process.exit(wrong ? 0 : 1);
})();
NODE
node program.js "$port"
