"""Collaborative editing: rows S125 to S132."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core.testing import TestClient, settle
from tests.contract.support import HubHarness


def events(client: TestClient, name: str) -> list[dict[str, Any]]:
    """Return the payloads of the received `user-<name>-editing` events."""
    return [args[0] for args in client.events(f"user-{name}-editing")]


async def start(client: TestClient, kind: Any = "ticket", number: Any = "5") -> dict[str, Any]:
    answer = await client.emit_with_ack("start-editing", kind, number)
    assert isinstance(answer, dict)
    return answer


async def test_s125_editor_is_listed_once_when_editing_starts_repeatedly(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    for _ in range(3):
        answer = await start(client)
        assert len(answer["currentEditors"]) == 1
    assert len(events(other, "started")) == 1
    await client.emit_with_ack("stop-editing", "ticket", "5")
    assert len(events(other, "stopped")) == 1
    assert len((await start(other))["currentEditors"]) == 1


async def test_s125_resource_keys_are_unambiguous_when_an_id_contains_a_separator(
    hub: HubHarness,
) -> None:
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
async def test_s126_invalid_resource_is_rejected_by_field(
    hub: HubHarness, kind: Any, number: Any, path: str
) -> None:
    client = await hub.client()
    for event in ("start-editing", "stop-editing", "watch-resource", "unwatch-resource"):
        answer = await client.emit_with_ack(event, kind, number)
        assert (answer["code"], answer["fields"][0]["path"]) == ("VALIDATION_ERROR", path)


async def test_s126_socket_edits_at_most_20_resources(hub: HubHarness) -> None:
    client = await hub.client()
    for number in range(20):
        assert (await start(client, "device", number))["success"]
    assert (await start(client, "device", 20))["code"] == "CONFLICT"
    assert (await start(client, "device", 3))["success"]
    await client.emit_with_ack("stop-editing", "device", 3)
    assert (await start(client, "device", 20))["success"]


async def test_s126_idle_editor_is_removed(start_hub: Any) -> None:
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


async def test_s127_other_users_are_notified_of_the_first_socket_of_an_editor(
    hub: HubHarness,
) -> None:
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
async def scoped_hub(start_hub: Any) -> HubHarness:
    """Start a hub that sends editing events only to watchers of the resource."""
    hub: HubHarness = await start_hub(presence_scope="watchers", max_rooms=6)
    return hub


async def watch(client: TestClient, kind: Any = "ticket", number: Any = "5") -> dict[str, Any]:
    answer = await client.emit_with_ack("watch-resource", kind, number)
    assert isinstance(answer, dict)
    return answer


async def test_s127_s134_only_watchers_are_notified_when_the_scope_is_watchers(
    scoped_hub: HubHarness,
) -> None:
    editor, watcher, other_watcher, other = [
        await scoped_hub.client(user) for user in ("7", "8", "9", "10")
    ]
    assert await watch(watcher) == {"success": True, "currentEditors": []}
    assert (await watch(other_watcher, "device"))["success"]
    await start(editor)
    await editor.emit_with_ack("stop-editing", "ticket", "5")
    assert [len(events(watcher, name)) for name in ("started", "stopped")] == [1, 1]
    for client in (editor, other_watcher, other):
        assert client.received == []


async def test_s127_editor_watches_the_resource_until_editing_stops(scoped_hub: HubHarness) -> None:
    first, second = await scoped_hub.client("7"), await scoped_hub.client("8")
    await start(first, "ticket", 5)
    await start(second, "ticket", "5")
    assert len(events(first, "started")) == 1
    await first.emit_with_ack("stop-editing", "ticket", 5)
    await second.emit_with_ack("stop-editing", "ticket", 5)
    assert events(first, "stopped") == []
    assert len(events(second, "stopped")) == 1


async def test_s127_watching_and_editing_end_independently(
    scoped_hub: HubHarness,
) -> None:
    client, other = await scoped_hub.client("7"), await scoped_hub.client("8")
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


async def test_s127_watch_ack_lists_current_editors(hub: HubHarness) -> None:
    editor, watcher = await hub.client("7"), await hub.client("8")
    await start(editor)
    (found,) = (await watch(watcher))["currentEditors"]
    assert (found["userId"], "socketId" in found) == ("7", False)


async def test_s126_watching_is_refused_when_the_room_limit_is_reached(
    scoped_hub: HubHarness,
) -> None:
    client = await scoped_hub.client("7")
    free = 6 - len(scoped_hub.io.sockets[client.id].rooms)
    for number in range(free):
        assert (await watch(client, "device", number))["success"]
    for operation in (watch, start):
        assert (await operation(client, "device", free))["code"] == "CONFLICT"
    assert len(scoped_hub.application.services.editing) == 0
    assert (await watch(client, "device", 0))["success"]
    await client.emit_with_ack("unwatch-resource", "device", 0)
    assert (await watch(client, "device", free))["success"]


async def test_s132_recovered_watcher_is_notified_when_an_editor_is_lost(
    scoped_hub: HubHarness,
) -> None:
    editor, watcher = await scoped_hub.client("7"), await scoped_hub.client("8")
    await watch(watcher)
    await start(editor)
    watcher.connection.cut()
    editor.connection.cut()
    reconnected = await scoped_hub.client("8", pid=watcher.pid)
    await scoped_hub.advance(11)
    assert len(events(reconnected, "stopped")) == 1


@pytest.mark.parametrize(("scope", "expected"), [("everyone", ["5", "6"]), ("watchers", ["6"])])
async def test_s086_s128_get_data_lists_editors_within_the_presence_scope(
    start_hub: Any, scope: str, expected: list[str]
) -> None:
    """The result has no socket IDs; with the scope `watchers`, it lists watched resources only."""
    hub: HubHarness = await start_hub(presence_scope=scope)
    editor, admin = await hub.client("7"), await hub.client("1", "admin")
    await start(editor, "ticket", "5")
    await start(editor, "ticket", "6")
    await watch(admin, "ticket", "6")
    query = {"resource": "editors", "sort": "resourceId"}
    answer = await admin.emit_with_ack("get-data", query)
    assert [each["resourceId"] for each in answer["data"]] == expected
    assert answer["pagination"]["total"] == len(expected)
    assert editor.id not in str(answer)


async def test_s128_current_editors_contain_only_the_own_socket_id(
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


async def test_s129_stop_editing_succeeds_when_editing_has_not_started(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    assert await client.emit_with_ack("stop-editing", "ticket", "5") == {"success": True}
    client.emit("stop-editing", "ticket", "5")
    await settle()
    assert client.received == other.received == []


async def test_s130_other_users_are_notified_when_the_last_socket_stops(hub: HubHarness) -> None:
    first, second, other = [await hub.client(user) for user in ("7", "7", "8")]
    await start(first)
    await start(second)
    await first.emit_with_ack("stop-editing", "ticket", "5")
    assert events(other, "stopped") == []
    await second.emit_with_ack("stop-editing", "ticket", "5")
    (payload,) = events(other, "stopped")
    assert payload["userId"] == "7"
    assert payload["user"] == {"id": "7", "username": "7"}


async def test_s131_editor_name_comes_from_the_principal(hub: HubHarness) -> None:
    client = await hub.server.connect(
        auth={"token": hub.token("7", username="alice"), "username": "mallory"}
    )
    answer = await start(client)
    assert answer["currentEditors"][0]["username"] == "alice"


async def test_s132_editor_is_removed_when_the_client_disconnects(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    await start(client)
    client.disconnect()
    await settle()
    assert len(events(other, "stopped")) == 1
    assert len(hub.application.services.editing) == 0


async def test_s132_editor_is_removed_after_a_grace_period_when_the_connection_is_lost(
    hub: HubHarness,
) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    await start(client)
    client.connection.cut()
    await hub.advance(9)
    assert events(other, "stopped") == []
    await hub.advance(2)
    assert len(events(other, "stopped")) == 1
    assert len(hub.application.services.editing) == 0


async def test_s132_editor_is_kept_when_the_client_recovers_in_time(hub: HubHarness) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    await start(client)
    client.connection.cut()
    await hub.advance(5)
    reconnected = await hub.client("7", pid=client.pid)
    assert reconnected.id == client.id
    await hub.advance(60)
    assert events(other, "stopped") == []
    assert (await start(reconnected))["currentEditors"][0]["socketId"] == reconnected.id
    assert len(events(other, "started")) == 1


async def test_s132_editor_is_removed_at_once_when_recovery_is_disabled(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(recovery_seconds=0.0)
    client, other = await hub.client("7"), await hub.client("8")
    await start(client)
    client.connection.cut()
    await settle()
    assert len(events(other, "stopped")) == 1
