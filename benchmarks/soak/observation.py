"""The view of a server process from inside: its tasks and its live objects.

A server under observation answers each connection to a second port with one JSON object. `series`
compares the answers; memory, descriptors and threads are read from outside.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

PACKAGES: Final = ("engineio_core", "socketio_core", "hextrackr_server")


def count_objects() -> Counter[str]:
    """Return the number of live objects per class of our packages, after a collection."""
    gc.collect()
    found: Counter[str] = Counter()
    for each in gc.get_objects():
        module: object = type(each).__module__  # some classes have a property of this name
        if isinstance(module, str) and module.partition(".")[0] in PACKAGES:
            found[f"{module}.{type(each).__qualname__}"] += 1
    return found


async def observe(port: int) -> dict[str, int]:
    """Return the live objects per class of a server process, and its tasks as "tasks"."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        answer: dict[str, int] = json.loads(await reader.read())
    finally:
        writer.close()
    return answer


async def serve_observed(start: Callable[[], Awaitable[int]], **more: str) -> None:
    """Start a server, print its ports as JSON, and return when the standard input has ended.

    `start` returns the port of the server. `more` are further values for the reader.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not the task of this answer.
        found = {"tasks": len(asyncio.all_tasks()) - 1, **count_objects()}
        writer.write(json.dumps(found).encode())
        await writer.drain()
        writer.close()

    def wait_for_end() -> None:
        while os.read(0, 1 << 16):
            pass
        loop.call_soon_threadsafe(ended.set)

    observer = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = await start()
    print(
        json.dumps({"port": port, "observer": observer.sockets[0].getsockname()[1], **more}),
        flush=True,
    )
    threading.Thread(target=wait_for_end, daemon=True).start()
    await ended.wait()
    observer.close()
