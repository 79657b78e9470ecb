"""The driver without atheris, the mutations, and the record of executions."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from fuzz import __main__ as program
from fuzz import plain, record
from fuzz.mutation import Mutator, PartMutator
from fuzz.pieces import MOST, divide
from fuzz.plain import run_plainly
from fuzz.slow_inputs import SlowInputError, SlowInputs
from fuzz.target import Target, names

STATISTICS = b"#2000 DONE cov: 41 ft: 60\nstat::number_of_executed_units: 2000\n"


def refuse_brackets(data: bytes) -> None:
    if b"]" in data:
        raise IndexError("planted")


def test_driver_names_the_input_that_violates_an_invariant() -> None:
    target = Target("planted", lambda: [b"abc"], refuse_brackets, (b"]",))
    with pytest.raises(AssertionError, match=r"the target fails on the input b'.*]"):
        run_plainly(target, 1000)


def test_driver_runs_the_seeds_first() -> None:
    target = Target("planted", lambda: [b"abc", b"x]"], refuse_brackets)
    with pytest.raises(AssertionError, match="fails on the input b'x]'"):
        run_plainly(target, 0)


def test_mutations_are_equal_for_equal_seeds_and_bounded() -> None:
    def make() -> list[bytes]:
        mutator = Mutator(Random(7), [b"hello", b"world" * 10], (b"token",), 60)
        return [mutator.make() for _ in range(500)]

    made = make()
    assert made == make()
    assert max(map(len, made)) == 60
    assert len(set(made)) > 400
    assert any(b"token" in each for each in made)


def test_part_mutations_keep_the_other_parts_and_the_borders() -> None:
    parts = PartMutator(b",\n", (b"token",))
    found = {parts.change(b"aa,b\nc", Random(seed), bytes.upper) for seed in range(300)}
    assert {b"token,b\nc", b"aa,b\ntoken", b"aa,B\nc", b",b\nc", b"aa,c\nc"} <= found
    # Also all from one part to another, repeated behind a border.
    assert {b"aa,aa,b\nc", b"aa,b,aa,b\nc"} <= found
    assert all(b"\n" in each for each in found)


def test_part_mutations_of_an_input_without_parts_add_a_token() -> None:
    parts = PartMutator(b",", (b"token",))
    assert any(parts.change(b",", Random(seed), bytes.upper) == b",token" for seed in range(50))


def test_mutator_with_borders_makes_equal_inputs_for_equal_seeds() -> None:
    def make() -> list[bytes]:
        mutator = Mutator(Random(7), [b"a,b,c\n1,2,3"], (b"token",), 60, b",\n")
        return [mutator.make() for _ in range(200)]

    assert make() == make()
    assert len(set(make())) > 150


@pytest.mark.parametrize("size", [0, 1, 5, 100, 5000])
def test_pieces_are_the_whole_input(size: int) -> None:
    for number in range(50):
        data = Random(number).randbytes(size)
        pieces = divide(data)
        assert b"".join(pieces) == data
        assert all(pieces)
        assert len(pieces) <= MOST + 1


def run_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, *arguments: str
) -> tuple[int, list[str]]:
    """Run the program with a process that ends with `code`; return its result and the command."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> Any:
        commands.append(command)
        assert options["timeout"] >= program.GRACE_SECONDS
        return SimpleNamespace(returncode=code, stdout=b"ValueError: planted", stderr=STATISTICS)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(program, "BUILD", tmp_path)
    monkeypatch.setattr(sys, "argv", ["fuzz", "--target", "cookies", *arguments])
    return program.main(), commands[0]


def test_program_prints_executions_and_coverage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, command = run_program(monkeypatch, tmp_path, 0, "--time", "5s")
    assert code == 0
    assert "-max_total_time=5" in command
    assert capsys.readouterr().out.split() == [
        "cookies", "2,000", "executions", "41", "edges", "held"
    ]  # fmt: skip
    assert len(list((tmp_path / "seeds" / "cookies").iterdir())) == 9


def test_program_runs_without_coverage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, command = run_program(monkeypatch, tmp_path, 0, "--plain", "--runs", "7", "--seed", "3")
    assert code == 0
    assert command[1:4] == ["-m", "fuzz.plain", "cookies"]
    assert command[-2:] == ["-runs=7", "3"]


