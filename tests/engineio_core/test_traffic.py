"""The counters of messages that an engine keeps on request."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import ModuleType

import pytest

from engineio_core import session, traffic
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.session import Session
from tests.helpers.client import Server


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_traffic_counts_messages_without_pings(transport: str) -> None:
    server = Server()
    counts = server.engine._count_traffic()
    client = server.open(transport)
    sender = server.sessions[-1]
    client.send("hello")
    client.send("ä")
    sender.send_text("hey")
    sender.send(EncodedPacket(b"\x00\x01", is_binary=True))
    sender._send_ping()
    assert (counts.packets_in, counts.bytes_in) == (2, 9)
    assert (counts.packets_out, counts.bytes_out) == (2, 6)
    sender.close(discard=True)
    sender.send_text("late")
    assert counts.packets_out == 2


def test_traffic_has_the_same_counters_for_each_caller() -> None:
    server = Server()
    assert server.engine._count_traffic() is server.engine._count_traffic()


def test_sessions_are_plain_without_counters() -> None:
    server = Server()
    server.open("websocket")
    assert type(server.sessions[-1]) is Session


def statements(class_name: str, method: str, module: ModuleType) -> list[str]:
    """Return the statements of a method, without its counters, comments and docstring.

    The sources of compiled modules are in the same folder.
    """
    assert module.__file__ is not None
    path = Path(module.__file__).with_name(f"{module.__name__.rpartition('.')[2]}.py")
    (definition,) = (
        function
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and node.name == class_name
        for function in node.body
        if isinstance(function, ast.FunctionDef) and function.name == method
    )
    body = definition.body[1:] if ast.get_docstring(definition) else definition.body
    lines = "\n".join(map(ast.unparse, body)).splitlines()
    return [line for line in lines if not re.search(r"nonlocal| \+= ", line)]


@pytest.mark.parametrize(
    ("name", "original"), [("send", "send"), ("_send_reply", "send"), ("send_bare", "send_bare")]
)
def test_counting_session_repeats_the_methods_of_a_session(name: str, original: str) -> None:
    counting = statements("CountingSession", name, traffic)
    assert counting == statements("Session", original, session)


def test_counting_session_repeats_the_receipt_of_a_message() -> None:
    counting = statements("CountingSession", "_receive_text", traffic)
    plain = statements("Session", "_receive_text", session)
    assert counting[:8] == plain[:8]
