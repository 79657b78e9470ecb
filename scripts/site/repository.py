"""Adds files of the repository outside of docs/ to the site, and points links to their pages."""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Documents outside of docs/, and their pages.
DOCUMENTS = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "report-a-vulnerability.md",
    "spec-vectors/README.md": "conformance.md",
    "spec-vectors/PEERS.md": "conformance-peers.md",
}
LANGUAGES = {".py": "python", ".js": "js"}
_FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")


def example_pages() -> dict[str, str]:
    """Return the files of examples/ and their pages."""
    files = [each for each in sorted((ROOT / "examples").rglob("*")) if each.suffix in LANGUAGES]
    names = [
        each.relative_to(ROOT / "examples") for each in files if "node_modules" not in each.parts
    ]
    return {
        f"examples/{name.as_posix()}": f"example-{'-'.join(name.with_suffix('').parts)}.md"
        for name in names
    }


def render_example(name: str) -> str:
    """Return the page of an example: its docstring or first comment, then its code."""
    path = ROOT / name
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        summary = ast.get_docstring(ast.parse(text)) or ""
        summary = "\n".join(
            f"```text\n{part}\n```" if part.startswith("    ") else part
            for part in re.split(r"\n\n(?=    )|(?<=\n)\n(?!    )", summary)
        )
    else:
        comments = re.match(r"(?:\"use strict\";\n)?((?://[^\n]*\n)*)", text)
        summary = re.sub(r"^// ?", "", comments[1] if comments else "", flags=re.MULTILINE)
    title = name.removeprefix("examples/")
    return f"# {title}\n\n{summary.strip()}\n\n```{LANGUAGES[path.suffix]}\n{text}```\n"


def page_of(target: str) -> str | None:
    """Return the page of a file of the repository, or None if the site has no page for it."""
    if target == "README.md":
        return "index.md"
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if re.fullmatch(r"benchmarks/results/[\w-]+\.svg", target):
        return f"images/{posixpath.basename(target)}"
    return DOCUMENTS.get(target) or example_pages().get(target)


def title_of(target: str) -> str:
    """Return the title of a document, or the name of another file, as the text of a link."""
    path = ROOT / target
    if path.suffix == ".md" and path.is_file():
        return path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
    return posixpath.basename(target)


def point_links_to_pages(text: str, source: str, page: str) -> str:
    """Return the text of a document with its links to files as links between pages.

    `source` is the path of the document in the repository, `page` that of its page. A link to a
    file without a page becomes its text. The name of a file as the text becomes the title.
    """

    def replace(match: re.Match[str]) -> str:
        image, label, link = match.groups()
        if re.match(r"[a-z]+:|#", link):
            return match[0]
        path, mark, fragment = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        found = page_of(target)
        if found is None:
            return label
        relative = posixpath.relpath(found, posixpath.dirname(page) or ".")
        if not image and label.strip("`") in (path, target):
            label = title_of(target)
        return f"{image}[{label}]({relative}{mark}{fragment})"

    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _LINK.sub(replace, part) for part in parts)
