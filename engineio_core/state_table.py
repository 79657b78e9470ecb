"""Base class of the enums that state tables use as keys."""

from __future__ import annotations

from enum import Enum


class TableKey(Enum):
    """An enum whose members are hashed by identity.

    `Enum.__hash__` is a Python function: each look-up in a state table would call it. A connect
    needs 14 of these calls (benchmarks/hop_budget.py).
    """

    __hash__ = object.__hash__
