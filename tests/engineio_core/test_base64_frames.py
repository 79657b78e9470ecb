"""Binary messages as base64 text over WebSocket: `forceBase64` of the official client."""

from __future__ import annotations

import base64

import pytest

from tests.helpers.client import Server


@pytest.mark.parametrize("data", [b"\x00\x01\xff", b"", b"x" * 10_000])
def test_base64_text_frame_is_a_binary_message(data: bytes) -> None:
    server = Server(echo=True)
    client = server.open_websocket()
    client.send_packet("b" + base64.b64encode(data).decode())
    assert server.received == [data]
    assert client.messages() == [data]
    assert server.closed == []


def test_invalid_base64_text_frame_ends_the_session() -> None:
    server = Server()
    client = server.open_websocket()
    client.send_packet("bA")
    assert server.reasons == ["parse error"]


def test_base64_text_frame_does_not_upgrade_a_session() -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    candidate.send_packet("bAQ==")
    assert candidate.is_over
    assert server.received == []
