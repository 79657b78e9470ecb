"""Check prose against the patterns of the house style.

The script reads Markdown text, comments, docstrings, messages (raise, logging, print and the help
of a command line) and the names of test functions. Code spans, code blocks, text in double quotes
and doctest lines are skipped. Each finding is printed as `file:line: rule N: text -> hint`.

A line is exempt when a comment on that line, or on the line before it, contains the marker
`language: ok` and a reason: `# language: ok, the option's name`. In Markdown the marker is an
HTML comment.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SKIPPED_FOLDERS = {"node_modules", ".venv", ".git", "__pycache__", "results", ".mypy_cache"}
#: A docstring needs at least this many words (rule 13).
SHORTEST_DOCSTRING = 4
MARKER = re.compile(r"language: ok\b[\s,:(]*([^\n]*?)\s*(?:-->|\*/)?\s*$")


class Rule(NamedTuple):
    """One pattern of the house style, where it applies, and the plain replacement."""

    number: int
    pattern: re.Pattern[str]
    hint: str
    kinds: frozenset[str] = frozenset({"markdown", "heading", "comment", "docstring", "message"})


def _rule(number: int, pattern: str, hint: str, *kinds: str, case: bool = False) -> Rule:
    compiled = re.compile(pattern, 0 if case else re.IGNORECASE)
    return Rule(number, compiled, hint, frozenset(kinds)) if kinds else Rule(number, compiled, hint)


_BE = r"(?:is|are|was|were|be|been|being)"
_START = r"(?:^|(?<=[.!?;:] )|(?<=\())"
_IRREGULAR = (
    "came|went|got|took|fell|stood|ran|broke|began|left|sent|lay|goes|can|could|may|might|must|"
    "will|would|cannot|have|had|were|are"
)

#: Rules 1 to 10 are the rows of the house style; rule 11 is in NAME_RULES.
RULES = (
    _rule(
        1,
        rf"(?<!there )\b{_BE} no (?!(?:longer|more|less|later|earlier|larger|smaller)\b)\w+",
        'write "is not a ..." or "invalid ..."',
    ),
    _rule(1, rf"(?<!there )\b{_BE} (?-i:none|nothing)\b", "name the missing thing"),
    _rule(2, r"\b(?:whoever|whomever|whom)\b", 'name the user, client or caller: "the caller"'),
    _rule(
        2,
        r"\bwhat(?:ever)? (?!this\b|its\b|happens if\b)"
        rf"(?:{_IRREGULAR}|[a-z]+s|[a-z]+ed)\b(?! (?:does|mean|means)\b)",
        'name the thing: "queued packets", "missed events"',
    ),
    _rule(2, r"\bwhat there (?:is|are)\b", "name the thing"),
    _rule(2, r"\bwhat (?:it|they) (?:may|might|ha[sd]|have|is|was|were)\b", "name the thing"),
    _rule(
        2,
        rf"{_START}(?:who|whose)\b(?! (?:is|are)\b[^.]*\?)",
        'name the user, client or caller: "the listener"',
    ),
    _rule(
        2,
        r"\b(?:of|for|to|by|from|with|than|and|or|but|only|tells?|says?|shows?|sees?) who\b",
        'name the user, client or caller: "the listener"',
    ),
    _rule(2, r"\bthose who\b", "repeat the noun"),
    _rule(2, r"\ball that (?:is|was|are|were|has|had)\b", "name the thing"),
    _rule(
        3,
        r"\b(?:says?|said|saying)\b(?! hello)",
        'code does not talk: "documents", "contains", "sends"',
    ),
    _rule(3, r"\b(?:tells?|telling)\b", 'code does not talk: "sends", "reports", "notifies"'),
    _rule(3, r"(?<!is )(?<!are )\btold\b", 'code does not talk: "notified", "informed"'),
    _rule(3, r"\b(?:knows?|knew|knowing)\b", 'code does not know: "has", "stores", "depends on"'),
    _rule(3, r"\b(?:hears?|heard|hearing)\b", 'code does not hear: "receives"'),
    _rule(3, r"\bjudg(?:es?|ed|ing|ment)\b", 'code does not judge: "validates", "checks"'),
    _rule(3, r"\bbeliev(?:es?|ed|ing)\b", 'code does not believe: "trusts", "accepts"'),
    _rule(3, r"\bask(?:s|ed|ing)?\b", 'code does not ask: "requests", "queries", "calls"'),
    _rule(3, r"(?<!you )\bwant(?:s|ed|ing)\b", 'code does not want: "needs", "requires"'),
    _rule(3, r"\b(?:blames?|lends?|forgives?|learns|thinks)\b", "use the technical verb"),
    _rule(4, r"\ball of (?:it|them)\b|\bas above\b|\bso it is\b|\band so on\b", "repeat the noun"),
    _rule(4, r"\bthe (?:same|other) one\b|\bones of\b", "repeat the noun"),
    _rule(
        5,
        r"\b(?:somebody|everybody|nobody|anybody|oneself)\b",
        'write "another user", "all clients", "no client"',
    ),
    _rule(5, r"\b(?:he|she|his|him|himself|herself)\b", 'write "they", "the user", "the client"'),
    _rule(6, r"\b(?:[Ss]hall)\b", 'write "must" or "will"', case=True),
    _rule(6, r"\banew\b", 'write "again"'),
    _rule(6, r"\bbeneath\b", 'write "below" or "under"'),
    _rule(6, r"\bbeside\b", 'write "next to" or "in addition to"'),
    _rule(6, r"\bnor\b", 'write "or", or two sentences'),
    _rule(6, r"\blet(?:s|ting)? go\b", 'write "release"'),
    _rule(6, r"\bin good order\b", 'write "cleanly"'),
    _rule(6, r"\bbe it (?:that|a|an|the)\b", 'write "even if"'),
    _rule(6, r"\blest\b", 'write "to avoid"'),
    _rule(6, r"\bat will\b", 'write "optionally"'),
    _rule(6, r"\b(?:farewell|goodbye)\b", 'write "disconnect notice"'),
    _rule(6, r"\b(?:whilst|amongst|hence|thereof|whence|hitherto|henceforth)\b", "modern word"),
    _rule(6, r"\bheld against\b|\bhold(?:s|ing)? [^.;]{1,40} against\b", 'write "test against"'),
    _rule(6, r"\bnothing but\b", 'write "only"'),
    _rule(
        7,
        r"\b(?:is|are) (?:an?|one of|at least|at most|between|above|of)\b[^.;]*, not (?:\{|%)",
        'state the rule, the value and the remedy: "x must be ..., got {x}"',
        "message",
    ),
    _rule(
        8,
        rf"{_START}Of (?:an?|ours|each|every|what|all|its|one|those|our)\b",
        "whole sentence with a subject",
        case=True,
    ),
    _rule(8, rf"{_START}Where [^.,:;]{{1,80}}: ", "whole sentence with a subject", case=True),
    _rule(8, r"\bof (?:ours|theirs|yours|mine)\b", "name the owner"),
    _rule(
        9,
        rf"\b(?:{_BE}|gets?|got) (?:told|looked at|let (?:in|through|out)|spoken|given back)\b",
        'name the agent: "the server notifies"',
    ),
    _rule(
        10,
        r"^(?:What|Whose?|Where (?:it|they)|How (?:it|they|this)|The way of|For real|Not there)\b",
        "name the contents of the section",
        "heading",
    ),
)

_NAME_WORDS = (
    "what|who|whoever|whom|whose|nobody|somebody|everybody|anybody|oneself|he|his|him|himself|"
    "tells?|told|says?|said|knows?|knew|hears?|heard|judg(?:es?|ed)|believ(?:es?|ed)|ask(?:s|ed|ing)?|"
    "wants?|wanted|shall|anew|beside|nor|lest|farewell|goodbye"
)
NAME_RULES = (
    (re.compile(rf"_({_NAME_WORDS})(?=_|$)"), "test_<subject>_<outcome>[_when_<condition>]"),
    (re.compile(r"_((?:is|are)_(?:no|none|nothing))(?=_|$)"), 'name the outcome: "_is_rejected"'),
    (
        re.compile(
            r"^test(?:_s\d{3})*_(it|they|there|when|if|where|while|without|once|as|so|that)_"
        ),
        "begin with the subject, put the condition last",
    ),
)


@dataclass(frozen=True)
class Block:
    """A piece of prose, with the line on which each part of it starts."""

    kind: str
    text: str
    starts: tuple[tuple[int, int], ...]  # (offset in text, line), ascending
    last_line: int

    def line_at(self, offset: int) -> int:
        """Return the line of the character at `offset`."""
        index = bisect_right(self.starts, (offset, sys.maxsize)) - 1
        return self.starts[max(index, 0)][1]


class Finding(NamedTuple):
    """One violation of a rule."""

    path: Path
    line: int
    rule: int
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: rule {self.rule}: {self.text!r} -> {self.hint}"


def _join(kind: str, lines: Iterable[tuple[int, str]]) -> Block:
    """Join lines to one block, so that a pattern can match across a line break."""
    text, starts, last = "", [], 0
    for number, line in lines:
        if text:
            text += " "
        starts.append((len(text), number))
        text += line.strip()
        last = number
    return Block(kind, text, tuple(starts), last)


# ---- prose by file type


def markdown_blocks(source: str) -> Iterator[Block]:
    """Yield headings, paragraphs, list items and table rows; skip code blocks and quotations."""
    paragraph: list[tuple[int, str]] = []
    fence = ""
    for number, line in enumerate(source.splitlines(), 1):
        stripped = line.strip()
        if fence:
            fence = "" if stripped.startswith(fence) else fence
            continue
        opening = re.match(r"(`{3,}|~{3,})", stripped)
        starts_block = re.match(r"(#{1,6} |[-*+] |\d+\. |\||>|<!--)", stripped)
        if (opening or starts_block or not stripped) and paragraph:
            yield _join("markdown", paragraph)
            paragraph = []
        if opening:
            fence = opening.group(1)
        elif stripped.startswith("#"):
            yield _join("heading", [(number, stripped.lstrip("# "))])
        elif stripped and not stripped.startswith((">", "<!--")) and line[:4] != "    ":
            text = stripped.replace("|", " . ") if stripped.startswith("|") else stripped
            paragraph.append((number, re.sub(r"^(?:[-*+]|\d+\.) ", "", text)))
    if paragraph:
        yield _join("markdown", paragraph)


def comment_blocks(comments: Iterable[tuple[int, int, str]]) -> Iterator[Block]:
    """Yield comments given as (line, column, text); lines below each other form one block."""
    group: list[tuple[int, str]] = []
    previous = (-1, -1)
    for line, column, text in comments:
        if group and (line, column) != (previous[0] + 1, previous[1]):
            yield _join("comment", group)
            group = []
        group.append((line, text))
        previous = (line, column)
    if group:
        yield _join("comment", group)


def python_blocks(source: str) -> Iterator[Block]:
    """Yield the comments, docstrings and messages of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield from comment_blocks(
        (*token.start, token.string.lstrip("#: "))
        for token in tokens
        if token.type == tokenize.COMMENT and not _is_directive(token.string)
    )
    for node in _nodes(source):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.body and (docstring := _docstring(node.body[0])) is not None:
                yield from _docstring_blocks(docstring)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from _messages(node.exc)
        elif isinstance(node, ast.Call) and _is_message_call(node):
            yield from _messages(node)


