"""Editing together: rows S125 to S132."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core.testing import TestClient, settle
from tests.contract.support import HubHarness


def events(client: TestClient, name: str) -> list[dict[str, Any]]:
    return [args[0] for args in client.events(f"user-{name}-editing")]


async def start(client: TestClient, kind: Any = "ticket", number: Any = "5") -> dict[str, Any]:
    answer = await client.emit_with_ack("start-editing", kind, number)
    assert isinstance(answer, dict)
    return answer


async def test_s125_an_editor_is_there_once_however_often_he_starts(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    for _ in range(3):
        answer = await start(client)
        assert len(answer["currentEditors"]) == 1
    assert len(events(other, "started")) == 1
    await client.emit_with_ack("stop-editing", "ticket", "5")
    assert len(events(other, "stopped")) == 1
    assert len((await start(other))["currentEditors"]) == 1


async def test_s125_keys_cannot_be_confused_by_separators(hub: HubHarness) -> None:
    first, second = await hub.client("7"), await hub.client("8")
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
    hub: HubHarness, kind: Any, number: Any, path: str
) -> None:
    client = await hub.client()
    for event in ("start-editing", "stop-editing", "watch-resource", "unwatch-resource"):
        answer = await client.emit_with_ack(event, kind, number)
        assert (answer["code"], answer["fields"][0]["path"]) == ("VALIDATION_ERROR", path)


async def test_s126_a_socket_edits_20_resources_at_most(hub: HubHarness) -> None:
    client = await hub.client()
    for number in range(20):
        assert (await start(client, "device", number))["success"]
    assert (await start(client, "device", 20))["code"] == "CONFLICT"
    assert (await start(client, "device", 3))["success"]
    await client.emit_with_ack("stop-editing", "device", 3)
    assert (await start(client, "device", 20))["success"]


async def test_s126_who_does_nothing_for_long_edits_no_more(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(editing_idle_seconds=100.0)
    client, other = await hub.client("7"), await hub.client("8")
    await start(client, "ticket", "1")
    await start(client, "ticket", "2")
    await hub.advance(90)
    await start(client, "ticket", "2")
    await hub.advance(30)
    assert [each["resourceId"] for each in events(other, "stopped")] == ["1"]
    await hub.advance(100)
    assert [each["resourceId"] for each in events(other, "stopped")] == ["1", "2"]


async def test_s127_others_hear_of_the_first_socket_of_a_user(hub: HubHarness) -> None:
    first, second, other = [await hub.client(user) for user in ("7", "7", "8")]
    await start(first, "ticket", 5)
    await start(second, "ticket", 5)
    (payload,) = events(other, "started")
    assert payload == {
        "resourceType": "ticket",
        "resourceId": 5,
        "userId": "7",
        "user": {"id": "7", "username": "7"},
        "timestamp": hub.clock.epoch_ms(),
    }
    assert events(first, "started") == []


@pytest.fixture
async def scoped(start_hub: Any) -> HubHarness:
    """A hub whose presence is for those who watch."""
    hub: HubHarness = await start_hub(presence_scope="watchers", max_rooms=6)
    return hub


async def watch(client: TestClient, kind: Any = "ticket", number: Any = "5") -> dict[str, Any]:
    answer = await client.emit_with_ack("watch-resource", kind, number)
    assert isinstance(answer, dict)
    return answer


async def test_s127_s134_in_the_scope_of_watchers_only_they_hear_of_editors(
    scoped: HubHarness,
) -> None:
    editor, watcher, elsewhere, other = [
        await scoped.client(user) for user in ("7", "8", "9", "10")
    ]
    assert await watch(watcher) == {"success": True, "currentEditors": []}
    assert (await watch(elsewhere, "device"))["success"]
    await start(editor)
    await editor.emit_with_ack("stop-editing", "ticket", "5")
    assert [len(events(watcher, name)) for name in ("started", "stopped")] == [1, 1]
    for client in (editor, elsewhere, other):
        assert client.received == []


async def test_s127_who_edits_watches_until_he_stops(scoped: HubHarness) -> None:
    first, second = await scoped.client("7"), await scoped.client("8")
    await start(first, "ticket", 5)
    await start(second, "ticket", "5")
    assert len(events(first, "started")) == 1
    await first.emit_with_ack("stop-editing", "ticket", 5)
    await second.emit_with_ack("stop-editing", "ticket", 5)
    assert events(first, "stopped") == []
    assert len(events(second, "stopped")) == 1


async def test_s127_watching_goes_on_where_editing_ends_and_the_other_way_round(
    scoped: HubHarness,
) -> None:
    client, other = await scoped.client("7"), await scoped.client("8")
    await watch(client)
    await start(client)
    await client.emit_with_ack("stop-editing", "ticket", "5")
    await start(other)
    assert len(events(client, "started")) == 1
    await start(client)
    assert await client.emit_with_ack("unwatch-resource", "ticket", "5") == {"success": True}
    await other.emit_with_ack("stop-editing", "ticket", "5")
    assert len(events(client, "stopped")) == 1
    await client.emit_with_ack("stop-editing", "ticket", "5")
    await start(other)
    assert len(events(client, "started")) == 1


async def test_s127_who_watches_learns_who_edits_already(hub: HubHarness) -> None:
    editor, watcher = await hub.client("7"), await hub.client("8")
    await start(editor)
    (found,) = (await watch(watcher))["currentEditors"]
    assert (found["userId"], "socketId" in found) == ("7", False)


async def test_s126_a_socket_watches_as_many_resources_as_it_may_have_rooms(
    scoped: HubHarness,
) -> None:
    client = await scoped.client("7")
    free = 6 - len(scoped.io.sockets[client.id].rooms)
    for number in range(free):
        assert (await watch(client, "device", number))["success"]
    for attempt in (watch, start):
        assert (await attempt(client, "device", free))["code"] == "CONFLICT"
    assert len(scoped.application.services.editing) == 0
    assert (await watch(client, "device", 0))["success"]
    await client.emit_with_ack("unwatch-resource", "device", 0)
    assert (await watch(client, "device", free))["success"]


async def test_s132_watchers_hear_of_who_was_cut_off_and_watch_on_when_they_come_back(
    scoped: HubHarness,
) -> None:
    editor, watcher = await scoped.client("7"), await scoped.client("8")
    await watch(watcher)
    await start(editor)
    watcher.connection.cut()
    editor.connection.cut()
    back = await scoped.client("8", pid=watcher.pid)
    await scoped.advance(11)
    assert len(events(back, "stopped")) == 1


@pytest.mark.parametrize(("scope", "seen"), [("everyone", ["5", "6"]), ("watchers", ["6"])])
async def test_s086_s128_get_data_shows_the_editors_that_one_hears_of(
    start_hub: Any, scope: str, seen: list[str]
) -> None:
    """Who edits what now: no socket is named, and watchers see what they watch."""
    hub: HubHarness = await start_hub(presence_scope=scope)
    editor, asker = await hub.client("7"), await hub.client("1", "admin")
    await start(editor, "ticket", "5")
    await start(editor, "ticket", "6")
    await watch(asker, "ticket", "6")
    question = {"resource": "editors", "sort": "resourceId"}
    answer = await asker.emit_with_ack("get-data", question)
    assert [each["resourceId"] for each in answer["data"]] == seen
    assert answer["pagination"]["total"] == len(seen)
    assert editor.id not in str(answer)


async def test_s128_current_editors_are_users_and_only_ones_own_socket_is_named(
    hub: HubHarness,
) -> None:
    first, second, other = [await hub.client(user) for user in ("7", "7", "8")]
    await start(first)
    await hub.advance(1)
    await start(second)
    answer = await start(other)
    assert answer == {
        "success": True,
        "currentEditors": [
            {"userId": "7", "username": "7", "startTime": hub.clock.epoch_ms() - 1000},
            {
                "userId": "8",
                "username": "8",
                "startTime": hub.clock.epoch_ms(),
                "socketId": other.id,
            },
        ],
    }


async def test_s129_stopping_may_be_answered_and_need_not_have_begun(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    assert await client.emit_with_ack("stop-editing", "ticket", "5") == {"success": True}
    client.emit("stop-editing", "ticket", "5")
    await settle()
    assert client.received == other.received == []


async def test_s130_others_hear_when_the_last_socket_of_a_user_stops(hub: HubHarness) -> None:
    first, second, other = [await hub.client(user) for user in ("7", "7", "8")]
    await start(first)
    await start(second)
    await first.emit_with_ack("stop-editing", "ticket", "5")
    assert events(other, "stopped") == []
    await second.emit_with_ack("stop-editing", "ticket", "5")
    (payload,) = events(other, "stopped")
    assert payload["userId"] == "7"
    assert payload["user"] == {"id": "7", "username": "7"}


async def test_s131_the_name_is_the_principals(hub: HubHarness) -> None:
    client = await hub.server.connect(
        auth={"token": hub.token("7", username="alice"), "username": "mallory"}
    )
    answer = await start(client)
    assert answer["currentEditors"][0]["username"] == "alice"


async def test_s132_who_leaves_is_no_ghost(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    await start(client)
    client.disconnect()
    await settle()
    assert len(events(other, "stopped")) == 1
    assert len(hub.application.services.editing) == 0


async def test_s132_who_is_cut_off_has_a_grace(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    await start(client)
    client.connection.cut()
    await hub.advance(9)
    assert events(other, "stopped") == []
    await hub.advance(2)
    assert len(events(other, "stopped")) == 1
    assert len(hub.application.services.editing) == 0


async def test_s132_who_comes_back_in_time_edits_on(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    await start(client)
    client.connection.cut()
    await hub.advance(5)
    back = await hub.client("7", pid=client.pid)
    assert back.id == client.id
    await hub.advance(60)
    assert events(other, "stopped") == []
    assert (await start(back))["currentEditors"][0]["socketId"] == back.id
    assert len(events(other, "started")) == 1


async def test_s132_without_recovery_there_is_no_grace(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(recovery_seconds=0.0)
    client, other = await hub.client("7"), await hub.client("8")
    await start(client)
    client.connection.cut()
    await settle()
    assert len(events(other, "stopped")) == 1
