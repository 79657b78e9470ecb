"""Random ids and the no-op callback."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from engineio_core.ids import WorkerIds, generate_id, worker_of
from engineio_core.noop import noop


def test_id_has_20_url_safe_characters() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{20}", generate_id())


@pytest.mark.parametrize("number", [0, 1, 5, 63])
def test_id_of_a_worker_contains_its_number(number: int) -> None:
    ids = [WorkerIds(number).generate() for _ in range(500)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{20}", each) for each in ids)
    assert {worker_of(each) for each in ids} == {number}
    # The number does not fix any character.
    assert len({each[0] for each in ids}) > 32
    assert len(set(ids)) == 500


@pytest.mark.parametrize("text", ["", "short", "!" * 20, "A!" + "A" * 18, "A" * 21])
def test_text_of_another_form_belongs_to_no_worker(text: str) -> None:
    assert worker_of(text) is None


@pytest.mark.parametrize("number", [-1, 64])
def test_worker_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"must be from 0 to 63, got {number}"):
        WorkerIds(number)


def test_ids_are_distinct() -> None:
    assert len({generate_id() for _ in range(1000)}) == 1000


def test_ids_of_several_threads_are_distinct() -> None:
    with ThreadPoolExecutor(8) as threads:
        parts = threads.map(lambda _: [generate_id() for _ in range(500)], range(8))
        ids = [each for part in parts for each in part]
    assert len(set(ids)) == 4000


FORK = """
import os
from engineio_core.ids import generate_id

generate_id()
child = os.fork()
ids = [generate_id() for _ in range(100)]
if child:
    os.waitpid(child, 0)  # both write to one pipe
print(*ids, flush=True)
if not child:
    os._exit(0)
"""


def test_ids_of_a_forked_process_differ_from_those_of_its_parent() -> None:
    run = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True)
    ids = run.stdout.split()
    assert len(ids) == 200
    assert len(set(ids)) == 200


def test_noop_accepts_any_arguments() -> None:
    noop()
    noop("reason", 1, None)
