"""Inspection of an upload over HTTP, and its import without a second upload."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.imports import inspector
from hextrackr_server.imports.feature import SWEEP_SECONDS
from hextrackr_server.imports.reading import ReadOutcome
from tests.contract.imports import VALID_CSV, receive_payload, run_import
from tests.contract.support import HubHarness, Response
from tests.hextrackr_server.support import csv_text, finding_row

TYPE = {"content-type": "text/csv"}
NESSUS = ("Plugin ID", "CVE", "Risk", "Host", "Protocol", "Port", "Name")


def headers(hub: HubHarness, user: str = "7", role: str = "user") -> dict[str, str]:
    return {"authorization": f"Bearer {hub.token(user, role)}"}


async def inspect(hub: HubHarness, csv: str = VALID_CSV, query: str = "", **who: str) -> Response:
    path = f"/api/imports/inspect?filename=scan.csv{query}"
    return await hub.request("POST", path, headers(hub, **who) | TYPE, csv.encode())


async def inspect_again(
    hub: HubHarness, upload_id: str, body: dict[str, Any] | bytes, **who: str
) -> Response:
    path = f"/api/imports/upload/{upload_id}/inspect"
    return await hub.request("POST", path, headers(hub, **who), body)


def stored_files(hub: HubHarness) -> list[Path]:
    return list((hub.directory / "hub.db.uploads").iterdir())


async def test_inspected_upload_is_imported_without_a_second_upload(hub: HubHarness) -> None:
    client = await hub.client("7")
    response = await inspect(hub)
    assert response.status == 200, response.body
    answer = response.json()
    assert (answer["success"], answer["refused"], answer["filename"]) == (True, None, "scan.csv")
    assert answer["expiresInMs"] == pytest.approx(3_600_000, abs=60_000)
    found = answer["inspection"]
    assert (found["profile"], found["rows"], found["findings"]) == ("tenable_vm", 20, 20)
    assert found["changes"] == {"inserted": 20, "updated": 0, "reopened": 0, "resolved": 0}
    assert found["columns"]["severity"] == ["severity"]
    assert found["unusedColumns"] == []
    assert (found["errors"], found["warnings"], found["warningKinds"]) == (0, 0, [])
    first = found["preview"][0]
    assert first | {"pluginName": "", "firstSeen": "", "lastSeen": ""} == {
        "row": 2, "hostname": "h-0", "address": "", "hostKey": "h-0", "cve": "CVE-2024-1000",
        "pluginId": "1001", "pluginName": "", "vendor": "Other", "severity": "High",
        "cvssScore": None, "vprScore": None, "state": first["state"], "closedAs": None,
        "firstSeen": "", "lastSeen": "",
    }  # fmt: skip
    payload = {"source": "upload", "uploadId": answer["uploadId"]}
    assert (await client.emit_with_ack("start-import", payload))["success"]
    finished = await receive_payload(client, "import-finished")
    assert finished["summary"]["inserted"] == 20
    await hub.wait_until(lambda: not stored_files(hub))


async def test_inspection_contains_the_numbers_that_a_scope_resolves(hub: HubHarness) -> None:
    client = await hub.client("7")
    await run_import(client)
    rows = [finding_row(host=f"h-{number}") for number in range(2)]
    answer = (await inspect(hub, csv_text(rows))).json()
    absence = answer["inspection"]["absence"]
    assert set(absence) == {"auto", "hosts", "vendor", "full", "none"}
    full = absence["full"]
    assert (full["missing"], full["openOfAll"], full["confirmationRequired"]) == (18, 20, True)
    started = {"source": "upload", "uploadId": answer["uploadId"], "scope": "full", "confirm": True}
    await client.emit_with_ack("start-import", started)
    assert (await receive_payload(client, "import-finished"))["summary"]["resolved"] == 18


async def test_form_is_inspected_like_an_upload(hub: HubHarness) -> None:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'
        for name, more, value in (
            ("scanDate", "", "2025-01-02"),
            ("csvFile", '; filename="a.csv"', VALID_CSV),
        )
    ]
    body = "".join([*parts, "--x--\r\n"]).encode()
    kind = {"content-type": "multipart/form-data; boundary=x"}
    response = await hub.request("POST", "/api/imports/inspect", headers(hub) | kind, body)
    answer = response.json()
    assert (answer["filename"], answer["inspection"]["scanDate"]) == ("a.csv", "2025-01-02")


async def test_refused_file_stays_stored_and_is_inspected_with_other_options(
    hub: HubHarness,
) -> None:
    answer = (await inspect(hub, "Where,What\nh-1,CVE-2024-1000\n")).json()
    assert answer["inspection"] is None
    assert answer["refused"]["code"] == "VALIDATION_ERROR"
    assert "format" in answer["refused"]["message"]
    mapping = """
        id = "mine"
        title = "Mine"
        row = "finding"
        [columns]
        host = ["Where"]
        cve = ["What"]
    """
    again = await inspect_again(hub, answer["uploadId"], {"mapping": mapping})
    assert again.status == 200, again.body
    assert again.json()["inspection"]["profile"] == "mine"
    assert again.json()["uploadId"] == answer["uploadId"]


async def test_file_without_a_valid_row_is_refused_with_the_rows(hub: HubHarness) -> None:
    refused = (await inspect(hub, csv_text([["", "", "1", "", "High"]]))).json()["refused"]
    assert "None of the 1 rows is valid" in refused["message"]
    assert refused["fields"][0]["path"].startswith("row 2")


async def test_markup_and_formulas_of_a_file_are_returned_as_text(hub: HubHarness) -> None:
    name = "=HYPERLINK(1)<script>"
    row = ["10", "", "High", "192.0.2.1", "tcp", "443", name]
    found = (await inspect(hub, csv_text([row], NESSUS))).json()["inspection"]
    assert found["preview"][0]["pluginName"] == name


async def test_upload_of_another_user_is_unknown(hub: HubHarness) -> None:
    upload_id = (await inspect(hub)).json()["uploadId"]
    for user, role in (("8", "user"), ("1", "admin")):
        for action in ("inspect", "discard"):
            path = f"/api/imports/upload/{upload_id}/{action}"
            response = await hub.request("POST", path, headers(hub, user, role), b"{}")
            assert (response.status, response.json()["code"]) == (404, "NOT_FOUND")


async def test_discarded_upload_is_deleted(hub: HubHarness) -> None:
    upload_id = (await inspect(hub)).json()["uploadId"]
    assert len(stored_files(hub)) == 1
    path = f"/api/imports/upload/{upload_id}/discard"
    assert (await hub.request("POST", path, headers(hub))).json() == {"success": True}
    assert stored_files(hub) == []
    assert (await hub.request("POST", path, headers(hub))).status == 404


async def test_inspected_uploads_of_a_user_are_bounded(
    hub: HubHarness,
) -> None:
    hub.application.services.uploads.kept_per_user = 2
    first, *others = [(await inspect(hub)).json()["uploadId"] for _ in range(3)]
    assert len(stored_files(hub)) == 2
    assert (await inspect_again(hub, first, {})).status == 404
    assert [(await inspect_again(hub, each, {})).status for each in others] == [200, 200]


async def test_inspection_does_not_replace_an_upload_without_inspection(
    hub: HubHarness,
) -> None:
    hub.application.services.uploads.kept_per_user = 2
    plain = []
    for _ in range(2):
        response = await hub.request(
            "POST", "/api/imports/upload", headers(hub) | TYPE, VALID_CSV.encode()
        )
        plain.append(response.json()["uploadId"])
    assert (await inspect(hub)).status == 409
    assert (await inspect_again(hub, plain[0], {})).status == 200


async def test_expired_upload_is_deleted_although_no_other_upload_arrives(hub: HubHarness) -> None:
    await inspect(hub)
    hub.application.services.uploads._clock = lambda: 1e12
    await hub.advance(SWEEP_SECONDS)
    assert stored_files(hub) == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"[]", ""),
        (b"not json", ""),
        ({"vendor": 7}, "vendor"),
        ({"scanDate": "soon"}, "scanDate"),
        ({"allowPartial": "yes"}, "allowPartial"),
        ({"mapping": "no toml"}, "mapping"),
    ],
)
async def test_invalid_options_of_an_inspection_are_refused(
    hub: HubHarness, body: Any, path: str
) -> None:
    upload_id = (await inspect(hub)).json()["uploadId"]
    response = await inspect_again(hub, upload_id, body)
    assert response.status == 400
    assert response.json()["fields"][0]["path"] == path


async def test_invalid_options_of_an_upload_delete_the_file(hub: HubHarness) -> None:
    response = await inspect(hub, query="&scanDate=soon")
    assert (response.status, response.json()["fields"][0]["path"]) == (400, "scanDate")
    assert stored_files(hub) == []


class SlowReader:
    """A reader of files that waits until the test releases it."""

    def __init__(self, hub: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
        self.released = threading.Event()
        self.started = self.ended = 0
        self._service = next(
            each._inspector for each in hub.application.features if hasattr(each, "_inspector")
        )
        self._read = self._service._read
        monkeypatch.setattr(self._service, "_read", self.read)

    def read(self, request: Any, on_opened: Any, on_read: Any, check: Any) -> ReadOutcome:
        self.started += 1
        try:
            while not self.released.wait(0.005):
                check()
        finally:
            self.ended += 1
        outcome = self._read(request, on_opened, on_read, check)
        assert isinstance(outcome, ReadOutcome)
        return outcome


async def test_upload_stays_stored_while_it_is_inspected(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await hub.client("7")
    upload_id = (await inspect(hub)).json()["uploadId"]
    slow = SlowReader(hub, monkeypatch)
    task = asyncio.create_task(inspect_again(hub, upload_id, {}))
    await hub.wait_until(lambda: slow.started)
    payload = {"source": "upload", "uploadId": upload_id}
    for code in (
        (await client.emit_with_ack("start-import", payload))["code"],
        (await inspect_again(hub, upload_id, {})).json()["code"],
    ):
        assert code == "CONFLICT"
    hub.application.services.uploads._clock = lambda: 1e12
    hub.application.services.uploads.sweep()
    slow.released.set()
    assert (await task).status == 200
    hub.application.services.uploads.sweep()
    assert stored_files(hub) == []


async def test_inspection_that_takes_too_long_ends_and_deletes_the_file(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    SlowReader(hub, monkeypatch)
    monkeypatch.setattr(inspector, "LIMIT_SECONDS", 0.0)
    response = await inspect(hub)
    assert (response.status, response.json()["code"]) == (503, "TIMEOUT")
    assert stored_files(hub) == []


async def test_inspection_ends_when_its_client_leaves(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowReader(hub, monkeypatch)
    body = VALID_CSV.encode()
    head = {"host": "x", "content-length": str(len(body))} | headers(hub) | TYPE
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(f"POST /api/imports/inspect HTTP/1.1\r\n{lines}\r\n".encode() + body)
    await hub.wait_until(lambda: slow.started)
    writer.close()
    await hub.wait_until(lambda: slow.ended)
    await hub.wait_until(lambda: not stored_files(hub))
    # The next inspection of the user does not wait.
    slow.released.set()
    assert (await inspect(hub)).status == 200


async def test_inspection_ends_when_the_server_stops(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowReader(hub, monkeypatch)
    task = asyncio.create_task(inspect(hub))
    await hub.wait_until(lambda: slow.started)
    slow._service.close()
    response = await task
    assert (response.status, response.json()["code"]) == (503, "UNAVAILABLE")


async def test_inspection_is_refused_during_maintenance(hub: HubHarness) -> None:
    admin = await hub.client("1", "admin", "/admin")
    start = {"startTime": hub.clock.epoch_ms() + 1, "duration": 60_000}
    await admin.emit_with_ack("system-maintenance", start)
    await hub.advance(1)
    response = await inspect(hub)
    assert json.loads(response.body)["code"] == "MAINTENANCE"
    assert (await inspect(hub, user="1", role="admin")).status == 200
