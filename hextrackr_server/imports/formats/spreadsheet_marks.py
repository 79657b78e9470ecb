"""Removes marks that keep spreadsheets from changing or running the text of a cell.

Exporters write `="00123"` and `'00123` so that a spreadsheet keeps the zeros, and `'=1+2` so that
it does not run a formula. Links are formulas too: `=HYPERLINK("https://example.test/1","1")`.
"""

from __future__ import annotations

import re
from typing import Final

#: The first characters of texts that may have a mark.
MARKS: Final = "='"

# A spreadsheet holds half as many characters in a cell.
LONGEST: Final = 1 << 16

_QUOTED: Final = r'"([^"]*(?:""[^"]*)*)"'
_TEXT: Final = re.compile(rf"=\s*(?:{_QUOTED}|T\(\s*{_QUOTED}\s*\))", re.IGNORECASE)
_LINK: Final = re.compile(
    rf"=\s*HYPERLINK\(\s*{_QUOTED}\s*(?:[,;]\s*(?:{_QUOTED}|([^\s\"()]+))\s*)?\)", re.IGNORECASE
)


def join_guards(cells: list[str], delimiter: str) -> list[str]:
    """Return cells of which those that a delimiter within `="a, b"` has split are joined.

    Blanks behind a delimiter are lost; between digits there was none, as in `="7,5"`.
    """
    joined: list[str] = []
    pieces: list[str] = []
    for cell in cells:
        if not pieces and not cell.startswith('="'):
            joined.append(cell)
            continue
        if pieces:
            is_number = pieces[-1][-1:].isdigit() and cell[:1].isdigit()
            pieces += (delimiter if is_number else delimiter + " ", cell)
        else:
            pieces.append(cell)
        if cell.endswith('"') and (len(pieces) > 1 or len(cell) > 2):
            joined.append("".join(pieces))
            pieces = []
    return cells if pieces else joined


def read_text(cell: str) -> str:
    """Return the text of a cell without outer blanks and without marks."""
    text = cell.strip()
    return remove_marks(text) if text and text[0] in MARKS else text


def remove_marks(text: str) -> str:
    """Return a text that begins with one of MARKS without its marks, or the text if it has none.

    An apostrophe with a counterpart, as in `'Example' is outdated`, is a quotation mark.
    """
    if len(text) > LONGEST:
        return text
    if text[0] == "'":
        rest = text[1:]
        if not rest or rest.count("'") % 2:
            return text
        text = rest.strip()
    match = _TEXT.fullmatch(text) or _LINK.fullmatch(text)
    if match is None:
        return text
    found = next((group for group in reversed(match.groups()) if group), "")
    return found.replace('""', '"').strip()
