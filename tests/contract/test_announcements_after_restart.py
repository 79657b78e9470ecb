"""Changes of a server that was killed after the commit and before it sent the events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.backup.replacing import NOTED_RESTORE
from hextrackr_server.imports.store import NOTED_IMPORT, NOTED_UNDO
from hextrackr_server.imports.undo import Undone
from hextrackr_server.kev.catalog import parse_catalog
from hextrackr_server.kev.store import KevStore
from hextrackr_server.storage import unannounced
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.unannounced import RETURN_SECONDS
from socketio_core.testing import TestClient, settle
from tests.contract.imports import receive_payload, received_names, run_import
from tests.contract.support import HubHarness
from tests.hextrackr_server.kev_support import feed, item
from tests.hextrackr_server.support import Workbench, finding_row


def complete_import(bench: Workbench) -> None:
    bench.import_rows([finding_row(host="late-1"), finding_row(host="late-2")])


def undo_import(bench: Workbench) -> None:
    complete_import(bench)
    (last, *_) = bench.importer.history.undoable()
    bench.importer.history.undo(last["import_id"], 1)


def store_catalog(bench: Workbench) -> None:
    KevStore(bench.database).apply(parse_catalog(feed(item("CVE-2024-1000"))), 1)


def restore_backup(bench: Workbench) -> None:
    with bench.database.writing() as connection:
        unannounced.note(connection, NOTED_RESTORE, "", 1_759_000_000_000)


#: Each change with properties of the `vulnerability-change` that clients receive.
CHANGES: dict[str, tuple[Callable[[Workbench], None], dict[str, Any]]] = {
    "import": (complete_import, {"summary": True, "created": 2}),
    "undo": (undo_import, {"summary": True, "undone": True, "deleted": 2}),
    "catalog": (store_catalog, {"cve": "CVE-2024-1000", "isKev": True, "hosts": 1}),
    "restore": (restore_backup, {"summary": True, "dataRestored": True}),
}


async def announced(hub: HubHarness) -> TestClient:
    """Return a client that was connected when the hub announced the changes that were left."""
    client = await hub.client("8")
    await settle()
    assert "vulnerability-change" not in received_names(client)
    await hub.advance(RETURN_SECONDS)
    task = hub.application.context.unannounced._task
    if task is not None:
        await task
    await settle()
    return client


def notes(directory: Path) -> dict[tuple[str, str], Any]:
    database = Database(directory / "hub.db")
    with database.reading() as connection:
        found = unannounced.noted(connection)
    database.close()
    return found


@pytest.mark.parametrize("kind", CHANGES)
async def test_change_without_events_is_announced_once_after_a_restart(
    tmp_path: Path, kind: str
) -> None:
    commit, expected = CHANGES[kind]
    bench = Workbench(tmp_path, tmp_path / "hub.db")
    bench.import_rows([finding_row()])
    with bench.database.writing() as connection:
        unannounced.forget_all(connection)
    commit(bench)
    bench.database.close()
    async with HubHarness(tmp_path) as hub:
        client = await announced(hub)
        change = await receive_payload(client, "vulnerability-change")
        assert change["data"].items() >= expected.items()
        assert "vulnerability-change" not in received_names(client)
    assert notes(tmp_path) == {}
    async with HubHarness(tmp_path) as hub:
        assert "vulnerability-change" not in received_names(await announced(hub))


async def test_announced_changes_leave_no_note(tmp_path: Path) -> None:
    async with HubHarness(tmp_path) as hub:
        admin = await hub.client("1", "admin")
        number = (await run_import(admin))["importId"]
        assert (await admin.emit_with_ack("undo-import", number))["success"]
    assert notes(tmp_path) == {}


@pytest.mark.parametrize(
    ("kind", "value"), [(NOTED_IMPORT, None), (NOTED_UNDO, dict.fromkeys(Undone._fields, 0))]
)
async def test_note_of_a_deleted_import_is_deleted(tmp_path: Path, kind: str, value: Any) -> None:
    bench = Workbench(tmp_path, tmp_path / "hub.db")
    with bench.database.writing() as connection:
        unannounced.note(connection, kind, 999, value)
    bench.database.close()
    async with HubHarness(tmp_path) as hub:
        assert "vulnerability-change" not in received_names(await announced(hub))
    assert notes(tmp_path) == {}


async def test_change_stays_noted_when_its_announcement_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Workbench(tmp_path, tmp_path / "hub.db")
    complete_import(bench)
    left = dict(notes_of(bench))
    bench.database.close()
    async with HubHarness(tmp_path) as hub:

        def fail(*_: Any) -> None:
            raise RuntimeError("the test fails here")

        hub.application.services.vulnerabilities.import_committed = fail  # type: ignore[assignment,method-assign]
        await announced(hub)
    assert "announcing a change failed" in caplog.text
    assert notes(tmp_path) == left != {}


def notes_of(bench: Workbench) -> dict[tuple[str, str], Any]:
    with bench.database.reading() as connection:
        return unannounced.noted(connection)


async def test_undone_import_is_not_announced(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, tmp_path / "hub.db")
    complete_import(bench)
    (last,) = bench.importer.history.undoable()
    bench.database.close()
    async with HubHarness(tmp_path) as hub:
        admin = await hub.client("1", "admin")
        assert (await admin.emit_with_ack("undo-import", last["import_id"]))["success"]
        change = await receive_payload(admin, "vulnerability-change")
        assert change["data"]["undone"] is True
        client = await announced(hub)
        assert "vulnerability-change" not in received_names(client)


async def test_new_catalog_also_announces_the_one_before(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, tmp_path / "hub.db")
    bench.import_rows([finding_row(cve="CVE-2024-1000"), finding_row(cve="CVE-2024-2000")])
    with bench.database.writing() as connection:
        unannounced.forget_all(connection)
    store_catalog(bench)
    bench.database.close()
    path = tmp_path / "kev.json"
    path.write_bytes(feed(item("CVE-2024-1000"), item("CVE-2024-2000")))
    async with HubHarness(tmp_path, kev_file=path) as hub:
        client = await hub.client("8")
        headers = {"authorization": f"Bearer {hub.token('1', 'admin')}"}
        answer = (await hub.request("POST", "/api/kev/sync", headers)).json()
        assert answer["newEntries"] == 1
        changes = [await receive_payload(client, "vulnerability-change") for _ in range(2)]
        assert {each["data"]["cve"] for each in changes} == {"CVE-2024-1000", "CVE-2024-2000"}
        assert "vulnerability-change" not in received_names(await announced(hub))
