"""Hooks of MkDocs: pages that are generated at build time, links, and scripts of the site.

MkDocs loads this file by its name in mkdocs.yml. `repository` adds documents outside of docs/;
`events_page` and `http_page` render the references of the hub.
"""

from __future__ import annotations

import logging
import posixpath
import re
from typing import Any

import events_page
import http_page
from mkdocs.structure.files import File
from repository import DOCUMENTS, ROOT, example_pages, point_links_to_pages, render_example

from hextrackr_server.cli.types import hub_asyncapi
from hextrackr_server.http.openapi import create_document

PACKAGES = ROOT / "scripts" / "site" / "node_modules"
#: Scripts of npm packages that the site contains: their path there, their path in the site.
SCRIPTS = {
    "@mermaid-js/tiny/dist/mermaid.tiny.js": "assets/mermaid.js",
    "iframe-worker/shim/index.js": "assets/iframe-worker.js",
}
MERMAID = SCRIPTS["@mermaid-js/tiny/dist/mermaid.tiny.js"]
#: The theme gives this element no accessible name.
SEARCH = '<div class="md-search" data-md-component="search" role="dialog"'
# The imports of the hub configure no logging, but its libraries log at level INFO.
logging.getLogger("asyncio").setLevel(logging.WARNING)


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages, and files from outside of docs/."""
    pages = {page: (ROOT / name).read_text("utf-8") for name, page in DOCUMENTS.items()}
    pages |= {page: render_example(name) for name, page in example_pages().items()}
    asyncapi, openapi = hub_asyncapi(), create_document()
    pages |= {
        "events-reference.md": events_page.render(asyncapi),
        "http-reference.md": http_page.render(openapi),
        "files/asyncapi.json": http_page.dump(asyncapi),
        "files/openapi.json": http_page.dump(openapi),
    }
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    for name, page in SCRIPTS.items():
        source = PACKAGES / name
        if not source.exists():
            raise FileNotFoundError(f"{source} must exist: run `make docs`, which installs it")
        files.append(File.generated(config, page, abs_src_path=str(source)))
    for chart in sorted((ROOT / "benchmarks" / "results").glob("*.svg")):
        files.append(File.generated(config, f"images/{chart.name}", abs_src_path=str(chart)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links to files of the repository to their pages."""
    name = page.file.src_uri
    if 'class="pair"' in markdown:
        page.meta["hide"] = ["toc"]  # leaves space for two columns of code
    sources = {page: source for source, page in DOCUMENTS.items()}
    return point_links_to_pages(markdown, sources.get(name, f"docs/{name}"), name)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Name the dialog of the search, and load the script of diagrams on pages that have any."""
    output = output.replace(SEARCH, f'{SEARCH} aria-label="Search"')
    if 'class="mermaid"' not in output:
        return output
    path = posixpath.relpath(MERMAID, posixpath.dirname(page.url) or ".")
    # The theme loads a script from another host unless one exists already.
    return re.sub("<script", f'<script src="{path}"></script><script', output, count=1)
