"""Durations and deadlines use the monotonic clock; times for others use the wall clock.

The wall clock may be set by hours at any time. A module that reads it therefore stands here, with
the number of places and the reason: its times are stored, sent or compared with times of others.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("engineio_core", "socketio_core", "hextrackr_server")

STATE = "the time of a change of state, which `cluster_state` returns"
EVENTS = "timestamps of events"
STORED = "times in the database, which other processes read"
TODAY = "the present day, compared with days of exports"

ALLOWED = {
    "engineio_core/http/message.py": (1, "the header Date"),
    "engineio_core/webtransport/certificate.py": (1, "the validity of a certificate"),
    "hextrackr_server/backup/archive.py": (1, "the time of a backup"),
    "hextrackr_server/backup/restoring.py": (1, STORED),
    "hextrackr_server/backup/service.py": (1, STORED),
    "hextrackr_server/cli/check.py": (1, "the printed time of the next synchronization"),
    "hextrackr_server/cli/retention.py": (1, STORED),
    "hextrackr_server/clock.py": (2, "the definition of `epoch_ms`"),
    "hextrackr_server/collaboration/delivery.py": (3, STORED),
    "hextrackr_server/collaboration/maintenance.py": (5, "windows at times of the wall clock"),
    "hextrackr_server/collaboration/notifications.py": (1, EVENTS),
    "hextrackr_server/collaboration/presence.py": (2, EVENTS),
    "hextrackr_server/doctor/basics.py": (1, "the comparison of two clocks"),
    "hextrackr_server/doctor/examination.py": (1, "the validity of a certificate"),
    "hextrackr_server/findings/events.py": (4, EVENTS),
    "hextrackr_server/findings/statistics.py": (1, EVENTS),
    "hextrackr_server/findings/store.py": (1, TODAY),
    "hextrackr_server/http/ingest/endpoints.py": (1, EVENTS),
    "hextrackr_server/imports/feature.py": (1, STORED),
    "hextrackr_server/imports/formats/inspection.py": (1, TODAY),
    "hextrackr_server/imports/journal.py": (2, STORED),
    "hextrackr_server/imports/options.py": (2, "the day of a scan, and an ID that clients read"),
    "hextrackr_server/imports/pipeline.py": (1, STORED),
    "hextrackr_server/imports/progress_tracker.py": (9, EVENTS),
    "hextrackr_server/imports/service.py": (6, STORED),
    "hextrackr_server/imports/status.py": (2, STORED),
    "hextrackr_server/imports/store.py": (1, STORED),
    "hextrackr_server/kev/service.py": (11, "times of day, and " + STORED),
    "hextrackr_server/retention/service.py": (1, STORED),
    "hextrackr_server/security/identity.py": (1, "comparison with the times of tokens"),
    "hextrackr_server/security/principal.py": (3, "times of tokens"),
    "hextrackr_server/security/producer_tokens.py": (2, "comparison with times of producers"),
    "hextrackr_server/sockets/authenticator.py": (1, EVENTS),
    "hextrackr_server/sockets/error_reporter.py": (1, EVENTS),
    "hextrackr_server/telemetry/metrics.py": (1, EVENTS),
    "socketio_core/adapters/cluster/in_process.py": (3, STATE),
    "socketio_core/adapters/postgres/link.py": (2, STATE),
    "socketio_core/adapters/redis/cluster.py": (2, STATE),
    "socketio_core/adapters/redis/link.py": (2, STATE),
    "socketio_core/adapters/streams/link.py": (2, STATE),
    "socketio_core/admin/instrument.py": (1, "timestamps of the admin UI"),
    "socketio_core/handshake.py": (1, "the times `issued` and `time` of a handshake"),
    "socketio_core/workers/bus.py": (1, STATE),
}

WALL_CLOCKS = ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today",
               "date.today")  # fmt: skip


def count_wall_clocks(source: str) -> int:
    """Return the number of places in a module that read the wall clock."""
    found = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found += sum(each.name in {"time", "time_ns"} for each in node.names)
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            found += any(name == each or name.endswith("." + each) for each in WALL_CLOCKS)
        elif isinstance(node, ast.Call):
            found += ast.unparse(node.func).rpartition(".")[2] == "epoch_ms"
    return found


@pytest.mark.parametrize(
    "source",
    [
        "time.time()",
        "feed(time.time)",
        "from time import time",
        "datetime.datetime.now(UTC)",
        "date.today()",
        "self._clock.epoch_ms()",
        "time.time_ns()",
    ],
)
def test_wall_clock_is_found(source: str) -> None:
    assert count_wall_clocks(source) == 1


@pytest.mark.parametrize("source", ["time.monotonic()", "from time import monotonic", "x.time()"])
def test_monotonic_clock_is_not_counted(source: str) -> None:
    assert count_wall_clocks(source) == 0


def test_only_listed_modules_read_the_wall_clock() -> None:
    found = Counter[str]()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            found[name] = count_wall_clocks(path.read_text(encoding="utf-8"))
    changed = {
        name: (number, ALLOWED.get(name, (0, "not listed")))
        for name, number in found.items()
        if number != ALLOWED.get(name, (0, ""))[0]
    }
    assert not changed, (
        "use time.monotonic() or Clock.monotonic() for durations and deadlines; for times that "
        f"leave the process, change the row of the module in {Path(__file__).name}: {changed}"
    )
    assert ALLOWED.keys() <= found.keys()
