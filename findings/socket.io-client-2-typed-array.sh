#!/usr/bin/env bash
# socket.io-client 2.x: a typed array is sent as an object, unless the event contains another binary value.
#
# The client decides with `has-binary2` whether an event has attachments. This package recognizes Buffer,
# ArrayBuffer, Blob and File, but no typed array; the encoder behind it recognizes typed arrays. An event whose
# only binary value is a Uint8Array is therefore sent as JSON, {"0":1,"1":2}. With an ArrayBuffer or a Buffer next
# to it, the same Uint8Array is an attachment.
#
# Affected: socket.io-client 2.5.0 (socket.io-parser 3.3, has-binary2 1.0.3), with any server.
# Source: has-binary2, index.js; socket.io-parser 3.3, is-buffer.js.
# Remedy: pass `array.buffer`, or Buffer.from(array) on Node.
# Needs: node, npm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" socket.io@4.8.4 socket.io-client@2.5.0 >/dev/null
cat > program.js <<'NODE'
const { Server } = require("socket.io");
const connect = require("socket.io-client");

const io = new Server(0, { allowEIO3: true });
const kind = (value) => (Buffer.isBuffer(value) ? "bytes" : JSON.stringify(value));
const received = [];
io.on("connection", (socket) => {
  socket.on("value", (...values) => received.push(values.map(kind).join(", ")));
  socket.on("end", () => {
    console.log("expected: bytes in both cases");
    console.log(`Uint8Array alone: ${received[0]}`);
    console.log(`Uint8Array next to an ArrayBuffer: ${received[1]}`);
    process.exit(received[0] === "bytes" ? 1 : 0);
  });
});
const url = `http://127.0.0.1:${io.httpServer.address().port}`;
const client = connect(url, { transports: ["websocket"], reconnection: false });
client.on("connect", () => {
  client.emit("value", Uint8Array.of(1, 2));
  client.emit("value", Uint8Array.of(1, 2), Uint8Array.of(3).buffer);
  client.emit("end");
});
setTimeout(() => process.exit(2), 20_000);
NODE
node program.js
