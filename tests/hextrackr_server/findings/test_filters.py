"""Filters of requests: the work for invalid ones is limited."""

from __future__ import annotations

from collections.abc import Callable, ItemsView
from typing import Any

import pytest

from hextrackr_server.errors import MAXIMUM_PROBLEMS, ServiceError
from hextrackr_server.findings.filters import MAXIMUM_SEVERITIES, parse_filters
from hextrackr_server.findings.queries import DataRequest, _filters


class CountingDict(dict[str, Any]):
    """A dictionary that counts the items that are read."""

    read = 0

    def items(self) -> ItemsView[str, Any]:
        def count() -> Any:
            for item in super(CountingDict, self).items():
                self.read += 1
                yield item

        return count()  # type: ignore[return-value]


@pytest.mark.parametrize(
    "parse",
    [parse_filters, lambda filters: _filters(DataRequest("kev", filters=filters))],
    ids=["findings", "kev"],
)
def test_error_names_a_limited_number_of_invalid_filters(parse: Callable[[Any], Any]) -> None:
    filters = CountingDict({f"unknown-{number}": 1 for number in range(1000)})
    with pytest.raises(ServiceError) as refusal:
        parse(filters)
    assert len(refusal.value.fields or ()) == filters.read == MAXIMUM_PROBLEMS


def test_number_of_severities_is_limited() -> None:
    assert parse_filters({"severity": ["low"] * MAXIMUM_SEVERITIES}) == (("severity", ("Low",)),)
    with pytest.raises(ServiceError, match="Invalid filters"):
        parse_filters({"severity": ["low"] * (MAXIMUM_SEVERITIES + 1)})
