"""Tests of shortening reports that end a session."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hextrackr_server.http.ingest.fitting import fit_metadata, fit_summary, size_of

NAMES = st.text('aä"\\', max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(NAMES, values, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 60))
def test_summary_is_unchanged_when_it_fits(value: Any, most: int) -> None:
    fitted = fit_summary(value, most)
    if size_of(value) <= most:
        assert fitted is value
    elif fitted is not None:
        assert size_of(fitted) <= most


def test_longest_lists_that_fit_are_kept() -> None:
    value = {"cves": ["x" * 10] * 600, "more": [{"list": [0] * 600}], "name": "n"}
    fitted = fit_summary(value, 10_000)
    assert (len(fitted["cves"]), fitted["omitted"]) == (500, {"cves": 100})
    assert fitted["more"] == [{"list": [0] * 500, "truncated": True, "omitted": {"list": 100}}]
    assert len(fit_summary(value, 5000)["cves"]) == 100
    assert len(fit_summary(value, 500)["cves"]) == 10
    assert fit_summary(value, 200)["cves"] == []
    assert fit_summary(value, 20) is None


@pytest.mark.parametrize(
    "value",
    [
        [[[0]]],
        [[], [], []],
        [],
        {"": {"": 0}},
        {"": [], "a": {}},
        [0, 0, 0],
        {"": ""},
        {str(number): 0 for number in range(100)},
        [[0] * 10] * 10,
    ],
    ids=range(9),
)
def test_value_of_exactly_the_limit_can_be_shortened(value: Any) -> None:
    # Long texts are cut, so that the copy has the size of the same value with a shorter text.
    long, short = [value, "x" * 2000], [value, "x" * 1000]
    assert fit_summary(long, size_of(short)) == short


def test_value_of_too_many_parts_is_not_copied_to_its_end() -> None:
    class Text(str):
        __slots__ = ()

        def __getitem__(self, _: Any) -> str:
            raise AssertionError("the value was copied")

    names = {str(number): Text("x") for number in range(100_000)}
    assert fit_summary(names, 1000) is None


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES), st.integers(0, 200))
def test_metadata_loses_its_largest_values_until_it_fits(
    metadata: dict[str, Any], kept: dict[str, Any], most: int
) -> None:
    fitted, omitted = dict(metadata), []
    for name in sorted(metadata, key=lambda each: size_of(metadata[each]), reverse=True):
        if size_of({**kept, **fitted}) <= most:
            break
        del fitted[name]
        omitted.append(name)
    expected = fitted | ({"truncated": omitted[:64]} if omitted else {})
    assert fit_metadata(metadata, kept, most) == expected


def test_each_value_of_metadata_is_encoded_a_fixed_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode, calls = json.dumps, 0

    def counting(value: Any) -> str:
        nonlocal calls
        calls += 1
        return encode(value)

    monkeypatch.setattr(json, "dumps", counting)
    metadata = {f"name-{number}": number for number in range(5000)}
    fitted = fit_metadata(metadata, {}, 1000)
    assert 0 < len(fitted) < 100
    assert calls == 2 * len(metadata)
