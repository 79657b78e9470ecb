#!/usr/bin/env bash
# Daphne: an event with an empty attachment ends the connections of Socket.IO clients.
#
# Daphne tests the fields of `websocket.send` with `if message.get("bytes")`, so that it sends no message for b"" and
# "", without an error. ASGI requires that one of both fields is not None; empty messages are valid, and uvicorn,
# hypercorn and granian send them. Socket.IO sends binary values as separate messages after the event. If one of
# them is empty, such as an empty file, the client still waits for it when the next event arrives, and closes the
# connection with "parse error". Over polling, the same event arrives.
#
# Affected: Daphne 4.2.3, the server of `runserver` in Django Channels, with python-socketio 5.18.1 or any other
# Socket.IO server for ASGI; and each application that sends an empty text as a heartbeat.
# Source: Daphne 4.2.3, ws_protocol.py, handle_reply; ASGI specification, WebSocket, "Send - send event".
# Remedy: another ASGI server, polling, or None in place of empty bytes.
# Needs: node, npm, python3.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" socket.io-client@4.8.4 >/dev/null
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check daphne==4.2.3 uvicorn==0.54.0 websockets==15.0.1 python-socketio==5.18.1
cat > server.py <<'PYTHON'
import socketio

server = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(server)


@server.event
async def send(sid, content):
    await server.emit("file", content, to=sid)
    await server.emit("next", to=sid)
PYTHON
cat > client.js <<'NODE'
const { io: connect } = require("socket.io-client");

const [url, transport, content] = process.argv.slice(2);
const client = connect(url, { transports: [transport], reconnection: false });
const seen = [];
const finish = (last) => {
  console.log([...seen, last].join(", "));
  process.exit();
};
client.on("connect", () => client.emit("send", Buffer.from(content)));
client.on("file", (bytes) => seen.push(`file of ${bytes.length} bytes`));
client.on("next", () => finish("next"));
client.on("disconnect", (reason) => finish(`disconnected: ${reason}`));
setTimeout(() => finish("connected, nothing arrived"), 20_000);
NODE
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
status=0
start() { # command
  "$@" >/dev/null 2>&1 &
  server=$!
  until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null; do
    kill -0 "$server"
    sleep 0.1
  done
}
stop() {
  kill "$server"
  wait "$server" 2>/dev/null || true
}
check() { # name, transport, content, expected result
  found=$(node client.js "http://127.0.0.1:$port" "$2" "$3")
  echo "$1, $2, content '$3': $found"
  [ "$found" = "$4" ] || status=1
}
echo "expected: the file and the next event each time"
start env/bin/uvicorn server:app --port "$port" --log-level critical
check uvicorn websocket "" "file of 0 bytes, next"
stop
start env/bin/daphne --port "$port" server:app
check daphne polling "" "file of 0 bytes, next"
check daphne websocket "text" "file of 4 bytes, next"
check daphne websocket "" "disconnected: parse error"
stop
exit $status
