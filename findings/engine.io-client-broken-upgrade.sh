#!/usr/bin/env bash
# engine.io-client 6: a WebSocket that breaks during the upgrade also ends polling, until the heartbeat times out.
#
# A client begins with polling and probes a WebSocket. When the server answers the probe, the client pauses polling:
# it waits for the poll in flight and then moves to the WebSocket. If the WebSocket closes while the client waits,
# it emits `upgradeError`, but starts no further poll and keeps its state `upgrading`, so that it also sends nothing.
# It stays connected in name: events in both directions wait until the timeout of the heartbeat closes the session,
# 45 seconds with the defaults, and events that the server has sent to this session are lost. A probe that fails
# earlier, for example because a proxy refuses WebSockets, has no such effect.
#
# Affected: engine.io-client 6.6.8, and socket.io-client 4.8 over it, behind proxies, firewalls and mobile networks
# that accept a WebSocket and break it shortly afterwards. The server cannot prevent it, as the client sends no poll.
# Source: engine.io-client 6.6.8, socket.js (`_probe`: the callback of `pause` returns if the probe has failed) and
# transports/polling.js (`pause` has no counterpart).
# Remedy: `transports: ["websocket"]` or `upgrade: false` where WebSockets break; shorter pingInterval and pingTimeout
# on the server shorten the silence; connection state recovery returns the lost events.
# Needs: node, npm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" socket.io@4.8.4 socket.io-client@4.8.4 engine.io-client@6.6.8 >/dev/null
cat > program.js <<'NODE'
const net = require("node:net");
const { Server } = require("socket.io");
const { io: connect } = require("socket.io-client");

const INTERVAL = 2000, TIMEOUT = 1500; // milliseconds
const server = new Server(0, { pingInterval: INTERVAL, pingTimeout: TIMEOUT });

// A proxy of TCP connections. It breaks a WebSocket either at its handshake or behind the first frame from the
// server, which is the answer to the probe.
function startProxy(breaksBehindProbe) {
  return new Promise((done) => {
    const proxy = net.createServer((near) => {
      const far = net.connect(server.httpServer.address().port, "127.0.0.1");
      let isWebSocket = false, head = "";
      const end = () => { near.destroy(); far.destroy(); };
      near.on("data", (data) => {
        isWebSocket ||= /transport=websocket/.test(data.toString("latin1"));
        far.write(data);
      });
      far.on("data", (data) => {
        if (isWebSocket && !breaksBehindProbe) return end();
        near.write(data);
        if (!isWebSocket) return;
        head += data.toString("latin1");
        if (head.includes("3probe")) setImmediate(() => { near.end(); far.destroy(); });
      });
      for (const each of [near, far]) each.on("error", end).on("close", end);
    });
    proxy.listen(0, "127.0.0.1", () => done(proxy));
  });
}

// Connects, and emits a numbered event to the client every 100 ms until it disconnects or 2.5 intervals have passed.
async function measure(breaksBehindProbe) {
  const proxy = await startProxy(breaksBehindProbe);
  const client = connect(`http://127.0.0.1:${proxy.address().port}`, { reconnection: false, forceNew: true });
  let sent = 0, received = 0, reason = "none";
  client.on("number", () => received++);
  client.on("disconnect", (why) => (reason = why));
  await new Promise((done) => client.io.engine.once("upgradeError", done));
  const before = received;
  const began = Date.now();
  while (reason === "none" && Date.now() - began < 2.5 * (INTERVAL + TIMEOUT)) {
    server.emit("number", ++sent);
    await new Promise((done) => setTimeout(done, 100));
  }
  const result = { sent, received: received - before, reason };
  client.close();
  proxy.close();
  return result;
}

async function main() {
  console.log("engine.io-client", require("engine.io-client/package.json").version);
  console.log("expected: the client goes on with polling in both cases and receives all events");
  const early = await measure(false);
  const late = await measure(true);
  console.log(`refused at its handshake:    ${early.received} of ${early.sent} events, disconnected: ${early.reason}`);
  console.log(`broken behind the probe:     ${late.received} of ${late.sent} events, disconnected: ${late.reason}`);
  const isAsDescribed = early.reason === "none" && early.received > 20 && late.received < 3 && late.reason === "ping timeout";
  process.exit(isAsDescribed ? 0 : 1);
}
main();
setTimeout(() => process.exit(2), 60_000);
NODE
node program.js
