"""Undoing an import over sockets, HTTP and the command line."""

from __future__ import annotations

from typing import Any

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.cli.api_client import ApiClient
from tests.contract.imports import receive_payload, run_import, start_import
from tests.contract.support import HubHarness


async def test_administrator_undoes_an_import_by_event(hub: HubHarness) -> None:
    owner, admin, other = (
        await hub.client("7"),
        await hub.client("1", "admin"),
        await hub.client("8"),
    )
    number = (await run_import(owner))["importId"]
    await receive_payload(other, "vulnerability-change")
    assert (await owner.emit_with_ack("undo-import", number))["code"] == "FORBIDDEN"
    answer = await admin.emit_with_ack("undo-import", number)
    assert answer == {"success": True, "importId": number, "deleted": 20, "restored": 0}
    for client in (owner, admin):
        undone = await receive_payload(client, "import-undone")
        assert (undone["importId"], undone["deleted"]) == (number, 20)
    change = await receive_payload(other, "vulnerability-change")
    assert change["data"] == {
        "summary": True, "importId": number, "undone": True, "deleted": 20, "restored": 0,
    }  # fmt: skip
    statistics = (await owner.emit_with_ack("get-vulnerability-stats", {}))["data"]
    assert statistics["totals"]["findings"] == 0
    assert statistics["lastImport"] is None
    (listed,) = (await owner.emit_with_ack("get-data", {"resource": "imports"}))["data"]
    assert listed["undone_at"] is not None
    again = await admin.emit_with_ack("undo-import", number)
    assert (again["code"], again["error"]) == ("CONFLICT", "The import is already undone")


async def test_administrator_lists_and_undoes_imports_over_http(hub: HubHarness) -> None:
    owner = await hub.client("7")
    finished = await run_import(owner, sessionId="import-1-x")
    admin = {"authorization": f"Bearer {hub.token('1', 'admin')}"}
    user = {"authorization": f"Bearer {hub.token('7')}"}
    assert (await hub.request("GET", "/api/imports/undoable", user)).status == 403
    answer = await hub.request("GET", "/api/imports/undoable", admin)
    (listed,) = answer.json()["imports"]
    assert (listed["source"], listed["import_id"]) == ("tenable_vm", finished["importId"])
    path = "/api/imports/import-1-x/undo"
    assert (await hub.request("POST", path, user)).status == 403
    assert (await hub.request("POST", path, admin)).json()["deleted"] == 20
    assert (await hub.request("POST", path, admin)).status == 409
    assert (await hub.request("POST", "/api/imports/99/undo", admin)).status == 404
    assert (await hub.request("GET", "/api/imports/undoable", admin)).json()["imports"] == []


async def test_import_is_not_undone_while_another_one_is_queued(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, admin = await hub.client("7"), await hub.client("1", "admin")
    number = (await run_import(owner))["importId"]
    imports = hub.application.services.imports
    monkeypatch.setitem(imports._stop_reasons, 99, None)
    refused = await admin.emit_with_ack("undo-import", number)
    assert (refused["code"], "running or queued" in refused["error"]) == ("CONFLICT", True)
    monkeypatch.delitem(imports._stop_reasons, 99)
    assert (await admin.emit_with_ack("undo-import", number))["success"]
    assert (await start_import(owner))["success"]


LISTED = [{"import_id": 7, "source": "nessus", "scan_date": "2030-05-01", "filename": "a\x1b.csv"}]


@pytest.mark.parametrize(
    ("what", "number"), [("nessus", "7"), ("7", "7"), ("import-1-x", "import-1-x")]
)
def test_command_undoes_an_import_by_its_source_or_its_id(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str, number: str
) -> None:
    undone: list[str] = []

    def undo(_: ApiClient, import_id: str) -> dict[str, Any]:
        undone.append(import_id)
        return {"importId": 7, "deleted": 1200, "restored": 3}

    monkeypatch.setattr(ApiClient, "undoable_imports", lambda _: LISTED)
    monkeypatch.setattr(ApiClient, "undo_import", undo)
    assert main(["undo", what, "--token", "x"]) == 0
    assert undone == [number]
    assert capsys.readouterr().out == "Import 7 is undone: 1,200 findings deleted, 3 restored\n"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            LISTED,
            "  import  source               scan date  file\n"
            "       7  nessus               2030-05-01 a\\u001b.csv\n",
        ),
        ([], "No import can be undone\n"),
    ],
)
def test_command_lists_the_imports_that_can_be_undone(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: list[dict[str, Any]],
    line: str,
) -> None:
    monkeypatch.setattr(ApiClient, "undoable_imports", lambda _: found)
    assert main(["undo", "--token", "x"]) == 0
    assert capsys.readouterr().out == line
