"""Messages between the server and the process that reads a file: JSON, one per line.

The server sends a `ReadRequest`; the process answers with `Opened`, any number of `Position`, and
one of the other messages. A file is untrusted, and so is the process that has parsed it: the server
decodes its messages by these types and runs nothing from them.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from hextrackr_server.errors import FieldProblem
from hextrackr_server.imports.reading import ReadOutcome, ReadRequest


class Opened(msgspec.Struct, tag=True):
    """The file has the format with this title."""

    title: str


class Position(msgspec.Struct, tag=True):
    """The process has read up to a position in bytes, and a number of rows."""

    position: int
    rows: int


class Done(msgspec.Struct, tag=True):
    """The file is read, and the stage file is complete."""

    outcome: ReadOutcome


class Refused(msgspec.Struct, tag=True):
    """The arguments of a FileRefusedError."""

    message: str
    lacking: list[tuple[str, str]]


class Rejected(msgspec.Struct, tag=True):
    """The arguments of a ServiceError."""

    code: str
    message: str
    fields: list[FieldProblem]


class SystemFailed(msgspec.Struct, tag=True):
    """The number of an OSError, such as that of a full disk, and its text."""

    number: int
    message: str


class Crashed(msgspec.Struct, tag=True):
    """The traceback of an unexpected error."""

    traceback: str


Message: TypeAlias = Opened | Position | Done | Refused | Rejected | SystemFailed | Crashed

encode = msgspec.json.Encoder().encode
decode_message = msgspec.json.Decoder(Message).decode
decode_request = msgspec.json.Decoder(ReadRequest).decode
