"""Server options: misspelled names and invalid values."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import MsgpackParser, SocketServer


@pytest.mark.parametrize(("name", "suggestion"), [
    ("pingInterval", "ping_interval"), ("maxHttpBufferSize", "max_http_buffer_size"),
    ("connectTimeout", "connect_timeout"), ("perMessageDeflate", "per_message_deflate"),
])  # fmt: skip
def test_node_spelling_of_an_option_is_rejected_with_the_right_name(
    name: str, suggestion: str
) -> None:
    with pytest.raises(TypeError, match=f"unknown option {name}: did you mean {suggestion}?"):
        SocketServer(**{name: 25})  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [
    {"connect_timeout": 0}, {"refused_timeout": 0}, {"handler_timeout": 0},
    {"max_pending_handlers": 0}, {"max_namespaces": 0}, {"max_child_namespaces": 0},
    {"max_namespaces": "5"}, {"connect_timeout": "45"}, {"handler_timeout": True},
])  # fmt: skip
def test_invalid_option_value_is_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SocketServer(**options)


@pytest.mark.parametrize(("options", "text"), [
    ({"recovery": True}, r"a Recovery instance or None, got True: write recovery=Recovery\(...\)"),
    ({"http_compression": False}, "instance or None, got False: write http_compression=None"),
    ({"parser": "msgpack"}, r"parser must be a parser such as MsgpackParser\(\), got 'msgpack'"),
    ({"parser": MsgpackParser}, "parser must be a parser such as"),
    ({"cors": "*"}, "cors must be a Cors instance"),
])  # fmt: skip
def test_option_of_another_type_is_rejected(options: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        SocketServer(**options)
