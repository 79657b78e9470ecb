#!/usr/bin/env bash
# python-socketio: over polling, a burst of small events closes the connection as "payload too large".
#
# A client over polling sends all events that wait for the next POST in one body. The server limits the body, not the
# event, and announces the limit as `maxPayload` in its handshake, so that clients divide a burst. The official
# client has done so since version 4.5 (2022). The clients of python-socketio ignore the field: 100 events of 20 KB,
# each of them far below the limit of 1 MB, are one POST of 2 MB, which the server refuses with 413. The events are
# lost, and the program sees the reason "server disconnect", as if the application had disconnected it. The same
# program works over WebSocket, where the limit applies to each event.
#
# Affected: python-socketio 5.18.1 (AsyncClient and Client) with transports=["polling"] or behind proxies without
# WebSockets, with socket.io 4.8.4; also io.socket:socket.io-client 2.1.2 in Java over polling.
# Source: Engine.IO protocol, revision 4, "maxPayload"; socketio/socket.io-client#1531, the reason for the field.
# Remedy: wait for an ack after some events (`await client.call(...)`), a larger maxHttpBufferSize, or WebSocket.
# Needs: node, npm, python3.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" socket.io@4.8.4 socket.io-client@4.8.4 >/dev/null
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check python-socketio==5.18.1 aiohttp==3.14.5
cat > server.js <<'NODE'
const { Server } = require("socket.io");

const io = new Server(0);
io.on("connection", (socket) => {
  let received = 0;
  socket.on("part", () => received++);
  socket.on("end", (ack) => ack(received));
});
console.log(io.httpServer.address().port);
setTimeout(() => process.exit(2), 90_000);
NODE
cat > client.js <<'NODE'
const { io: connect } = require("socket.io-client");

const [url, transport] = process.argv.slice(2);
const client = connect(url, { transports: [transport], reconnection: false });
client.on("connect", () => {
  for (let part = 0; part < 100; part++) client.emit("part", "x".repeat(20_000));
  client.emit("end", (received) => finish(`${received} events received`));
});
client.on("disconnect", (reason) => finish(`disconnected: ${reason}`));
function finish(text) {
  console.log(text);
  process.exit();
}
NODE
cat > client.py <<'PYTHON'
import asyncio
import sys

import socketio


async def main(url, transport):
    client = socketio.AsyncClient(reconnection=False)
    result = asyncio.get_running_loop().create_future()
    client.on("disconnect", lambda reason: result.done() or result.set_result(f"disconnected: {reason}"))
    await client.connect(url, transports=[transport])
    for _ in range(100):
        await client.emit("part", "x" * 20_000)
    await client.emit("end", callback=lambda received: result.set_result(f"{received} events received"))
    print(await asyncio.wait_for(result, 30))
    await client.disconnect()


asyncio.run(main(*sys.argv[1:]))
PYTHON
node server.js > port &
server=$!
until [ -s port ]; do kill -0 "$server"; sleep 0.1; done
url=http://127.0.0.1:$(cat port)
echo "expected: 100 events received"
status=0
check() { # name, transport, expected result, command
  found=$("${@:4}" "$url" "$2")
  echo "$1, $2: $found"
  [ "$found" = "$3" ] || status=1
}
check socket.io-client polling "100 events received" node client.js
check python-socketio websocket "100 events received" env/bin/python client.py
check python-socketio polling "disconnected: server disconnect" env/bin/python client.py
exit $status
