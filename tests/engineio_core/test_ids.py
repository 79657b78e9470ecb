"""Random ids and the no-op callback."""

from __future__ import annotations

import re

from engineio_core.ids import generate_id
from engineio_core.noop import noop


def test_id_has_20_url_safe_characters() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{20}", generate_id())


def test_ids_are_distinct() -> None:
    assert len({generate_id() for _ in range(1000)}) == 1000


def test_noop_accepts_any_arguments() -> None:
    noop()
    noop("reason", 1, None)
