#!/usr/bin/env bash
# socket.io-client 1.x with socket.io 4 (allowEIO3): text over polling is encoded as UTF-8 twice.
#
# engine.io-client 1.x encodes each text packet of a polling payload as UTF-8 and then sends these bytes as
# characters, which HTTP encodes as UTF-8 again. It expects the same of the server. Later servers do not decode
# twice, and do not encode twice: a server receives "Ã©" instead of "é", and the first event of the server with a
# character beyond ASCII closes the connection of the client with "transport error". Over WebSocket, and in
# binary payloads, text is encoded once. Clients that upgrade to WebSocket fail only until the upgrade.
#
# Affected: socket.io-client 1.7.4 with socket.io 4.8.4 (engine.io 6.6.13) and allowEIO3.
# Source: engine.io-parser 1.3, lib/index.js, encodePayload and decodePayload with utf8encode.
# Remedy: transports: ["websocket"], text in ASCII, or a client of version 2.
# Needs: node, npm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" socket.io@4.8.4 socket.io-client@1.7.4 >/dev/null
cat > program.js <<'NODE'
const { Server } = require("socket.io");
const connect = require("socket.io-client");

const io = new Server(0, { allowEIO3: true });
io.on("connection", (socket) => {
  socket.on("to-server", (text) => {
    console.log(`the client sent "é", the server received ${JSON.stringify(text)}`);
    socket.emit("to-client", "é");
  });
});
const url = `http://127.0.0.1:${io.httpServer.address().port}`;
const client = connect(url, { transports: ["polling"], reconnection: false });
console.log('expected: both sides receive "é"');
client.on("connect", () => client.emit("to-server", "é"));
client.on("to-client", (text) => {
  console.log(`the server sent "é", the client received ${JSON.stringify(text)}`);
  process.exit(1);
});
client.on("disconnect", (reason) => {
  console.log(`the server sent "é", the client disconnected: ${reason}`);
  process.exit(0);
});
setTimeout(() => process.exit(2), 20_000);
NODE
node program.js
