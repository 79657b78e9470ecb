"""The notifications of the PostgreSQL adapter: form, limits, repetitions and gaps."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_core.adapters.cluster.message import (
    Message,
    MessageError,
    MessageType,
    decode_message,
    encode_message,
)
from socketio_core.adapters.postgres.format import (
    MAX_NOTIFICATION,
    Notification,
    Senders,
    encode_content,
    encode_head,
    fits,
    parse_notification,
)

SERVER = "0123456789abcdef"


@pytest.mark.parametrize(("value", "start"), [("a", "{"), ("é", "="), (b"\x00\xff", "=")])
def test_message_survives_a_notification(value: Any, start: str) -> None:
    data = {"packet": {"type": 2, "data": ["x", value]}, "opts": {"rooms": ["a:b"]}}
    message = Message(MessageType.BROADCAST, data, "uid", "/")
    content = encode_content(encode_message(message))
    payload = encode_head(SERVER, 7, "receiver") + content
    assert content.startswith(start)
    assert payload.isascii()
    parsed = parse_notification(payload)
    assert parsed[:3] == (SERVER, 7, "receiver")
    assert parsed.message is not None
    assert decode_message(parsed.message) == message


def test_reference_to_a_row_is_parsed() -> None:
    assert parse_notification(f"{SERVER}:1::#42") == Notification(SERVER, 1, "", None, 42)


def test_check_of_the_connection_has_no_message() -> None:
    assert parse_notification(f"{SERVER}:1::") == Notification(SERVER, 1, "", None, None)


def test_longest_notification_has_7999_bytes() -> None:
    head = encode_head(SERVER, 1, "")
    assert fits(head, "x" * (MAX_NOTIFICATION - len(head)))
    assert not fits(head, "x" * (MAX_NOTIFICATION - len(head) + 1))


@pytest.mark.parametrize("payload", [
    "", "a", "a:1:", "a::x:{}", "a:-1::{}", "a:1.5::{}", "a:٣::{}", f"a:{'9' * 19}::{{}}",
    "a:1::x", "a:1::#", "a:1::#x", "a:1::=a",
])  # fmt: skip
def test_invalid_notification_is_refused(payload: str) -> None:
    with pytest.raises(MessageError):
        parse_notification(payload)


@given(st.text())
def test_any_text_is_parsed_or_refused(payload: str) -> None:
    try:
        parsed = parse_notification(payload)
    except MessageError:
        return
    assert payload.startswith(f"{parsed.server}:")


def test_repetition_is_ignored_and_a_gap_counted() -> None:
    senders = Senders()
    numbers = [5, 6, 6, 5, 9, 8, 10]
    assert [senders.accept("a", number) for number in numbers] == [
        True, True, False, False, True, False, True,
    ]  # fmt: skip
    assert senders.lost == 2
    assert senders.accept("b", 100)
    assert senders.lost == 2


def test_senders_are_bounded() -> None:
    senders = Senders()
    for number in range(Senders.MAX_SENDERS + 5):
        senders.accept(str(number), 1)
    assert senders.accept("0", 1)  # forgotten
    assert not senders.accept(str(Senders.MAX_SENDERS), 1)
