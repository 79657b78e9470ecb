"""Parses a catalog in a process of its own, so that the event loop does not wait for it.

One call that decodes 20 MB of tiny values holds the interpreter for a second. The process
`python -m hextrackr_server.kev.parsing_process` reads the catalog from standard input, and writes
it to standard output as JSON, one message per line: any number of `_Part`, and one of the other
messages at the end. The server decodes the messages by these types and runs nothing from them.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from hextrackr_server.child_process import (
    describe_status,
    lower_priority,
    start_module,
    take_output,
)
from hextrackr_server.kev.catalog import Catalog, EntryProblem, KevEntry, KevError, parse_catalog
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

#: Limit of the whole process. The slowest catalog of 20 MB takes 4 seconds on an idle machine.
PARSE_SECONDS: Final = 180.0
#: Interval of checking whether the server stops.
CHECK_SECONDS: Final = 0.1
#: Entries of one message: 100 entries of the longest texts take 10 ms to decode.
_PART: Final = 100
_PIPE_BYTES: Final = 1 << 16


class _Part(msgspec.Struct, tag=True):
    entries: list[KevEntry]
    problems: list[EntryProblem]
    unsettled: list[str]


class _Done(msgspec.Struct, tag=True):
    """All parts are sent."""

    version: str


class _Refused(msgspec.Struct, tag=True):
    """The text of a KevError."""

    message: str


class _Crashed(msgspec.Struct, tag=True):
    """The traceback of an unexpected error."""

    traceback: str


_Message: TypeAlias = _Part | _Done | _Refused | _Crashed

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Message).decode


class ParsingFailedError(Exception):
    """An unexpected error in the process that parses a catalog; the text is its traceback."""


def parse_in_process(body: bytes, is_stopping: Callable[[], bool] = lambda: False) -> Catalog:
    """Parse a catalog as `parse_catalog` does, in a process of its own.

    The process is killed when `is_stopping` returns true, or after PARSE_SECONDS. Raises KevError,
    also if the process ends without a result.
    """
    with start_module(__name__) as process:
        try:
            output = _exchange(process, body, is_stopping)
        except BaseException:
            process.kill()
            raise
    return _catalog_of(output, process.returncode)


def _exchange(
    process: subprocess.Popen[bytes], body: bytes, is_stopping: Callable[[], bool]
) -> bytes:
    """Send the catalog and return the output of the process."""
    assert process.stdin is not None
    assert process.stdout is not None
    source, target = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(source, False)
    poller = select.poll()
    poller.register(source, select.POLLOUT)
    poller.register(target, select.POLLIN)
    end = time.monotonic() + PARSE_SECONDS
    rest, output = memoryview(body), bytearray()
    while True:
        if is_stopping():
            raise KevError("the server is stopping")
        if time.monotonic() > end:
            raise KevError(f"the catalog was not parsed within {PARSE_SECONDS:g} seconds")
        for descriptor, _ in poller.poll(CHECK_SECONDS * 1000):
            if descriptor == target:
                data = os.read(target, _PIPE_BYTES)
                if not data:
                    return bytes(output)
                output += data
                continue
            try:
                rest = rest[os.write(source, rest[:_PIPE_BYTES]) :]
            except BrokenPipeError:
                # The exit status of the process explains its end.
                rest = rest[:0]
            if not rest:
                poller.unregister(source)
                process.stdin.close()


def _catalog_of(output: bytes, status: int) -> Catalog:
    """Return the catalog that a process wrote before it ended with a status."""
    entries: dict[str, KevEntry] = {}
    problems: list[EntryProblem] = []
    unsettled: set[str] = set()
    for line in output.splitlines():
        try:
            message = _decode(line)
        except msgspec.DecodeError:
            # The process was killed while it wrote the message.
            break
        match message:
            case _Part():
                entries.update((entry.cve_id, entry) for entry in message.entries)
                problems += message.problems
                unsettled.update(message.unsettled)
            case _Done(version):
                return Catalog(version, entries, frozenset(unsettled), tuple(problems))
            case _Refused(text):
                raise KevError(text)
            case _Crashed(trace):
                raise ParsingFailedError(f"the process that parses the catalog failed:\n{trace}")
    how = describe_status(status)
    logger.error(
        "the process that parses the KEV catalog ended before its result",
        extra=log_setup.fields(status=how),
    )
    raise KevError(f"the process that parses the catalog ended unexpectedly ({how})")


def main() -> None:
    """Parse the catalog of standard input and write the messages."""
    lower_priority()
    with take_output() as target:
        for message in _messages(sys.stdin.buffer.read()):
            target.write(_encode(message) + b"\n")


def _messages(body: bytes) -> Iterator[_Message]:
    try:
        catalog = parse_catalog(body)
    except KevError as error:
        yield _Refused(str(error))
        return
    except Exception:
        yield _Crashed(traceback.format_exc())
        return
    entries, unsettled = list(catalog.entries.values()), sorted(catalog.unsettled)
    for start in range(0, max(map(len, (entries, catalog.problems, unsettled))), _PART):
        part = slice(start, start + _PART)
        yield _Part(entries[part], list(catalog.problems[part]), unsettled[part])
    yield _Done(catalog.version)


if __name__ == "__main__":
    main()
