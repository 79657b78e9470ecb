"""Our parsers agree with those of Node on mutated input, except for the listed differences."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.parser_differences import DIFFERENCES, Difference, describe
from tests.interop.parser_results import OURS, Result, as_result, make_inputs

pytestmark = pytest.mark.interop
HERE = Path(__file__).parent
ENGINE = HERE.parent / "targets" / "node_modules" / "engine.io"
PAGE = HERE.parent.parent / "docs" / "fuzzing.md"
INPUTS = 1500
Parse = Callable[[str, list[bytes]], list[Result]]


@pytest.fixture(scope="module")
def parse() -> Iterator[Parse]:
    """Start Node, and return a function that parses inputs there."""
    with subprocess.Popen(
        ["node", HERE / "parsers.js", ENGINE], cwd=HERE, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        reader, writer = process.stdout, process.stdin

        def parse_there(kind: str, inputs: list[bytes]) -> list[Result]:
            texts = [base64.b64encode(each).decode() for each in inputs]
            writer.write(json.dumps([kind, texts]) + "\n")
            writer.flush()
            return [as_result(each) for each in json.loads(reader.readline())]

        yield parse_there
        writer.close()


@pytest.mark.parametrize("kind", OURS)
def test_parsers_agree_except_for_the_listed_differences(parse: Parse, kind: str) -> None:
    listed = [each for each in DIFFERENCES if kind in each.kinds]
    inputs = make_inputs(kind, INPUTS)
    equal = 0
    for data, theirs in zip(inputs, parse(kind, inputs), strict=True):
        ours = OURS[kind](data)
        equal += ours == theirs
        assert ours == theirs or any(each.accepts(data, ours, theirs) for each in listed), (
            f"{data!r}: ours {ours}, Node {theirs}"
        )
    assert equal > INPUTS / 2


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.name.replace(" ", "-"))
def test_listed_difference_exists(parse: Parse, difference: Difference) -> None:
    kind = difference.kinds[0]
    ours = OURS[kind](difference.example)
    (theirs,) = parse(kind, [difference.example])
    assert ours != theirs, "remove the difference: the results are equal"
    assert difference.accepts(difference.example, ours, theirs)


def test_page_lists_the_differences() -> None:
    assert describe() in PAGE.read_text("utf-8")
