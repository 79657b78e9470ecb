#!/usr/bin/env bash
# Starlette: a StreamingResponse ignores `http.disconnect` if the server states ASGI spec_version 2.4.
#
# ASGI's HTTP specification 2.4 only adds that `send` should raise OSError after a disconnect; the
# event `http.disconnect` stays. Starlette 1.10.0 draws a stronger conclusion: with spec_version 2.4
# or later it no longer waits for `http.disconnect` while it streams, and ends only when `send`
# raises. With 2.3 and earlier it ends the stream at the event. A server that states "2.4" but ignores
# writes to a closed connection, as earlier versions of the specification allow, keeps every
# server-sent event stream alive after its client has left, and with it the generator.
#
# Affected: authors of ASGI servers, middlewares and test clients that pass on `spec_version` of their
# own, and operators who see streams pile up. Raise OSError from `send`, or state 2.3.
# Source: Starlette 1.10.0, responses.py, StreamingResponse.__call__; ASGI HTTP specification,
# version history, 2.4.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check starlette==1.10.0
cat > "$work/program.py" <<'PYTHON'
import asyncio
import sys

import starlette
from starlette.responses import StreamingResponse


async def ends_at_disconnect(spec_version):
    async def body():
        while True:
            yield b"data: 1\n\n"
            await asyncio.sleep(0.01)

    async def receive():
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def send(message):
        """Accept and drop the message: the client has left."""

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": spec_version},
        "method": "GET", "path": "/", "headers": [], "query_string": b"",
    }
    task = asyncio.create_task(StreamingResponse(body())(scope, receive, send))
    done, _ = await asyncio.wait([task], timeout=2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return bool(done)


print(f"starlette {starlette.__version__}, Python {sys.version.split()[0]}")
print("expected: the stream ends soon after http.disconnect, whatever the spec_version is")
seen = {version: asyncio.run(ends_at_disconnect(version)) for version in ("2.0", "2.3", "2.4")}
for version, ended in seen.items():
    print(f"seen with spec_version {version}: the stream {'ended' if ended else 'went on'}")
assert seen == {"2.0": True, "2.3": True, "2.4": False}, "the behavior has changed"
print("confirmed: with spec_version 2.4 the stream outlives its client")
PYTHON
"$work/venv/bin/python" "$work/program.py"
