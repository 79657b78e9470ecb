#!/usr/bin/env bash
# granian and Daphne: the headers of a WebSocket handshake response are discarded.
#
# Since version 2.1 of ASGI's WebSocket specification, `websocket.accept` has a field `headers`: the headers of the
# handshake response, for example Set-Cookie. granian 2.8.9 states the version 2.3 in the scope, accepts the field,
# and sends none of these headers; Daphne 4.2.3 states no version and does the same. uvicorn and hypercorn send them.
# No error is raised, and responses to HTTP requests have their headers, so that a cookie seems to depend on the
# transport.
#
# Affected: applications that set a cookie, a trace ID or a header for a load balancer in the handshake, such as
# `accept(headers=...)` of Starlette and the cookie for sticky sessions of a Socket.IO server with WebSocket only.
# Source: ASGI specification, WebSocket, "Accept - send event" and version history; Daphne 4.2.3, ws_protocol.py,
# handle_reply.
# Remedy: another ASGI server, or a header of an HTTP response that precedes the handshake.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  granian==2.8.9 daphne==4.2.3 uvicorn==0.54.0 hypercorn==0.18.0 websockets==15.0.1
cat > app.py <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept", "headers": [(b"set-cookie", b"node=a")]})
    await send({"type": "websocket.send", "text": str(scope["asgi"].get("spec_version"))})
    await receive()
PYTHON
cat > client.py <<'PYTHON'
import asyncio
import sys

from websockets.asyncio.client import connect


async def main(port):
    async with connect(f"ws://127.0.0.1:{port}/") as client:
        version = await client.recv()
        cookie = client.response.headers.get("Set-Cookie")
        print(f"Set-Cookie: {cookie} (spec_version: {version})")


asyncio.run(main(sys.argv[1]))
PYTHON
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
status=0
check() { # name, expected result, command
  "${@:3}" >/dev/null 2>&1 &
  server=$!
  until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null; do
    kill -0 "$server"
    sleep 0.1
  done
  found=$(env/bin/python client.py "$port")
  echo "$1: $found"
  [[ "$found" = "Set-Cookie: $2 "* ]] || status=1
  kill "$server"
  wait "$server" 2>/dev/null || true
}
echo "expected: Set-Cookie: node=a"
check "uvicorn 0.54.0" "node=a" env/bin/uvicorn app:app --port "$port" --lifespan off
check "hypercorn 0.18.0" "node=a" env/bin/hypercorn app:app --bind "127.0.0.1:$port"
check "granian 2.8.9" "None" env/bin/granian --interface asginl --port "$port" app:app
check "daphne 4.2.3" "None" env/bin/daphne --port "$port" app:app
exit $status
