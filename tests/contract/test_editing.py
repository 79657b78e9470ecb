"""Editing together: rows S125 to S132."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core.testing import TestClient, settle
from tests.contract.support import Stage


def events(client: TestClient, name: str) -> list[dict[str, Any]]:
    return [args[0] for args in client.events(f"user-{name}-editing")]


async def start(client: TestClient, kind: Any = "ticket", number: Any = "5") -> dict[str, Any]:
    answer = await client.emit_with_ack("start-editing", kind, number)
    assert isinstance(answer, dict)
    return answer


async def test_s125_an_editor_is_there_once_however_often_he_starts(stage: Stage) -> None:
    client, other = await stage.client("7"), await stage.client("8")
    for _ in range(3):
        answer = await start(client)
        assert len(answer["currentEditors"]) == 1
    assert len(events(other, "started")) == 1
    await client.emit_with_ack("stop-editing", "ticket", "5")
    assert len(events(other, "stopped")) == 1
    assert len((await start(other))["currentEditors"]) == 1


async def test_s125_keys_cannot_be_confused_by_separators(stage: Stage) -> None:
    first, second = await stage.client("7"), await stage.client("8")
    await start(first, "ticket", "a:b")
    assert len((await start(second, "ticket", "a"))["currentEditors"]) == 1
    assert (await start(second, "ticket:a", "b"))["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    ("kind", "number", "path"),
    [
        (None, "5", "resourceType"),
        ("user", "5", "resourceType"),
        (["ticket"], "5", "resourceType"),
        ("ticket", None, "resourceId"),
        ("ticket", "", "resourceId"),
        ("ticket", "x" * 129, "resourceId"),
        ("ticket", {"id": 5}, "resourceId"),
        ("ticket", True, "resourceId"),
        ("ticket", "a\nb", "resourceId"),
    ],
)
async def test_s126_a_resource_has_a_known_type_and_an_id(
    stage: Stage, kind: Any, number: Any, path: str
) -> None:
    client = await stage.client()
    for event in ("start-editing", "stop-editing"):
        answer = await client.emit_with_ack(event, kind, number)
        assert (answer["code"], answer["fields"][0]["path"]) == ("VALIDATION_ERROR", path)


async def test_s126_a_socket_edits_20_resources_at_most(stage: Stage) -> None:
    client = await stage.client()
    for number in range(20):
        assert (await start(client, "device", number))["success"]
    assert (await start(client, "device", 20))["code"] == "CONFLICT"
    assert (await start(client, "device", 3))["success"]
    await client.emit_with_ack("stop-editing", "device", 3)
    assert (await start(client, "device", 20))["success"]


async def test_s126_who_does_nothing_for_long_edits_no_more(set_up: Any) -> None:
    stage: Stage = await set_up(editing_idle_seconds=100.0)
    client, other = await stage.client("7"), await stage.client("8")
    await start(client, "ticket", "1")
    await start(client, "ticket", "2")
    await stage.advance(90)
    await start(client, "ticket", "2")
    await stage.advance(30)
    assert [each["resourceId"] for each in events(other, "stopped")] == ["1"]
    await stage.advance(100)
    assert [each["resourceId"] for each in events(other, "stopped")] == ["1", "2"]


async def test_s127_others_hear_of_the_first_socket_of_a_user(stage: Stage) -> None:
    first, second, other = [await stage.client(user) for user in ("7", "7", "8")]
    await start(first, "ticket", 5)
    await start(second, "ticket", 5)
    (payload,) = events(other, "started")
    assert payload == {
        "resourceType": "ticket",
        "resourceId": 5,
        "userId": "7",
        "user": {"id": "7", "username": "7"},
        "timestamp": stage.clock.epoch_ms(),
    }
    assert events(first, "started") == []


async def test_s128_current_editors_are_users_and_only_ones_own_socket_is_named(
    stage: Stage,
) -> None:
    first, second, other = [await stage.client(user) for user in ("7", "7", "8")]
    await start(first)
    await stage.advance(1)
    await start(second)
    answer = await start(other)
    assert answer == {
        "success": True,
        "currentEditors": [
            {"userId": "7", "username": "7", "startTime": stage.clock.epoch_ms() - 1000},
            {
                "userId": "8",
                "username": "8",
                "startTime": stage.clock.epoch_ms(),
                "socketId": other.id,
            },
        ],
    }


async def test_s129_stopping_may_be_answered_and_need_not_have_begun(stage: Stage) -> None:
    client, other = await stage.client("7"), await stage.client("8")
    assert await client.emit_with_ack("stop-editing", "ticket", "5") == {"success": True}
    client.emit("stop-editing", "ticket", "5")
    await settle()
    assert client.received == other.received == []


async def test_s130_others_hear_when_the_last_socket_of_a_user_stops(stage: Stage) -> None:
    first, second, other = [await stage.client(user) for user in ("7", "7", "8")]
    await start(first)
    await start(second)
    await first.emit_with_ack("stop-editing", "ticket", "5")
    assert events(other, "stopped") == []
    await second.emit_with_ack("stop-editing", "ticket", "5")
    (payload,) = events(other, "stopped")
    assert payload["userId"] == "7"
    assert payload["user"] == {"id": "7", "username": "7"}


async def test_s131_the_name_is_the_principals(stage: Stage) -> None:
    client = await stage.server.connect(
        auth={"token": stage.token("7", username="alice"), "username": "mallory"}
    )
    answer = await start(client)
    assert answer["currentEditors"][0]["username"] == "alice"


async def test_s132_who_leaves_is_no_ghost(stage: Stage) -> None:
    client, other = await stage.client("7"), await stage.client("8")
    await start(client)
    client.disconnect()
    await settle()
    assert len(events(other, "stopped")) == 1
    assert len(stage.application.editing) == 0


async def test_s132_who_is_cut_off_has_a_grace(stage: Stage) -> None:
    client, other = await stage.client("7"), await stage.client("8")
    await start(client)
    client.connection.cut()
    await stage.advance(9)
    assert events(other, "stopped") == []
    await stage.advance(2)
    assert len(events(other, "stopped")) == 1
    assert len(stage.application.editing) == 0


async def test_s132_who_comes_back_in_time_edits_on(stage: Stage) -> None:
    client, other = await stage.client("7"), await stage.client("8")
    await start(client)
    client.connection.cut()
    await stage.advance(5)
    back = await stage.client("7", pid=client.pid)
    assert back.id == client.id
    await stage.advance(60)
    assert events(other, "stopped") == []
    assert (await start(back))["currentEditors"][0]["socketId"] == back.id
    assert len(events(other, "started")) == 1


async def test_s132_without_recovery_there_is_no_grace(set_up: Any) -> None:
    stage: Stage = await set_up(recovery_seconds=0.0)
    client, other = await stage.client("7"), await stage.client("8")
    await start(client)
    client.connection.cut()
    await settle()
    assert len(events(other, "stopped")) == 1
