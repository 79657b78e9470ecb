"""The counters of messages that an engine keeps on request."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from engineio_core.build import build_name
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.session import Session
from engineio_core.traffic import make_counting_session
from tests.helpers.client import Server


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_traffic_counts_messages_without_pings(transport: str) -> None:
    server = Server()
    traffic = server.engine._count_traffic()
    client = server.open(transport)
    session = server.sessions[-1]
    client.send("hello")
    client.send("ä")
    session.send_text("hey")
    session.send(EncodedPacket(b"\x00\x01", is_binary=True))
    session._send_ping()
    assert (traffic.packets_in, traffic.bytes_in) == (2, 9)
    assert (traffic.packets_out, traffic.bytes_out) == (2, 6)
    session.close(discard=True)
    session.send_text("late")
    assert traffic.packets_out == 2


def test_traffic_has_the_same_counters_for_each_caller() -> None:
    server = Server()
    assert server.engine._count_traffic() is server.engine._count_traffic()


def test_sessions_are_plain_without_counters() -> None:
    server = Server()
    server.open("websocket")
    assert type(server.sessions[-1]) is Session


NEEDS_SOURCE = pytest.mark.skipif(
    build_name() == "compiled", reason="compares source texts, which compiled methods do not have"
)


def statements(function: Callable[..., Any]) -> list[str]:
    """Return the statements of a method, without its counters, comments and docstring."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    body = definition.body[1:] if ast.get_docstring(definition) else definition.body
    lines = "\n".join(map(ast.unparse, body)).splitlines()
    return [line for line in lines if not re.search(r"nonlocal| \+= ", line)]


@NEEDS_SOURCE
@pytest.mark.parametrize(
    ("name", "original"), [("send", "send"), ("_send_reply", "send"), ("send_bare", "send_bare")]
)
def test_counting_session_repeats_the_methods_of_a_session(name: str, original: str) -> None:
    counting, _ = make_counting_session()
    assert statements(getattr(counting, name)) == statements(getattr(Session, original))


@NEEDS_SOURCE
def test_counting_session_repeats_the_receipt_of_a_message() -> None:
    counting = statements(make_counting_session()[0]._receive_text)
    plain = statements(Session._receive_text)
    assert counting[:8] == plain[:8]
