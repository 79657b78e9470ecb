"""The function that does nothing: the default of every optional callback."""

from __future__ import annotations


def noop(*_: object) -> None:
    """Accept any arguments and do nothing."""
