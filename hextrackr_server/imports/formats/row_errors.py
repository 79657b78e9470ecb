"""Errors of rows without a finding, and the stored findings that such rows may refer to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

Mention: TypeAlias = tuple[str, str]
"""A value that a row without a finding contains: a column of stored findings, and its value."""


class NoFindingError(Exception):
    """A row without a finding that may refer to stored findings.

    `mentions` contains the values that could be read. The row may refer to any finding with one of
    these values, and to every finding if `mentions` is empty.
    """

    def __init__(self, message: str, mentions: Iterable[Mention] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.mentions = [mention for mention in mentions if mention[1]]


class RowRejectedError(NoFindingError):
    """A row without a usable finding; `column` is at fault, `value` is what it holds."""

    def __init__(
        self,
        column: str,
        message: str,
        value: str | None = None,
        mentions: Iterable[Mention] = (),
    ) -> None:
        super().__init__(message, mentions)
        self.column = column
        self.value = value


class CheckNotRunError(NoFindingError):
    """A row of a check that failed or was skipped: its finding keeps its state."""
