#!/usr/bin/env bash
# socket.io 4: a client that returns before the server notices the loss of its connection is not recovered.
#
# Connection state recovery is for clients that lose their connection for a short time, and stores the session of a
# socket when the server notices its disconnection. A client whose network changes, or whose router forgets the
# connection, notices it first: the server has no end of the TCP connection and waits for the heartbeat, up to 45
# seconds with the defaults. A client that returns in this time, with a valid private ID and offset, gets a new
# session, and loses all events between its last offset and its new CONNECT. The documentation lists no such limit.
#
# Affected: socket.io 4.8.4 with connectionStateRecovery and the in-memory adapter, over all transports. In
# benchmarks/load, clients whose server notices a lost connection 0.7 seconds after them lose about 30% of their events.
# Source: socket.io 4.8.4, dist/socket.js, _onclose (persistSession); socket.io-adapter 2.5.9, restoreSession.
# Remedy: shorter pingInterval and pingTimeout shorten the time; or fetch missed data after each connect.
# Needs: node, npm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" socket.io@4.8.4 >/dev/null
cat > program.js <<'NODE'
const { Server } = require("socket.io");

const io = new Server(0, { connectionStateRecovery: {} });
const base = `http://127.0.0.1:${io.httpServer.address().port}/socket.io/?EIO=4&transport=polling`;

// A session over polling that polls only when `poll` is called.
async function open(auth) {
  const { sid } = JSON.parse((await (await fetch(base)).text()).slice(1));
  const post = (body) => fetch(`${base}&sid=${sid}`, { method: "POST", body });
  const poll = async () => (await fetch(`${base}&sid=${sid}`)).text();
  await post("40" + JSON.stringify(auth));
  return { post, poll };
}

// Polls until a packet matches a pattern.
async function until(session, pattern) {
  for (;;) {
    for (const packet of (await session.poll()).split("\x1e")) {
      const found = packet.match(pattern);
      if (found) return found;
    }
  }
}

async function main() {
  let received;
  console.log("expected: the client is restored and receives the missed event in both cases");
  for (const isNoticed of [true, false]) {
    const first = await open({});
    const [, id, pid] = await until(first, /^40.*"sid":"([^"]+)","pid":"([^"]+)"/);
    io.emit("number", 1);
    const [, offset] = await until(first, /^42\["number",1,"([^"]+)"\]/);
    if (isNoticed) await first.post("1"); // the end of the session
    io.emit("number", 2); // the client has lost its connection
    const second = await open({ pid, offset });
    io.emit("number", 3);
    received = await Promise.race([
      until(second, /^42\["number",2/).then(() => true, () => false),
      new Promise((done) => setTimeout(done, 1000, false)),
    ]);
    const restored = [...io.sockets.sockets.values()].some((socket) => socket.recovered && socket.id === id);
    const noticed = isNoticed ? "noticed" : "not noticed";
    console.log(`the server has ${noticed} the loss: restored ${restored}, missed event received ${received}`);
    io.sockets.disconnectSockets(true);
  }
  process.exit(received ? 1 : 0);
}
main();
setTimeout(() => process.exit(2), 20_000);
NODE
node program.js