def test_plain_process_mutates_the_corpus_and_prints_its_executions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "1").write_bytes(b"hextrackr.sid=s%3Aabc.x")
    assert plain.main("cookies", tmp_path, corpus, "-runs=20", "3") == 0
    assert capsys.readouterr().err == "stat::number_of_executed_units: 29\n"


def test_plain_run_writes_the_input_that_fails(tmp_path: Path) -> None:
    target = Target("planted", lambda: [b"abc", b"x]"], refuse_brackets)
    with pytest.raises(AssertionError, match="fails on the input"):
        run_plainly(target, 0, failures=tmp_path)
    (written,) = tmp_path.iterdir()
    assert written.read_bytes() == b"x]"


def test_plain_run_ends_after_a_time() -> None:
    target = Target("planted", lambda: [b"abc"], bytes)
    assert run_plainly(target, None, seconds=0) == 500


def test_input_that_computes_for_ever_fails() -> None:
    slow = SlowInputs(0.02)

    def compute() -> None:
        while True:
            pass

    slow.begin()
    with slow, pytest.raises(SlowInputError, match=r"more than 0\.02 s of CPU time"):
        compute()


def test_input_fails_at_its_second_tick() -> None:
    slow = SlowInputs()
    for _ in range(3):
        slow.begin()
        slow._tick(signal.SIGVTALRM, None)
    with pytest.raises(SlowInputError, match="more than 20 s of CPU time"):
        slow._tick(signal.SIGVTALRM, None)


def test_program_fails_when_a_target_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, command = run_program(monkeypatch, tmp_path, 77, "--runs", "10")
    assert code == 1
    assert "-runs=10" in command
    output = capsys.readouterr().out
    assert "FAILED" in output
    assert "ValueError: planted" in output


@pytest.mark.parametrize(
    ("arguments", "seconds"), [(("--time", "90s"), "1,890"), (("--runs", "7"), "1,807")]
)
def test_program_fails_when_a_process_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    seconds: str,
) -> None:
    def run(command: list[str], *, timeout: float, **options: Any) -> Any:
        raise subprocess.TimeoutExpired(command, timeout, stderr=b"INFO: x\nINPUT: planted")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(program, "BUILD", tmp_path)
    monkeypatch.setattr(sys, "argv", ["fuzz", "--plain", "--target", "cookies", *arguments])
    assert program.main() == 1
    failure = capsys.readouterr().out.partition("==> cookies\n")[2]
    assert failure == f"the process has not ended after {seconds} s\nINPUT: planted\n"


def test_plain_process_limits_its_memory() -> None:
    code = (
        "import resource; from fuzz import plain; plain.limit_memory()\n"
        "try: bytes(3 << 30)\n"
        "except MemoryError: print(resource.getrlimit(resource.RLIMIT_AS)[0] >> 20)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2048\n", "")


def test_program_runs_one_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"hextrackr.sid=s%3Aabc.x")
    monkeypatch.setattr(sys, "argv", ["fuzz", "--target", "cookies", "--input", str(path)])
    assert program.main() == 0
    assert capsys.readouterr().out == "cookies holds for this input\n"


def test_program_refuses_an_unknown_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--target", "nothing"])
    assert program.main() == 2
    assert "unknown target nothing: choose from client_responses" in capsys.readouterr().out


def test_record_adds_executions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "fuzzing.md"
    page.write_text(f"before\n{record.BEGIN}\n{record.END}\nafter\n")
    monkeypatch.setattr(record, "PAGE", page)
    record.write_record({"cookies": 1500, "forwarded": 7}, date(2030, 1, 1), is_guided=True)
    later = {"cookies": 500, "tokens": 3, "forwarded": 0}
    record.write_record(later, date(2030, 1, 2), is_guided=True)
    record.write_record({"cookies": 9}, date(2030, 1, 3), is_guided=False)
    assert record.read_record()["cookies"] == (2000, 9, "2030-01-03")
    assert record.read_record()["tokens"] == (3, 0, "2030-01-02")
    assert record.read_record()["forwarded"] == (7, 0, "2030-01-01")
    assert record.read_record()["uploads"] == (0, 0, "-")
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("\nafter\n")


def test_page_lists_all_targets() -> None:
    entries = record.read_record()
    assert list(entries) == names()
    assert record.make_table(entries) in record.PAGE.read_text()
