"""Errors and acks of events: rows S75 to S86."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from socketio_core import Socket
from socketio_core.testing import TestClient, settle
from tests.contract.support import HubHarness
from tests.hextrackr_server.support import csv_text, finding_row


async def receive_error(client: TestClient) -> dict[str, Any]:
    (payload, *_) = await client.receive_event("application-error")
    assert isinstance(payload, dict)
    return payload


async def test_s075_connect_error_contains_a_code_and_a_type(hub: HubHarness) -> None:
    """`error.data.code` and `error.data.type` exist for every refusal."""
    expired = hub.session_store.log_in("7", lifetime=-5)
    for namespace, auth, headers, code in (
        ("/", {}, {}, "UNAUTHORIZED"),
        ("/", {}, expired, "SESSION_EXPIRED"),
        ("/admin", {"token": hub.token()}, {}, "FORBIDDEN"),
    ):
        refusal = await hub.connect_error(namespace, auth=auth, headers=headers)
        assert (refusal["code"], refusal["type"]) == (code, "UnauthorizedError")


async def test_s076_errors_are_emitted_as_application_error_only(hub: HubHarness) -> None:
    client = await hub.client()
    for event in ("no-such-event", "start-import", "join-import-room", "error"):
        client.emit(event)
    await settle()
    names = {name for name, _ in client.received}
    assert names == {"application-error"}


async def test_s077_application_error_contains_code_message_and_event(hub: HubHarness) -> None:
    client = await hub.client()
    client.emit("join-import-room", 999)
    error = await receive_error(client)
    assert error == {
        "code": "NOT_FOUND",
        "message": "There is no such import",
        "event": "join-import-room",
        "timestamp": hub.clock.epoch_ms(),
    }


async def test_s078_failed_import_is_reported_with_its_code(hub: HubHarness) -> None:
    client = await hub.client()
    payload = {"source": "inline", "filename": "x.csv", "csv": "Location,Devices\n1,2\n"}
    assert (await client.emit_with_ack("start-import", payload))["success"]
    failed = (await client.receive_event("import-failed"))[0]
    assert failed["code"] == "VALIDATION_ERROR"
    assert failed["fields"]


@pytest.mark.parametrize("arguments", [(), (None,), ({"source": "inline"},), ("x", 2, 3), ([[]],)])
async def test_s079_validation_error_always_has_fields(
    hub: HubHarness, arguments: tuple[Any, ...]
) -> None:
    client = await hub.client()
    client.emit("start-import", *arguments)
    error = await receive_error(client)
    assert error["code"] == "VALIDATION_ERROR"
    assert all(set(each) == {"path", "message"} for each in error["fields"])
    assert error["fields"]
    answer = await client.emit_with_ack("start-import", *arguments)
    assert (answer["code"], answer["fields"]) == ("VALIDATION_ERROR", error["fields"])


def raise_secret_error(socket: Socket) -> None:
    raise RuntimeError("password=hunter2 in /etc/secret")


async def test_s080_s083_s084_handler_exception_is_reported_by_the_error_id_in_the_log(
    hub: HubHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """The client receives no internal text; the error ID in the log identifies the traceback."""
    hub.io.on("break", raise_secret_error)
    client = await hub.client()
    with caplog.at_level(logging.ERROR):
        client.emit("break")
        error = await receive_error(client)
        answer = await client.emit_with_ack("break")
    assert set(error) == {"code", "message", "event", "errorId", "timestamp"}
    assert error["message"] == "An error occurred processing your request"
    assert (error["code"], error["event"]) == ("HANDLER_ERROR", "break")
    assert answer == {
        "success": False,
        "error": "An error occurred processing your request",
        "code": "HANDLER_ERROR",
        "errorId": answer["errorId"],
    }
    await settle()
    assert list(client.events("application-error")) == []  # the ack contains the error
    logged = [record.__dict__["fields"]["errorId"] for record in caplog.records]
    assert logged == [error["errorId"], answer["errorId"]]
    assert client.connected


async def test_s084_handler_exception_is_reported_when_it_follows_an_await(hub: HubHarness) -> None:
    async def break_later(socket: Socket) -> None:
        await settle()
        raise RuntimeError("late")

    hub.io.on("break", break_later)
    client = await hub.client()
    client.emit("break")
    assert (await receive_error(client))["code"] == "HANDLER_ERROR"
    assert (await client.emit_with_ack("break"))["code"] == "HANDLER_ERROR"


@pytest.mark.parametrize("namespace", ["/", "/admin", "/users"])
@pytest.mark.parametrize("event", ["no-such-event", "__proto__", 5, "x" * 500])
async def test_s081_unknown_event_is_answered_with_an_error(
    hub: HubHarness, namespace: str, event: Any
) -> None:
    client = await hub.client("1", "admin", namespace)
    answer = await client.emit_with_ack(event, {"a": 1})
    assert (answer["success"], answer["code"]) == (False, "UNKNOWN_EVENT")
    client.emit(event)
    error = await receive_error(client)
    assert error["code"] == "UNKNOWN_EVENT"
    assert error["event"] == str(event)[:64]


@pytest.mark.parametrize("event", ["error", "reconnect"])
async def test_s082_event_named_error_is_an_unknown_event(hub: HubHarness, event: str) -> None:
    client, other = await hub.client("7"), await hub.client("8")
    assert (await client.emit_with_ack(event, "forged"))["code"] == "UNKNOWN_EVENT"
    assert hub.application.context.metrics.snapshot()["errors"] == 0
    assert other.received == []


async def test_s085_start_import_ack_has_the_documented_fields(hub: HubHarness) -> None:
    client = await hub.client()
    payload = {"source": "inline", "filename": "x.csv", "csv": csv_text([finding_row()])}
    answer = await client.emit_with_ack("start-import", payload)
    assert set(answer) == {"success", "importId", "sessionId", "status", "totalRecords"}
    assert isinstance(answer["importId"], int)
    assert (await client.receive_event("import-finished"))[0]["status"] == "completed"


async def test_s086_get_data_refuses_unlisted_resources(hub: HubHarness) -> None:
    client = await hub.client()
    answer = await client.emit_with_ack("get-data", {"resource": "sqlite_master"})
    assert not answer["success"]
    assert answer["code"] in {"VALIDATION_ERROR", "UNKNOWN_EVENT"}
