"""Findings of an examination, and their printed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hextrackr_server.telemetry.log_setup import escape

_WIDTH: Final = 14
#: Characters of a value of the server that a finding quotes.
MAXIMUM_QUOTED: Final = 120


class Level(StrEnum):
    """The importance of a finding; an error or a warning needs an action."""

    OK = "ok"
    NOTE = "note"
    SKIPPED = "skipped"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Remedy:
    """The remedy of a problem: a sentence, and the lines of each proxy's configuration."""

    text: str
    nginx: str = ""
    haproxy: str = ""


@dataclass(frozen=True)
class Finding:
    """The result of one check: the name of the check, and a code that is unique per problem."""

    check: str
    level: Level
    message: str
    code: str = ""
    remedy: Remedy | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON; keys without a value are missing."""
        found: dict[str, Any] = {
            "check": self.check,
            "level": str(self.level),
            "code": self.code,
            "message": self.message,
        }
        if self.remedy is not None:
            found["remedy"] = {
                name: value
                for name, value in (
                    ("text", self.remedy.text),
                    ("nginx", self.remedy.nginx),
                    ("haproxy", self.remedy.haproxy),
                )
                if value
            }
        return {name: value for name, value in found.items() if value}


@dataclass
class Report:
    """All findings about one URL, in the order of the checks."""

    url: str
    findings: list[Finding] = field(default_factory=list)

    def count(self, level: Level) -> int:
        """Return the number of findings of a level."""
        return sum(each.level is level for each in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "url": self.url,
            "errors": self.count(Level.ERROR),
            "warnings": self.count(Level.WARNING),
            "findings": [each.as_dict() for each in self.findings],
        }

    def lines(self) -> list[str]:
        """Return the report as lines for a terminal."""
        lines = [self.url]
        for each in self.findings:
            word = each.level.upper() if each.remedy is not None else str(each.level)
            lines.append(f"  {word:<8} {each.check:<{_WIDTH}} {escape(each.message)}")
            lines += _remedy_lines(each.remedy)
        errors, warnings = self.count(Level.ERROR), self.count(Level.WARNING)
        lines.append(f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}")
        return lines


def _remedy_lines(remedy: Remedy | None) -> list[str]:
    if remedy is None:
        return []
    indent = " " * (_WIDTH + 12)
    lines = [indent + remedy.text]
    for name, text in (("nginx", remedy.nginx), ("HAProxy", remedy.haproxy)):
        for number, line in enumerate(text.splitlines()):
            lines.append(f"{indent}{name + ':' if not number else '':<9}{line}")
    return lines


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def quoted(value: str) -> str:
    """Return a value of the server for a message, shortened."""
    text = " ".join(value.split())
    return repr(text[:MAXIMUM_QUOTED] + ("..." if len(text) > MAXIMUM_QUOTED else ""))


def problem(
    remedies: Mapping[str, Remedy], check: str, level: Level, code: str, message: str
) -> Finding:
    """Return a finding with the remedy that belongs to its code."""
    return Finding(check, level, message, code, remedies[code])


def worst(findings: Sequence[Finding]) -> Level:
    """Return the most important level of some findings."""
    order = list(Level)
    return max((each.level for each in findings), key=order.index, default=Level.OK)
