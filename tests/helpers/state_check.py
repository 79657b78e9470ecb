"""A check of every state assignment of a class against its transition table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class CheckedState:
    """A replacement for the `state` slot of a class that records illegal transitions."""

    def __init__(
        self, owner: type, table: Mapping[Any, Mapping[Any, Any]], violations: list[str]
    ) -> None:
        self._slot = owner.__dict__["state"]
        self._owner = owner.__name__
        self._table = table
        self._violations = violations

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self._slot.__get__(instance, owner)

    def __set__(self, instance: Any, state: Any) -> None:
        try:
            before = self._slot.__get__(instance)
        except AttributeError:
            legal = state is next(iter(self._table))
            before = None
        else:
            legal = state in self._table[before].values()
        if not legal:
            self._violations.append(f"{self._owner}: {before} -> {state}")
        self._slot.__set__(instance, state)


def check_states(
    owner: type, table: Mapping[Any, Mapping[Any, Any]], violations: list[str]
) -> None:
    """Record each illegal transition of `owner` in `violations`, from now on."""
    owner.state = CheckedState(owner, table, violations)  # type: ignore[attr-defined]
