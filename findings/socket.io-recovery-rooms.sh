#!/usr/bin/env bash
# socket.io 4: a socket that recovers twice leaves its rooms when an earlier session of it times out.
#
# Connection state recovery gives a client that returns its previous socket ID and rooms. The stored session stays
# available after it was restored, so that a client whose new connection breaks at once can return again. The server
# notices a lost polling client without a pending GET only by its heartbeat. Its socket then leaves all rooms of its
# ID, which are the rooms of the socket that the client has by then. This socket stays connected, and no event for
# a room reaches it any more.
#
# Affected: socket.io 4.8.4 with connectionStateRecovery and the in-memory adapter, clients over polling.
# Source: socket.io 4.8.4, dist/socket.js, _onclose and _cleanup; socket.io-adapter 2.5.9, restoreSession.
# Remedy: a client that loses a connection posts the close packet "1" to its old session before it connects again.
# Needs: node, npm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" socket.io@4.8.4 >/dev/null
cat > program.js <<'NODE'
const { Server } = require("socket.io");

const io = new Server(0, { connectionStateRecovery: {}, pingInterval: 600, pingTimeout: 600 });
io.on("connection", (socket) => {
  if (!socket.recovered) socket.join("room");
});
const base = `http://127.0.0.1:${io.httpServer.address().port}/socket.io/?EIO=4&transport=polling`;

// A session over polling that polls only when `poll` is called.
async function open(auth) {
  const { sid } = JSON.parse((await (await fetch(base)).text()).slice(1));
  const post = (body) => fetch(`${base}&sid=${sid}`, { method: "POST", body });
  const poll = async () => (await fetch(`${base}&sid=${sid}`)).text();
  await post("40" + JSON.stringify(auth));
  return { post, poll };
}

// Polls until a packet matches a pattern, and answers heartbeats.
async function until(session, pattern) {
  for (;;) {
    const text = await session.poll();
    for (const packet of text.split("\x1e")) {
      if (packet === "2") await session.post("3");
      const found = packet.match(pattern);
      if (found) return found;
    }
  }
}

async function main() {
  const first = await open({});
  const [, pid] = await until(first, /^40.*"pid":"([^"]+)"/);
  io.to("room").emit("first");
  const [, offset] = await until(first, /^42\["first","([^"]+)"\]/);
  await first.post("1"); // ends this session immediately
  await open({ pid, offset }); // restored; the client vanishes before its first poll
  const third = await open({ pid, offset });
  await until(third, /^40/);
  const restored = [...io.sockets.sockets.values()].some((socket) => socket.recovered);
  console.log(`the session was restored: ${restored}`);
  let received = 0;
  (async () => { for (;;) { await until(third, /^42\["number"/); received += 1; } })().catch(() => {});
  const seen = [];
  for (let half = 0; half < 2; half += 1) {
    received = 0;
    for (let number = 0; number < 10; number += 1) {
      io.to("room").emit("number", number);
      await new Promise((done) => setTimeout(done, 40));
    }
    seen.push(received > 0);
    await new Promise((done) => setTimeout(done, 1500)); // the vanished session times out
  }
  console.log("expected: the connected client receives events of its room before and after");
  console.log(`received before: ${seen[0]}, after: ${seen[1]}, connected: ${io.engine.clientsCount === 1}`);
  process.exit(seen[1] ? 1 : 0);
}
main();
setTimeout(() => process.exit(2), 20_000);
NODE
node program.js
