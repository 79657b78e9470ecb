"""Formats results as text, JSON and JUnit XML, and shows the progress."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO
from xml.etree import ElementTree

from .player import describe
from .session import Outcome, Result, Summary


class Progress:
    """A progress line, shown on a terminal only."""

    def __init__(self, total: int, out: TextIO = sys.stderr) -> None:
        self._total = total
        self._out = out
        self._is_shown = out.isatty()
        self._done = self._failed = 0

    def __call__(self, result: Result) -> None:
        """Count a result and update the line."""
        self._done += 1
        self._failed += result.outcome is Outcome.FAILED
        if self._is_shown:
            line = f"{self._done}/{self._total}, {self._failed} failed  {result.dialogue.name}"
            self._out.write(f"\r\x1b[K{line[:78]}")
            self._out.flush()

    def clear(self) -> None:
        """Clear the line before the report."""
        if self._is_shown:
            self._out.write("\r\x1b[K")


def text(summary: Summary) -> str:
    """Return the report as text.

    The last line is `N passed, N failed`, followed by `N not played` if there are any.
    """
    lines: list[str] = []
    for result in _sorted(summary):
        if result.outcome is Outcome.FAILED:
            lines += [*_failure(result), ""]
    lines += _remarks(summary)
    passed = summary.count(Outcome.PASSED) + summary.count(Outcome.DIFFERS)
    last = f"{passed} passed, {summary.count(Outcome.FAILED)} failed"
    if summary.omitted:
        last += f", {len(summary.omitted)} not played"
    return "\n".join([*lines, last])


def _sorted(summary: Summary) -> list[Result]:
    return sorted(summary.results, key=lambda each: (each.dialogue.subject, each.dialogue.name))


def _failure(result: Result) -> Iterator[str]:
    failure = result.failure
    assert failure is not None, "a failed result has a failure"
    yield f"FAILED {result.dialogue.name} ({result.dialogue.subject}, {result.dialogue.group})"
    yield f"  step {failure.number}: {describe(failure.step)}"
    yield f"  expected  {failure.expected}"
    yield f"  observed  {failure.observed}"
    yield f"  source    {result.dialogue.source}"


def _remarks(summary: Summary) -> Iterator[str]:
    differing = [each for each in _sorted(summary) if each.outcome is Outcome.DIFFERS]
    for result in differing:
        yield f"known difference: {result.dialogue.name}: {result.dialogue.node_differs}"
    if differing:
        yield f"{len(differing)} dialogues differ as marked in the vectors and count as passed"
    for result in _sorted(summary):
        if result.is_second and result.outcome is not Outcome.FAILED:
            yield f"failed in parallel, passed when played alone: {result.dialogue.name}"
    for reason, count in sorted(summary.left_out.items()):
        groups = Counter(
            f"{each.dialogue.subject} {each.dialogue.group}"
            for each in summary.omitted
            if each.reason == reason
        )
        parts = ", ".join(f"{group} {number}" for group, number in sorted(groups.items()))
        yield f"{count} dialogues not played, because they need {reason} ({parts})"


def stale_marks(summary: Summary) -> list[str]:
    """Return the dialogues marked as different that a Node server passed."""
    return sorted(
        result.dialogue.name
        for result in summary.results
        if result.outcome is Outcome.PASSED and result.dialogue.node_differs is not None
    )


def as_json(summary: Summary) -> str:
    """Return the report as JSON text."""
    cases: list[dict[str, Any]] = []
    for result in _sorted(summary):
        case: dict[str, Any] = {
            "name": result.dialogue.name,
            "subject": result.dialogue.subject,
            "group": result.dialogue.group,
            "outcome": result.outcome.value,
            "seconds": round(result.seconds, 3),
            "source": result.dialogue.source,
        }
        if result.failure is not None:
            case["failure"] = result.failure._asdict()
        cases.append(case)
    counts = {outcome.value: summary.count(outcome) for outcome in Outcome}
    omitted = [{"name": each.dialogue.name, "needs": each.reason} for each in summary.omitted]
    report = {
        **counts,
        "not_played": dict(summary.left_out),
        "cases": cases,
        "not_played_cases": omitted,
    }
    return json.dumps(report, ensure_ascii=False, indent=1) + "\n"


def as_junit(summary: Summary) -> str:
    """Return the report as JUnit XML for continuous integration."""
    suite = ElementTree.Element(
        "testsuite",
        name="socketio-conformance",
        tests=str(len(summary.results) + len(summary.omitted)),
        skipped=str(len(summary.omitted)),
        failures=str(summary.count(Outcome.FAILED)),
        time=f"{sum(each.seconds for each in summary.results):.3f}",
    )
    for result in _sorted(summary):
        dialogue = result.dialogue
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{dialogue.subject}.{dialogue.group}",
            name=dialogue.name,
            time=f"{result.seconds:.3f}",
        )
        if result.outcome is Outcome.FAILED:
            lines = list(_failure(result))
            ElementTree.SubElement(case, "failure", message=lines[2].strip()).text = "\n".join(
                lines
            )
    for omission in summary.omitted:
        dialogue = omission.dialogue
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{dialogue.subject}.{dialogue.group}",
            name=dialogue.name,
        )
        ElementTree.SubElement(case, "skipped", message=f"needs {omission.reason}")
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
