#!/usr/bin/env bash
# uvicorn: a WebSocket refused with a complete HTTP response is logged as an error of the application.
#
# The ASGI extension "WebSocket Denial Response" lets an application refuse a WebSocket handshake with a status
# and a body. uvicorn 0.54.0 offers the extension with its three WebSocket implementations, and clients receive
# the response. With the implementation `websockets-sansio`, the one that uvicorn[standard] chooses, uvicorn
# then also logs "ASGI callable returned without completing handshake." at level ERROR; `wsproto` does not.
#
# Affected: every refusal of an origin or of a token before the upgrade, such as those of Socket.IO servers
# inside uvicorn: monitoring that counts errors raises an alarm for ordinary refusals.
# Source: uvicorn 0.54.0, protocols/websockets/websockets_sansio_impl.py, run_asgi; ASGI specification,
# extensions, "Websocket Denial Response".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet uvicorn==0.54.0 websockets==15.0.1 wsproto==1.2.0
cat > app.py <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    assert "websocket.http.response" in scope["extensions"]
    headers = [(b"content-length", b"2")]
    await send({"type": "websocket.http.response.start", "status": 403, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"no", "more_body": False})
PYTHON
cat > program.py <<'PYTHON'
import asyncio, logging, socket, sys
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

async def refuse(implementation):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(f"{record.levelname}: {record.getMessage()}")
    config = uvicorn.Config("app:app", port=port, ws=implementation, lifespan="off", log_level="info")
    logging.getLogger("uvicorn.error").addHandler(handler)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        async with connect(f"ws://127.0.0.1:{port}/"):
            status = 101
    except InvalidStatus as error:
        status = error.response.status_code
    server.should_exit = True
    await asyncio.wait_for(running, 20)
    errors = [line for line in lines if line.startswith("ERROR")]
    print(f"{implementation:18} status {status}, errors in the log: {errors}")
    return bool(errors)

async def main():
    print("uvicorn", uvicorn.__version__)
    print("expected: a refusal with status 403 and no error in the log")
    found = [await refuse(each) for each in ("websockets-sansio", "wsproto")]
    sys.exit(0 if found == [True, False] else 1)

asyncio.run(main())
PYTHON
PYTHONPATH=. timeout 60 env/bin/python program.py 2>/dev/null
