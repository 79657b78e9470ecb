"""The code blocks of Markdown documents, and the commands in their shell blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
#: Languages whose blocks are text: the output of a program, or a drawing.
PLAIN = {"text", "diff", "mermaid"}
_FENCE = re.compile(
    r"(?:^ *<!-- not run: ([^\n]*?) -->\n+)?^( *)```(\w*)\n(.*?)^\2```$", re.MULTILINE | re.DOTALL
)
_SKIPPED = re.compile(r"node_modules|build|dist|\.(?!github).*")


@dataclass(frozen=True)
class CodeBlock:
    """A fenced code block: its document, line, language and text.

    `reason` explains why no test runs the block: the comment `<!-- not run: reason -->` above it.
    """

    document: Path
    line: int
    language: str
    text: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Return the documents of the repository, whose code blocks are tested."""
    return sorted(
        path
        for path in ROOT.rglob("*.md")
        if not any(map(_SKIPPED.fullmatch, path.relative_to(ROOT).parts))
    )


def blocks_of(document: Path) -> list[CodeBlock]:
    """Return the code blocks of a document, in their order."""
    text = document.read_text("utf-8")
    return [
        CodeBlock(document, 1 + text.count("\n", 0, start), language, dedent(code), reason or "")
        for match in _FENCE.finditer(text)
        for start, (reason, _, language, code) in [(match.start(2), match.groups())]
    ]


def blocks(*languages: str) -> list[CodeBlock]:
    """Return the code blocks in these languages that tests run, of all documents."""
    found = [block for document in documents() for block in blocks_of(document)]
    return [block for block in found if block.language in languages and not block.reason]


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


def describe_blocks() -> Iterator[str]:
    """Yield lines for a summary: the number of blocks, and the reason of each that does not run."""
    found = [block for document in documents() for block in blocks_of(document)]
    skipped = [block for block in found if block.reason]
    yield f"documentation: {len(found)} code blocks, {len(skipped)} of them do not run:"
    for block in skipped:
        yield f"  {block}: {block.reason}"
