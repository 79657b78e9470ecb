#!/usr/bin/env bash
# asyncio: a server without free file descriptors blocks its event loop for each connection that waits.
#
# If accept() fails with EMFILE, `_accept_connection` of the selector event loop stops to listen and tries
# again after a second, as its comment explains. But the loop over the backlog continues: accept() fails
# `backlog` times in a row, each failure is logged with a traceback and schedules another timer that listens
# again. With a backlog of 2048, connected clients wait for more than a second every second, and the log
# grows by 2048 tracebacks per second, because one client holds too many connections.
#
# Affected: servers on asyncio's own event loop with a large backlog (uvicorn: 2048; the default of
# create_server, 100, makes it hard to notice). uvloop closes such connections and does not block. A small
# `backlog` for create_server, followed by listen() with the large one on the same socket, avoids it.
# Source: CPython 3.11.7, 3.12.1 and 3.13.0, Lib/asyncio/selector_events.py, `_accept_connection`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/program.py" <<'PYTHON'
import asyncio
import resource
import socket
import sys

BACKLOG = 2048


async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    loop = asyncio.get_running_loop()
    failures = []
    loop.set_exception_handler(lambda _, context: failures.append(context["message"]))
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, backlog=BACKLOG)
    port = server.sockets[0].getsockname()[1]
    clients = []
    # The clients are in this process: each connection takes two descriptors.
    while True:
        client = socket.socket()
        client.setblocking(False)
        clients.append(client)
        try:
            client.connect(("127.0.0.1", port))
        except BlockingIOError:
            pass
        if len(clients) == 40:
            break
    while not failures:
        await asyncio.sleep(0)
    print(f"Python {sys.version.split()[0]}")
    print("expected: one failure of accept(), then a pause of a second")
    print(f"seen: {len(failures)} failures in one turn: {failures[0]}")
    assert len(failures) > BACKLOG / 2, "the loop ends at the first failure now"
    print("confirmed: a failed accept() is repeated as often as the backlog allows")


asyncio.run(main())
PYTHON
python3 "$work/program.py"
