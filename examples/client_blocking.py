"""A script that writes into the chat of examples/chat.py, without asyncio.

    python examples/chat.py --port 3000
    python examples/client_blocking.py --name backup "the backup has started" "it has ended"

The program ends with status 0 when the room has received all lines.
"""

import argparse
import sys
from collections.abc import Iterable
from queue import Empty, SimpleQueue

from socketio_core import ConnectError
from socketio_core.client import Client

SECONDS = 10.0


def say(url: str, name: str, room: str, lines: Iterable[str]) -> bool:
    """Send lines to a room; return whether the room has received them."""
    received: SimpleQueue[tuple[str, str]] = SimpleQueue()
    with Client(url) as client:
        client.on("message", lambda author, text: received.put((author, text)))
        answer = client.call("join", {"name": name, "room": room}, timeout=SECONDS)
        if answer.get("success") is False:
            print(answer["error"], file=sys.stderr)
            return False
        for line in lines:
            client.emit("say", line)
            try:
                while received.get(timeout=SECONDS) != (name, line):
                    pass  # a message of another member
            except Empty:
                return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--name", required=True)
    parser.add_argument("--room", default="lobby")
    parser.add_argument("lines", nargs="+")
    options = parser.parse_args()
    try:
        return 0 if say(options.url, options.name, options.room, options.lines) else 1
    except ConnectError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
