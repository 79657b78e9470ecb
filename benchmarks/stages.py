"""Measures the stages of an acked event: `python -m benchmarks.stages [--rounds N] [--json]`.

The event is `echo` with 64 bytes and a plain handler. Each stage runs alone on the bytes of that
event, without a network, and the stages take turns. A server under load needs more than that: the
kernel, the event loop and other connections use the same CPU caches.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from statistics import median
from time import thread_time
from typing import Any

from engineio_core.codec.frame_reader import FrameReader, NullHandler
from socketio_core import JsonParser

from . import wire
from .hop_budget import on_loop, open_socket
from .servers.ours import make_server

REPEAT = 5000
READ, DECODE, ENCODE = (
    "read the frame, remove the mask", "decode the packet and its JSON", "encode the ack",
)  # fmt: skip
TOGETHER = "together, with session, dispatch, handler and write"
DATA = json.loads(wire.payload(64))


def make_stages() -> dict[str, Callable[[], Any]]:
    """Return a function for each stage."""
    message = wire.event("echo", wire.payload(64), 7)
    chunk = wire.frame(message)
    reader = FrameReader(NullHandler(), 1_000_000, has_extensions=False)
    reader.receive_text = lambda packet: None
    parser = JsonParser()
    decoder = parser.decoder()
    sink = open_socket(make_server(handlers="sync"))
    receive = sink.protocol.data_received
    return {
        READ: lambda: reader.feed(chunk),
        DECODE: lambda: decoder.receive_text(message),
        ENCODE: lambda: parser.encode_ack("/", 7, [DATA]),
        TOGETHER: lambda: receive(chunk),
    }


def measure(stages: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median of the microseconds of each stage."""
    found: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(rounds):
        for name, run in stages.items():
            began = thread_time()
            for _ in range(REPEAT):
                run()
            found[name].append((thread_time() - began) / REPEAT * 1e6)
    return {name: median(times) for name, times in found.items()}


def main() -> None:
    """Run the command: measure the stages and print them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    times = on_loop(lambda: measure(make_stages(), arguments.rounds))
    if arguments.json:
        print(json.dumps(times))
        return
    for name, microseconds in times.items():
        print(f"{microseconds:6.2f} us  {name}")
    *parts, together = times.values()
    print(f"{together - sum(parts):6.2f} us  of these: session, dispatch, handler, write")


if __name__ == "__main__":
    main()
