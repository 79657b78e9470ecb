"""The documentation site: its navigation, its pages, and its independence of other hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

import engineio_core
import socketio_core
import socketio_core.client
from tests.dashboard.support import Browser, find_cases, running_browser
from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"
PACKAGES = ROOT / "scripts" / "site" / "node_modules"
CASES = "site.js"
#: Names of engineio_core that the reference lists under socketio_core.
SHARED = set(engineio_core.__all__) & set(socketio_core.__all__)


class Loader(yaml.SafeLoader):
    """A loader for mkdocs.yml, which names Python objects."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, name, node: name)


def navigation() -> list[Any]:
    """Return the navigation of mkdocs.yml: entries and groups of entries."""
    config = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)
    found: list[Any] = config["nav"]
    return found


def entries(group: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the titles and pages of a group."""
    for entry in group:
        yield from entry.items()


def test_navigation_contains_every_page_once() -> None:
    pages = []
    for _, target in entries(navigation()):
        pages += [page for _, page in entries(target)] if isinstance(target, list) else [target]
    assert len(set(pages)) == len(pages)
    missing = {page.name for page in DOCS.glob("*.md")} - set(pages)
    assert not missing, f"add these pages to `nav` in mkdocs.yml: {sorted(missing)}"


def test_navigation_has_two_levels() -> None:
    for title, target in entries(navigation()):
        if isinstance(target, list):
            assert all(isinstance(page, str) for _, page in entries(target)), title


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_page_starts_with_a_title_and_its_purpose(page: Path) -> None:
    title, _, rest = page.read_text("utf-8").partition("\n")
    assert title.startswith("# ")
    first = rest.strip().partition("\n")[0]
    assert re.match(r"[A-Z`]", first), f"write what the page is for below its title, got {first!r}"
    assert len(first.split()) > 7, first


def public_names() -> set[str]:
    """Return the paths of the public classes and functions."""
    modules: tuple[ModuleType, ...] = (socketio_core, engineio_core, socketio_core.client)
    paths = {f"{module.__name__}.{name}" for module in modules for name in module.__all__}
    return paths - {f"engineio_core.{name}" for name in SHARED}


def test_reference_lists_every_public_name_once() -> None:
    listed = [
        name
        for page in DOCS.glob("api-*.md")
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(set(listed)) == len(listed)
    others = ("socketio_core.testing", "pytest_socketio_core.", "socketio_core.adapters.")
    assert {name for name in listed if not name.startswith(others)} == public_names()


# -- the built site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; warnings such as broken links fail the build."""
    if not PACKAGES.is_dir():
        pytest.fail("the npm packages of the site are missing: run `make setup`", pytrace=False)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Resources(HTMLParser):
    """The addresses that a browser loads for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"script", "img", "iframe", "source", "video", "audio", "embed"}:
            self.found.append(values.get("src") or "")
        elif tag == "link" and values.get("rel") != "canonical":
            self.found.append(values.get("href") or "")


@pytest.mark.node
def test_pages_and_styles_load_nothing_from_other_hosts(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        resources = Resources()
        resources.feed(page.read_text("utf-8"))
        assert resources.found
        assert all(not urlsplit(each).netloc for each in resources.found), page.name
    for style in site.rglob("*.css"):
        text = style.read_text("utf-8")
        for address in re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')\s;]+)", text):
            assert not urlsplit(address).netloc, (style.name, address)


@pytest.mark.node
def test_text_of_pages_contains_no_markup_of_markdown(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = re.sub(r"<(pre|code|script)\b.*?</\1>", "", page.read_text("utf-8"), flags=re.DOTALL)
        assert not re.search(r">\s*:::|\]\([\w#./-]+\)|^```", text, re.MULTILINE), page.name


class QuietHandler(SimpleHTTPRequestHandler):
    """A handler for files that logs nothing."""

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving_folder(folder: Path) -> Iterator[str]:
    """Serve a folder by HTTP, and return its address."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as started:
        yield started


@pytest.mark.node
@pytest.mark.browser
@pytest.mark.parametrize("name", find_cases(CASES))
def test_site_in_chromium(browser: Browser, site: Path, name: str) -> None:
    pages = sorted(page.relative_to(site).as_posix() for page in site.rglob("*.html"))
    pages.remove("404.html")  # only a server shows this page, at any path
    diagrams = [page for page in pages if 'class="mermaid"' in (site / page).read_text("utf-8")]
    given: dict[str, Any] = {"site": site.as_uri(), "pages": pages, "diagrams": diagrams}
    with serving_folder(site) as url:
        browser.run(CASES, name, given | {"url": url})