@lru_cache(maxsize=1)
def _nodes(source: str) -> list[ast.AST]:
    """Return the statements of a module, and the expressions that may contain messages."""
    kinds = (ast.Module, ast.stmt, ast.Call)
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def _is_directive(comment: str) -> bool:
    return re.match(r"#\s*(?:noqa|type:|pragma|fmt:|ruff:|mypy:|!|hot path\b)", comment) is not None


def _docstring(statement: ast.stmt) -> ast.Constant | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return statement.value if isinstance(statement.value.value, str) else None
    return None


def _docstring_blocks(node: ast.Constant) -> Iterator[Block]:
    """Yield one block for each paragraph; doctest lines and indented code are left out."""
    paragraph: list[tuple[int, str]] = []
    code = False
    for number, line in enumerate(str(node.value).splitlines(), node.lineno):
        stripped = line.strip()
        code = stripped.startswith((">>>", "...")) or (code and bool(stripped))
        if (not stripped or code) and paragraph:
            yield _join("docstring", paragraph)
            paragraph = []
        if stripped and not code:
            paragraph.append((number, stripped))
    if paragraph:
        yield _join("docstring", paragraph)


_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "warn"}


def _is_message_call(node: ast.Call) -> bool:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in _LOG_METHODS or node.func.attr == "add_argument"
    return isinstance(node.func, ast.Name) and node.func.id in {"print", "warn"}


