"""Events of administrators about connected clients."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core.testing import settle
from tests.contract.support import HubHarness


async def test_administrator_lists_connected_clients(hub: HubHarness) -> None:
    user = await hub.client("7")
    admin = await hub.client("1", "admin", "/admin")
    await user.emit_with_ack("watch-resource", "ticket", 5)
    answer = await admin.emit_with_ack("list-clients")
    assert answer["pagination"] == {"page": 1, "limit": 100, "total": 2, "pages": 1}
    by_namespace = {each["namespace"]: each for each in answer["data"]}
    listed = by_namespace["/"]
    (socket,) = hub.io.of("/").sockets.values()
    assert listed == {
        "id": socket.id,
        "userId": "7",
        "username": "7",
        "role": "user",
        "namespace": "/",
        "address": socket.handshake.address,
        "transport": "websocket",
        "since": socket.handshake.issued,
        "recovered": False,
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64)",
        "rooms": ["authenticated", "resource-ticket-5", "user-7"],
    }
    assert by_namespace["/admin"]["role"] == "admin"


async def test_clients_are_listed_by_page_and_by_user(hub: HubHarness) -> None:
    for user in ("7", "7", "8"):
        await hub.client(user)
    admin = await hub.client("1", "admin", "/admin")
    pages = [
        await admin.emit_with_ack("list-clients", {"limit": 3, "page": page}) for page in (1, 2, 3)
    ]
    assert [len(each["data"]) for each in pages] == [3, 1, 0]
    found = {each["id"] for page in pages for each in page["data"]}
    assert len(found) == pages[0]["pagination"]["total"] == 4
    of_user = await admin.emit_with_ack("list-clients", {"userId": "7"})
    assert [each["userId"] for each in of_user["data"]] == ["7", "7"]


async def test_administrator_disconnects_a_client(hub: HubHarness) -> None:
    user, other = await hub.client("7"), await hub.client("8")
    admin = await hub.client("1", "admin", "/admin")
    (listed,) = (await admin.emit_with_ack("list-clients", {"userId": "7"}))["data"]
    answer = await admin.emit_with_ack("disconnect-client", {"id": listed["id"]})
    assert answer == {"success": True, "id": listed["id"], "userId": "7"}
    await settle()
    assert not user.connected
    assert other.connected
    again = await admin.emit_with_ack("disconnect-client", {"id": listed["id"]})
    assert again["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("event", "payload", "path"),
    [
        ("list-clients", {"limit": 501}, "limit"),
        ("list-clients", {"page": 0}, "page"),
        ("list-clients", {"userId": 7}, "userId"),
        ("list-clients", [], ""),
        ("disconnect-client", None, ""),
        ("disconnect-client", {"id": 7}, "id"),
    ],
)
async def test_invalid_request_about_clients_is_refused(
    hub: HubHarness, event: str, payload: Any, path: str
) -> None:
    admin = await hub.client("1", "admin", "/admin")
    answer = await admin.emit_with_ack(event, payload)
    assert (answer["code"], answer["fields"][0]["path"]) == ("VALIDATION_ERROR", path)


async def test_users_have_no_access_to_the_clients_and_metrics(hub: HubHarness) -> None:
    assert (await hub.connect_error("/admin", auth={"token": hub.token()}))["code"] == "FORBIDDEN"
    user = await hub.client("7")
    for event in ("list-clients", "disconnect-client", "get-metrics", "list-maintenance"):
        assert (await user.emit_with_ack(event, {}))["code"] == "UNKNOWN_EVENT"


async def test_administrator_reads_the_metrics_and_the_maintenance_windows(
    hub: HubHarness,
) -> None:
    admin = await hub.client("1", "admin", "/admin")
    metrics = (await admin.emit_with_ack("get-metrics"))["data"]
    assert metrics["activeConnections"] == 1
    assert metrics["gauges"]["editors"] == 0
    start = hub.clock.epoch_ms() + 60_000
    window = {"startTime": start, "duration": 60_000}
    number = (await admin.emit_with_ack("system-maintenance", window))["id"]
    (listed,) = (await admin.emit_with_ack("list-maintenance"))["data"]
    assert (listed["id"], listed["startTime"], listed["isActive"]) == (number, start, False)
