"""Tests of stored maintenance windows."""

from __future__ import annotations

from hextrackr_server.collaboration.maintenance_store import MaintenanceStore, Planned
from tests.hextrackr_server.support import Workbench


def test_window_is_loaded_until_it_ends_or_is_removed(workbench: Workbench) -> None:
    store = MaintenanceStore(workbench.database)
    later = Planned("b", 2_000_000_000_000, 604_800_000, "New disks", "1")
    sooner = Planned("a", 1_000_000_000_000, 50, None, "producer")
    for planned in (later, sooner):
        store.add(planned)
    assert store.load(1_000_000_000_049) == [sooner, later]
    assert store.load(1_000_000_000_050) == [later]
    assert store.load(0) == [later]
    store.remove("b")
    store.remove("b")
    assert store.load(0) == []
