"""The AsyncAPI document of a server; tests/interop validates it with the official schema."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core import SocketServer
from tests.socketio_core.schema.documented import documented_server


@pytest.fixture
def document() -> dict[str, Any]:
    return documented_server().asyncapi("Board", "2.0.0", description="A board")


def test_head_names_the_application(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert document["info"] == {"title": "Board", "version": "2.0.0", "description": "A board"}
    assert "servers" not in document


def test_namespaces_are_channels(document: dict[str, Any]) -> None:
    channels = {key: each["address"] for key, each in document["channels"].items()}
    assert channels == {"main": "/", "admin": "/admin", "org-d": None}
    assert document["channels"]["org-d"]["title"] == r"Namespace /org-\d+"


def test_event_with_one_argument_has_its_schema_as_the_payload(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]
    assert messages["task-moved"] == {
        "name": "task:moved",
        "summary": "Report a moved task.",
        "description": "Also to the user who moved the task.",
        "payload": {"$ref": "#/components/schemas/Task"},
        "x-arguments": ["task"],
    }
    assert document["operations"]["send-main-task-moved"] == {
        "action": "send",
        "channel": {"$ref": "#/channels/main"},
        "messages": [{"$ref": "#/channels/main/messages/task-moved"}],
    }


def test_event_with_several_arguments_has_an_array_as_the_payload(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]
    assert messages["confirm"]["payload"] == {
        "type": "array",
        "items": [{"type": "string"}, {"type": "integer"}],
        "minItems": 1,
    }
    again = next(each for each in messages.values() if each["name"] == "task/move")
    assert again["payload"]["additionalItems"] == {"type": "string"}
    assert messages["ping"]["payload"] == {"type": "array"}


def test_ack_is_the_reply(document: dict[str, Any]) -> None:
    reply = document["operations"]["receive-main-task-move-2"]["reply"]
    assert [each["$ref"].rpartition("/")[2] for each in reply["messages"]] == [
        "task-move-ack-2",
        "refusal",
    ]
    messages = document["components"]["messages"]
    assert messages["refusal"]["payload"] == {"$ref": "#/components/schemas/Refusal"}
    assert messages["confirm-ack"]["payload"] == {"type": "boolean"}
    confirmed = document["operations"]["send-main-confirm"]["reply"]["messages"]
    assert len(confirmed) == 1, "a client sends no refusal"
    assert "reply" not in document["operations"]["receive-main-ping"]


def test_reply_is_an_array_when_the_ack_has_any_number_of_arguments(
    document: dict[str, Any],
) -> None:
    payload = document["components"]["messages"]["columns-ack"]["payload"]
    assert payload == {"type": "array", "items": {"type": "string"}}


def test_schemas_have_the_keywords_of_draft_7(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["TaskInput"]["required"] == ["id"]
    assert schemas["Task"]["required"] == ["id", "column"]
    assert schemas["Task"]["properties"]["id"] == {"type": "integer", "minimum": 1}
    pet = document["components"]["messages"]["pet"]["payload"]
    assert pet["discriminator"] == "kind"
    assert "prefixItems" not in str(document)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://a.example/x/socket.io", {"protocol": "wss", "pathname": "/x/socket.io"}),
        ("http://a.example", {"protocol": "ws"}),
    ],
)
def test_url_is_the_server(url: str, server: dict[str, str]) -> None:
    found = SocketServer().asyncapi(url=url)["servers"]["server"]
    assert found == {"host": "a.example", **server}


def test_url_without_a_host_is_refused() -> None:
    with pytest.raises(ValueError, match=r"https://example.com/socket.io, got 'example'"):
        SocketServer().asyncapi(url="example")
