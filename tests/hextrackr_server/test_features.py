"""The order of the features in the application's list does not matter."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hextrackr_server.application import FEATURES
from hextrackr_server.config.producers import IngestToken
from hextrackr_server.errors import SettingsError
from hextrackr_server.feature import Context, Feature
from hextrackr_server.rooms import AUTHENTICATED, user_room
from hextrackr_server.storage.database import Database
from tests.contract.imports import receive_payload, received_names
from tests.contract.support import METRICS_TOKEN, HubHarness
from tests.hextrackr_server.support import csv_text, finding_row

Build = Callable[[Context], Feature]
PRODUCER = IngestToken("express", frozenset({"notify"}), b"p" * 32)


def shuffled(seed: int) -> tuple[Build, ...]:
    features = list(FEATURES)
    random.Random(seed).shuffle(features)
    return tuple(features)


ORDERS = {
    "as listed": FEATURES,
    "reversed": FEATURES[::-1],
    "shuffled 1": shuffled(1),
    "shuffled 2": shuffled(2),
    "shuffled 3": shuffled(3),
}


@pytest.fixture(params=ORDERS.values(), ids=ORDERS.keys())
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HubHarness]:
    hub = HubHarness(
        tmp_path,
        features=request.param,
        notification_acks=True,
        event_log=tmp_path / "events.log",
        ingest_tokens=(PRODUCER,),
    )
    async with hub:
        yield hub


def test_orders_differ() -> None:
    assert len(set(ORDERS.values())) == len(ORDERS)
    assert all(set(order) == set(FEATURES) for order in ORDERS.values())


async def test_login_is_checked_before_other_features_see_the_socket(hub: HubHarness) -> None:
    assert (await hub.connect_error(auth={}))["code"] == "UNAUTHORIZED"
    client = await hub.client("7")
    (socket,) = hub.io.sockets.values()
    assert {user_room("7"), AUTHENTICATED} <= set(socket.rooms)
    assert (await client.emit_with_ack("no-such-event"))["code"] == "UNKNOWN_EVENT"


async def test_import_informs_its_owner_and_the_statistics(hub: HubHarness) -> None:
    client = await hub.client("7")
    before = await client.emit_with_ack("get-vulnerability-stats")
    assert before["data"]["totals"]["vulnerabilities"] == 0
    request = {"source": "inline", "filename": "s.csv", "csv": csv_text([finding_row()])}
    assert (await client.emit_with_ack("start-import", request))["success"]
    finished = await receive_payload(client, "import-finished")
    assert finished["summary"]["inserted"] == 1
    assert (await receive_payload(client, "vulnerability-change"))["data"]["created"] == 1
    after = await client.emit_with_ack("get-vulnerability-stats")
    assert after["data"]["totals"]["vulnerabilities"] == 1


async def test_kev_status_requires_a_token(hub: HubHarness) -> None:
    assert (await hub.request("GET", "/api/kev/status")).status == 401
    headers = {"authorization": f"Bearer {hub.token()}"}
    answer = (await hub.request("GET", "/api/kev/status", headers)).json()
    assert (answer["success"], answer["totalKevs"], answer["syncInProgress"]) == (True, 0, False)


async def test_editing_is_announced_to_other_users(hub: HubHarness) -> None:
    editor, other = await hub.client("7"), await hub.client("8")
    assert (await editor.emit_with_ack("start-editing", "ticket", "1"))["success"]
    started = await receive_payload(other, "user-started-editing")
    assert started["userId"] == "7"


async def test_notification_of_a_producer_waits_for_its_user(hub: HubHarness) -> None:
    headers = {"authorization": "Bearer " + PRODUCER.secret.decode()}
    body = {"type": "info", "message": "scan done"}
    path = "/ingest/v1/users/7/notifications"
    assert (await hub.request("POST", path, headers, body)).status == 202
    client = await hub.client("7")
    notification = await receive_payload(client, "user-notification")
    assert notification["message"] == "scan done"


async def test_metrics_count_the_work_of_all_features(hub: HubHarness) -> None:
    client = await hub.client("7")
    await client.emit_with_ack("start-editing", "ticket", "1")
    headers = {"authorization": f"Bearer {METRICS_TOKEN.decode()}"}
    answer = (await hub.request("GET", "/socket-metrics", headers)).json()
    gauges = answer["gauges"]
    assert (answer["activeConnections"], gauges["editors"], gauges["events_total"]) == (1, 1, 1)
    assert set(gauges) == {
        "active_connections",
        "sessions",
        "editors",
        "notifications_under_way",
        "maintenance",
        "kev_syncing",
        "log_lines_dropped_total",
        "log_lines_omitted_total",
        "draining",
        "uploads_expired_total",
        "retention_runs_total",
        "retention_imports_deleted_total",
        "retention_snapshots_deleted_total",
        "retention_totals_deleted_total",
        "events_total",
        "events_refused_total",
        "user_accounts",
        "user_most_connections",
        "user_most_buffered_bytes",
        "user_most_handlers",
        "user_limits_applied_total",
        "address_accounts",
        "address_most_connections",
        "address_most_buffered_bytes",
        "address_most_handlers",
        "address_limits_applied_total",
    }
    assert (gauges["user_accounts"], gauges["address_most_connections"]) == (1, 1)
    assert (await hub.request("GET", "/ready")).status == 200


async def test_shutdown_informs_clients_before_it_disconnects_them(hub: HubHarness) -> None:
    client = await hub.client("7")
    await hub.application.shutdown()
    assert received_names(client)[-1] == "system-notification"
    assert not client.connected


class FailingFeature(Feature):
    """Feature that cannot start."""

    async def start(self) -> None:
        raise OSError("no disk")


async def test_failed_start_stops_the_features_and_releases_the_database(tmp_path: Path) -> None:
    hub = HubHarness(tmp_path, features=(*FEATURES, FailingFeature))
    with pytest.raises(Exception, match="no disk"):
        await hub.application.listen()
    Database(tmp_path / "hub.db").close()


def test_failed_constructor_releases_the_database(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="event log"):
        HubHarness(tmp_path, event_log=tmp_path / "hub.db" / "events.log")
    Database(tmp_path / "hub.db").close()
