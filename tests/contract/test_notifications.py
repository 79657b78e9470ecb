"""Notifications, announcements and maintenance: rows S64, S65 and S70 to S74."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.errors import ServiceError
from socketio_core.testing import TestClient, settle
from tests.contract.support import HubHarness
from tests.hextrackr_server.support import csv_text, finding_row


async def connect_to_all_namespaces(hub: HubHarness) -> dict[str, Any]:
    """Connect an admin to each namespace, each on a separate connection."""
    return {name: await hub.client("1", "admin", name) for name in ("/", "/admin", "/users")}


def make_restarted_hub(directory: Path, after: float, **settings: Any) -> HubHarness:
    """Return a hub on the same data, with a clock that is `after` seconds later."""
    hub = HubHarness(directory, **settings)
    hub.clock.advance(after)
    return hub


async def test_s064_system_notification_reaches_authenticated_clients(hub: HubHarness) -> None:
    client = await hub.client()
    anonymous = hub.server.open_connection()
    hub.application.services.notifications.system("warning", "Disk is full")
    (payload, *_) = await client.receive_event("system-notification")
    assert payload.pop("id")
    assert payload == {
        "type": "warning",
        "message": "Disk is full",
        "timestamp": hub.clock.epoch_ms(),
    }
    assert not anonymous.clients


async def test_s065_user_notification_reaches_all_sockets_of_its_user(hub: HubHarness) -> None:
    first, second, other = [await hub.client(user) for user in ("7", "7", "8")]
    number = hub.application.services.notifications.user("7", "import", "Done", {"importId": 5})
    for client in (first, second):
        (payload, *_) = await client.receive_event("user-notification")
        assert payload == {
            "id": number,
            "type": "import",
            "message": "Done",
            "data": {"importId": 5},
            "timestamp": hub.clock.epoch_ms(),
        }
    await settle()
    assert other.received == []


def notification_messages(client: TestClient) -> list[str]:
    """Return the messages of all received user notifications, with repetitions."""
    return [args[0]["message"] for args in client.events("user-notification")]


def enable_acks(client: TestClient) -> TestClient:
    """Let a client acknowledge all events, and those that it has received before."""
    client.auto_ack = lambda name, args: None
    for _, _, ack_id in client.unanswered:
        client.answer(ack_id)
    return client


async def stored_messages(hub: HubHarness, user: str = "7") -> list[str]:
    """Return the stored messages of a user, after all pending writes."""
    delivery = hub.application.services.delivery
    assert delivery is not None
    rows = await hub.application.services.writer.run(
        delivery._store.waiting, user, hub.clock.epoch_ms()
    )
    return [json.loads(each.payload)["message"] for each in rows]


async def test_s065_s138_ack_of_one_socket_removes_the_notification(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(notification_acks=True)
    silent, first, other = [await hub.client(user) for user in ("7", "7", "8")]
    enable_acks(first)
    number = hub.application.services.notifications.user("7", "import", "Done", {"importId": 5})
    assert await stored_messages(hub) == ["Done"]
    for client in (silent, first):
        assert (await client.receive_event("user-notification"))[0] == {
            "id": number,
            "type": "import",
            "message": "Done",
            "data": {"importId": 5},
            "timestamp": hub.clock.epoch_ms(),
        }
    await hub.advance(60)
    assert await stored_messages(hub) == []
    reconnected = await hub.client("7")
    await settle()
    assert silent.received == first.received == reconnected.received == other.received == []


async def test_s065_s138_notification_is_retried_and_sent_again_at_the_next_connect(
    start_hub: Any,
) -> None:
    """Each repetition has the same ID, so that a client can drop duplicates."""
    hub: HubHarness = await start_hub(
        notification_acks=True, notification_timeout=2.0, notification_attempts=3
    )
    silent = await hub.client("7")
    hub.application.services.notifications.user("7", "x", "hello")
    for seconds, times in ((0, 1), (1.9, 1), (0.2, 2), (2, 3), (60, 3)):
        await hub.advance(seconds)
        assert notification_messages(silent) == ["hello"] * times
    reconnected = enable_acks(await hub.client("7"))
    payload = (await reconnected.receive_event("user-notification"))[0]
    assert [args[0] for args in silent.events("user-notification")] == [payload] * 4
    await hub.advance(2)
    assert await stored_messages(hub) == []


async def test_s065_s138_stored_notifications_are_delivered_after_a_restart(
    tmp_path: Path,
) -> None:
    async with HubHarness(tmp_path, notification_acks=True) as hub:
        for message in ("first", "second"):
            hub.application.services.notifications.user("7", "x", message)
        hub.application.services.notifications.user("8", "x", "for another")
    async with make_restarted_hub(tmp_path, 60, notification_acks=True) as hub:
        client = enable_acks(await hub.client("7"))
        for message in ("first", "second"):
            assert (await client.receive_event("user-notification"))[0]["message"] == message
        await settle()
        assert (await stored_messages(hub), await stored_messages(hub, "8")) == (
            [],
            ["for another"],
        )


async def test_s138_notification_is_sent_again_when_the_connection_is_lost_before_the_ack(
    start_hub: Any,
) -> None:
    hub: HubHarness = await start_hub(notification_acks=True)
    client = await hub.client("7")
    hub.application.services.notifications.user("7", "x", "hello")
    await settle()
    assert notification_messages(client) == ["hello"]
    client.connection.cut()
    reconnected = enable_acks(await hub.client("7", pid=client.pid))
    assert (await reconnected.receive_event("user-notification"))[0]["message"] == "hello"
    await settle()
    assert await stored_messages(hub) == []


async def test_s065_stored_notifications_are_limited_in_number_and_age(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(
        notification_acks=True, notifications_kept=3, notifications_kept_seconds=600.0
    )
    for number in range(5):
        hub.application.services.notifications.user("7", "x", str(number))
    hub.application.services.notifications.user("8", "x", "for another")
    assert await stored_messages(hub) == ["2", "3", "4"]
    await hub.advance(300)
    hub.application.services.notifications.user("7", "x", "5")
    await hub.advance(301)
    assert (await stored_messages(hub), await stored_messages(hub, "8")) == (["5"], [])


@pytest.mark.parametrize(
    ("user", "data", "path"),
    [
        ("a b", None, "userId"),
        ("x" * 129, None, "userId"),
        ("7", "x" * 65_536, "data"),
        ("7", "\ud800", "data"),
        ("7", 2**70, "data"),
    ],
)
async def test_s065_unstorable_notification_is_rejected_by_field(
    start_hub: Any, user: str, data: Any, path: str
) -> None:
    hub: HubHarness = await start_hub(notification_acks=True)
    with pytest.raises(ServiceError) as refusal:
        hub.application.services.notifications.user(user, "x", "hello", data)
    assert refusal.value.fields is not None
    assert refusal.value.fields[0]["path"] == path
    assert await stored_messages(hub, user) == []


async def test_s138_unacknowledged_notifications_are_kept_at_shutdown(
    start_hub: Any, tmp_path: Path
) -> None:
    hub: HubHarness = await start_hub(notification_acks=True)
    silent, answering = await hub.client("7"), enable_acks(await hub.client("8"))
    for user in ("7", "8", "9"):
        hub.application.services.notifications.user(user, "x", "hello")
    await settle()
    assert notification_messages(silent) == notification_messages(answering) == ["hello"]
    await hub.application.shutdown()
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert "hextrackr notification" not in names
    async with make_restarted_hub(tmp_path, 1, notification_acks=True) as hub:
        assert [await stored_messages(hub, user) for user in ("7", "8", "9")] == [
            ["hello"],
            [],
            ["hello"],
        ]


@pytest.mark.parametrize(
    ("kind", "message"), [(None, "x"), ("a b", "x"), ("x", ""), ("x", " "), ("x", "x" * 2001)]
)
async def test_s064_s065_notification_is_rejected_when_type_or_text_is_invalid(
    hub: HubHarness, kind: Any, message: Any
) -> None:
    with pytest.raises(ServiceError):
        hub.application.services.notifications.system(kind, message)


async def test_s070_s071_maintenance_starts_and_ends_at_its_times(hub: HubHarness) -> None:
    clients = await connect_to_all_namespaces(hub)
    admin, user = clients["/admin"], await hub.client("7")
    start = hub.clock.epoch_ms() + 60_000
    payload = {"startTime": start, "duration": 120_000, "message": "New disks"}
    answer = await admin.emit_with_ack("system-maintenance", payload)
    assert answer["success"]
    maintenance = hub.application.services.maintenance
    assert not maintenance.is_active
    await hub.advance(61)
    assert maintenance.is_active
    started = (await user.receive_event("system-notification"))[0]
    assert (started["type"], started["message"]) == ("maintenance-started", "New disks")
    assert started["maintenanceId"] == answer["id"]
    await hub.advance(120)
    assert not maintenance.is_active
    assert (await user.receive_event("system-notification"))[0]["type"] == "maintenance-ended"
    assert maintenance.notices() == []


@pytest.mark.parametrize("jump", [24 * 3600, -24 * 3600])
async def test_s071_maintenance_follows_the_wall_clock_when_it_is_set(
    hub: HubHarness, jump: int
) -> None:
    admin = (await connect_to_all_namespaces(hub))["/admin"]
    start = hub.clock.epoch_ms() + 2 * 24 * 3600 * 1000
    payload = {"startTime": start, "duration": 3600 * 1000}
    assert (await admin.emit_with_ack("system-maintenance", payload))["success"]
    hub.clock._epoch_ms += jump * 1000
    maintenance = hub.application.services.maintenance

    def advance(seconds: float) -> None:
        for _ in range(round(seconds / 30)):
            hub.clock.advance(30)

    advance(2 * 24 * 3600 - jump - 90)
    assert not maintenance.is_active
    advance(180)
    assert maintenance.is_active
    hub.clock._epoch_ms += 24 * 3600 * 1000
    advance(90)
    assert not maintenance.is_active


async def test_s071_new_clients_receive_planned_and_active_maintenance(hub: HubHarness) -> None:
    admin = await hub.client("1", "admin", "/admin")
    start = hub.clock.epoch_ms() + 60_000
    await admin.emit_with_ack("system-maintenance", {"startTime": start, "duration": 60_000})
    for is_active in (False, True):
        for namespace in ("/", "/users"):
            late_client = await hub.client("7", namespace=namespace)
            notice = (await late_client.receive_event("maintenance-scheduled"))[0]
            assert (notice["startTime"], notice["isActive"]) == (start, is_active)
        await hub.advance(61)
    await hub.advance(60)
    later = await hub.client("7")
    assert later.received == []


async def test_s071_imports_of_users_are_refused_during_maintenance(hub: HubHarness) -> None:
    start = hub.clock.epoch_ms()
    hub.application.services.maintenance.schedule(start, 60_000, None, "1")
    await hub.advance(1)
    payload = {"source": "inline", "filename": "x.csv", "csv": csv_text([finding_row()])}
    user, admin = await hub.client("7"), await hub.client("1", "admin")
    assert (await user.emit_with_ack("start-import", payload))["code"] == "MAINTENANCE"
    assert (await admin.emit_with_ack("start-import", payload))["success"]
    await hub.advance(60)
    assert (await user.emit_with_ack("start-import", payload))["success"]


async def test_s071_maintenance_ends_when_an_admin_cancels_it(hub: HubHarness) -> None:
    admin, user = await hub.client("1", "admin", "/admin"), await hub.client("7")
    payload = {"startTime": hub.clock.epoch_ms(), "duration": 60_000}
    answer = await admin.emit_with_ack("system-maintenance", payload)
    await hub.advance(1)
    assert (await admin.emit_with_ack("cancel-maintenance", answer["id"]))["success"]
    await user.receive_event("system-notification")
    ended = (await user.receive_event("system-notification"))[0]
    assert (ended["type"], ended["maintenanceId"]) == ("maintenance-ended", answer["id"])
    again = await admin.emit_with_ack("cancel-maintenance", answer["id"])
    assert again["code"] == "NOT_FOUND"


async def test_s070_s071_maintenance_is_restored_after_a_restart(tmp_path: Path) -> None:
    """The restart restores active and planned windows and drops those that have ended."""
    async with HubHarness(tmp_path) as hub:
        now = hub.clock.epoch_ms()
        admin = await hub.client("1", "admin", "/admin")
        for start, duration, message in (
            (0, 60_000, "ended"),
            (60_000, 600_000, "in force by then"),
            (900_000, 60_000, "ahead"),
        ):
            plan = {"startTime": now + start, "duration": duration, "message": message}
            assert (await admin.emit_with_ack("system-maintenance", plan))["success"]
        cancelled = {"startTime": now + 900_000, "duration": 60_000}
        number = (await admin.emit_with_ack("system-maintenance", cancelled))["id"]
        await admin.emit_with_ack("cancel-maintenance", number)
    async with make_restarted_hub(tmp_path, 120) as hub:
        assert hub.application.services.maintenance.is_active
        late_client = await hub.client("7")
        notices = [args[0] for args in late_client.events("maintenance-scheduled")]
        assert [(each["message"], each["isActive"]) for each in notices] == [
            ("in force by then", True),
            ("ahead", False),
        ]
        assert (notices[0]["scheduledBy"], notices[0]["duration"]) == ("1", 600_000)
        payload = {"source": "inline", "filename": "x.csv", "csv": csv_text([finding_row()])}
        assert (await late_client.emit_with_ack("start-import", payload))["code"] == "MAINTENANCE"
        await hub.advance(541)
        await hub.advance(240)
        kinds = [args[0]["type"] for args in late_client.events("system-notification")]
        assert kinds == ["maintenance-ended", "maintenance-started"]
        await hub.advance(60)
    async with make_restarted_hub(tmp_path, 0) as hub:
        assert hub.application.services.maintenance.notices() == []


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (None, ""),
        ("soon", ""),
        ({}, "startTime"),
        ({"startTime": "soon", "duration": 5}, "startTime"),
        ({"startTime": True, "duration": 5}, "startTime"),
        ({"startTime": 5, "duration": 5}, "startTime"),
        ({"startTime": 2**60, "duration": 5}, "startTime"),
        ({"startTime": "NOW", "duration": 0}, "duration"),
        ({"startTime": "NOW", "duration": 8 * 86_400_000}, "duration"),
        ({"startTime": "NOW", "duration": "1h"}, "duration"),
        ({"startTime": "NOW", "duration": 5, "message": 5}, "message"),
    ],
)
async def test_s070_invalid_maintenance_is_rejected_by_field(
    hub: HubHarness, payload: Any, path: str
) -> None:
    admin = await hub.client("1", "admin", "/admin")
    if isinstance(payload, dict) and payload.get("startTime") == "NOW":
        payload |= {"startTime": hub.clock.epoch_ms()}
    answer = await admin.emit_with_ack("system-maintenance", payload)
    assert answer["code"] == "VALIDATION_ERROR"
    assert answer["fields"][0]["path"] == path
    assert hub.application.services.maintenance.notices() == []


async def test_s070_maintenance_error_is_emitted_when_the_event_has_no_ack(hub: HubHarness) -> None:
    admin = await hub.client("1", "admin", "/admin")
    admin.emit("system-maintenance", {"startTime": "2099-01-01T00:00:00Z", "duration": 5})
    error = (await admin.receive_event("application-error"))[0]
    assert error["fields"][0]["path"] == "startTime"  # more than a year ahead
    admin.emit("system-maintenance")
    assert (await admin.receive_event("application-error"))[0]["code"] == "VALIDATION_ERROR"


async def test_s072_maintenance_is_announced_in_every_namespace(hub: HubHarness) -> None:
    clients = await connect_to_all_namespaces(hub)
    start = hub.clock.epoch_ms() + 60_000
    payload = {"startTime": start, "duration": 120_000, "message": "New disks"}
    answer = await clients["/admin"].emit_with_ack("system-maintenance", payload)
    for client in clients.values():
        (notice, *_) = await client.receive_event("maintenance-scheduled")
        assert notice == {
            "id": answer["id"],
            "startTime": start,
            "duration": 120_000,
            "message": "New disks",
            "scheduledBy": "1",
            "isActive": False,
            "timestamp": hub.clock.epoch_ms(),
        }


async def test_s073_s074_announcement_reaches_every_namespace(hub: HubHarness) -> None:
    clients = await connect_to_all_namespaces(hub)
    answer = await clients["/admin"].emit_with_ack(
        "broadcast-announcement", {"message": "Hello\x1b all", "priority": "high"}
    )
    assert answer["success"]
    for client in clients.values():
        (payload, *_) = await client.receive_event("system-announcement")
        assert payload == {
            "id": answer["id"],
            "message": "Hello all",
            "priority": "high",
            "from": "1",
            "timestamp": hub.clock.epoch_ms(),
        }


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (None, ""),
        ({}, "message"),
        ({"message": ""}, "message"),
        ({"message": "x" * 2001}, "message"),
        ({"message": {"html": 1}}, "message"),
        ({"message": "x", "priority": "urgent"}, "priority"),
        ({"message": "x", "priority": ["low"]}, "priority"),
    ],
)
async def test_s073_invalid_announcement_is_rejected_by_field(
    hub: HubHarness, payload: Any, path: str
) -> None:
    admin = await hub.client("1", "admin", "/admin")
    answer = await admin.emit_with_ack("broadcast-announcement", payload)
    assert answer["fields"][0]["path"] == path
    admin.emit("broadcast-announcement", payload)
    assert (await admin.receive_event("application-error"))[0]["code"] == "VALIDATION_ERROR"


async def test_s070_s073_admin_events_are_unknown_in_other_namespaces(hub: HubHarness) -> None:
    for namespace in ("/", "/users"):
        client = await hub.client("1", "admin", namespace)
        for event in ("system-maintenance", "broadcast-announcement", "cancel-maintenance"):
            answer = await client.emit_with_ack(event, {"message": "x"})
            assert answer["code"] == "UNKNOWN_EVENT"
