"""The code blocks of Markdown documents, and the commands in their shell blocks."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class CodeBlock:
    """A fenced code block: its document, line, language and text."""

    document: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Return the documents whose code blocks are tested."""
    return [
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "spec-vectors" / "README.md",
    ]


def blocks_of(document: Path) -> list[CodeBlock]:
    """Return the code blocks of a document, in their order."""
    text = document.read_text("utf-8")
    return [
        CodeBlock(document, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in _FENCE.finditer(text)
    ]


def blocks(*languages: str) -> list[CodeBlock]:
    """Return the code blocks in these languages, of all documents."""
    found = [block for document in documents() for block in blocks_of(document)]
    return [block for block in found if block.language in languages]


def commands(text: str) -> list[list[str]]:
    """Return the commands of a shell block as words; comments and substitutions are removed.

    Variable assignments in front of a command stay as words of the form NAME=value.
    """
    text = re.sub(r"\$\([^()]*\)", "value", text.replace("\\\n", " "))
    found = []
    for line in text.splitlines():
        for part in re.split(r"\s&&\s", line):
            words = shlex.split(part, comments=True)
            if words:
                found.append(words)
    return found