def _messages(call: ast.Call) -> Iterator[Block]:
    """Yield the texts among the arguments of a call."""
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    for value in values:
        text = _text_of(value)
        if " " in text:
            last = value.end_lineno or value.lineno
            yield Block("message", text, ((0, value.lineno),), last)


def _text_of(node: ast.expr) -> str:
    """Return the text of a literal; a value that is put in appears as `{}`."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(value) or "{}" for value in node.values)
    if isinstance(node, ast.BinOp):
        return _text_of(node.left) + _text_of(node.right)
    if isinstance(node, ast.IfExp):
        return f"{_text_of(node.body)} . {_text_of(node.orelse)}"
    return ""


_JS = re.compile(
    r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|(//[^\n]*)|(/\*.*?\*/)",
    re.DOTALL,
)
_TOML = re.compile(
    r"'''.*?'''|\"\"\".*?\"\"\"|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'|(#[^\n]*)", re.DOTALL
)
_SHELL = re.compile(r"(?:^|(?<=\s))(#[^\n]*)", re.MULTILINE)


def pattern_blocks(source: str, pattern: re.Pattern[str]) -> Iterator[Block]:
    """Yield the comments that the groups of a pattern match."""
    found = []
    for match in pattern.finditer(source):
        text = next((group for group in match.groups() if group), "")
        line = source.count("\n", 0, match.start()) + 1
        column = match.start() - (source.rfind("\n", 0, match.start()) + 1)
        found += [
            (line + index, column, part.strip("/*# \t"))
            for index, part in enumerate(text.splitlines())
            if not part.startswith("#!")
        ]
    yield from comment_blocks(found)


def blocks_of(path: Path, source: str) -> Iterator[Block]:
    """Yield the prose of a file, by its type."""
    if path.suffix == ".md":
        yield from markdown_blocks(source)
    elif path.suffix == ".py":
        yield from python_blocks(source)
    elif path.suffix in {".js", ".mjs", ".cjs"}:
        yield from pattern_blocks(source, _JS)
    elif path.suffix == ".toml":
        yield from pattern_blocks(source, _TOML)
    elif path.name == "Makefile" or source.startswith("#!"):
        yield from pattern_blocks(source, _SHELL)


# ---- checking


def _blank(match: re.Match[str]) -> str:
    return "_" * len(match.group())


def _prose_of(block: Block) -> str:
    """Return the text with code, link targets and quotations blanked, at the same offsets."""
    text = re.sub(r"``[^`]+``|`[^`]+`", _blank, block.text)
    text = re.sub(r"(?<=\])\([^)\s]+\)|https?://\S+|<[^<>\s]+>", _blank, text)
    text = re.sub(r"\b(neither\b[^.;]*?\b)nor\b", r"\1or_", text, flags=re.IGNORECASE)
    if block.kind != "message":
        text = re.sub(r"\"[^\"]{1,400}\"|“[^”]{1,400}”", _blank, text)
    return text


def _excerpt(block: Block, match: re.Match[str]) -> str:
    """Return the match with a few words around it."""
    start = block.text.rfind(" ", 0, max(match.start() - 16, 0)) + 1
    end = block.text.find(" ", match.end() + 16)
    return block.text[start : end if end >= 0 else None].strip()


def check_source(path: Path, source: str) -> list[Finding]:
    """Return the findings in the text of one file, in the order of their lines."""
    findings: list[Finding] = []
    exempt: set[int] = set()
    for number, line in enumerate(source.splitlines(), 1):
        if marker := MARKER.search(line):
            exempt |= {number, number + 1}
            if not marker.group(1) and path.name != Path(__file__).name:
                findings.append(Finding(path, number, 0, line.strip(), "give a reason"))
    for block in blocks_of(path, source):
        prose = _prose_of(block)
        for rule in RULES:
            if block.kind in rule.kinds:
                findings += [
                    Finding(path, block.line_at(match.start()), rule.number, text, rule.hint)
                    for match in rule.pattern.finditer(prose)
                    if block.last_line not in exempt and (text := _excerpt(block, match))
                ]
    if path.suffix == ".py":
        findings += _check_definitions(path, source)
    return sorted({each for each in findings if each.rule == 0 or each.line not in exempt})


def _check_definitions(path: Path, source: str) -> Iterator[Finding]:
    """Yield findings in the names of tests (rule 11) and the length of docstrings (rule 13)."""
    for node in _nodes(source):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("test_"):
            for pattern, hint in NAME_RULES:
                if match := pattern.search(node.name):
                    yield Finding(path, node.lineno, 11, f"{node.name}: {match.group(1)}", hint)
        docstring = _docstring(node.body[0])
        text = str(docstring.value) if docstring else ""
        if docstring and len(text.split()) < SHORTEST_DOCSTRING:
            hint = "add the contract, or delete the docstring"
            yield Finding(path, docstring.lineno, 13, text, hint)


def files_of(arguments: Iterable[str]) -> Iterator[Path]:
    """Yield the files to check: tracked files of the repository, or those below the arguments."""
    names = list(arguments)
    if not names:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        )
        names = [str(ROOT / name) for name in listed.stdout.split("\0") if name]
    for name in names:
        path = Path(name)
        candidates = sorted(path.rglob("*")) if path.is_dir() else [path]
        for each in candidates:
            if each.is_file() and not SKIPPED_FOLDERS & set(each.parts):
                yield each


def main(arguments: list[str]) -> int:
    """Print the findings; return 1 if there is any."""
    count = 0
    for path in files_of(arguments):
        try:
            source = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if path.is_absolute() and path.is_relative_to(ROOT):
            path = path.relative_to(ROOT)
        for finding in check_source(path, source):
            print(finding)
            count += 1
    if count:
        print(f"{count} findings", file=sys.stderr)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
