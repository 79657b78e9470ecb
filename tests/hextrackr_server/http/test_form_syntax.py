"""Multipart forms as RFC 2046 allows them, and the errors of each version of the form parser."""

from __future__ import annotations

import pytest
from python_multipart.exceptions import MultipartParseError
from starlette.formparsers import MultiPartParser

from tests.hextrackr_server.support import ImportHarness

from .test_app import BOUNDARY, GOOD, Browser, body, form

PADDED = form("file", GOOD, vendor="cisco").replace(
    f"--{BOUNDARY}".encode(), f"--{BOUNDARY}PAD".encode()
)


def padded(padding: bytes) -> bytes:
    """Return a form with padding behind each boundary, the last one included."""
    lines = PADDED.replace(b"PAD--", b"--" + padding)
    return lines.replace(b"PAD", padding)


FORMS = {
    "preamble": b"This is a message in MIME format.\r\n\r\n" + form("file", GOOD, vendor="cisco"),
    "long preamble": b"line of a preamble\r\n" * 5_000 + form("file", GOOD, vendor="cisco"),
    "preamble with dashes": b"--frontie\r\n--frontiers\r\n" + form("file", GOOD, vendor="cisco"),
    "empty line": b"\r\n" + form("file", GOOD, vendor="cisco"),
    "padding": padded(b" \t "),
    "long padding": padded(b" " * 200),
    "epilogue": form("file", GOOD, vendor="cisco") + b"an epilogue\r\n",
    "all": b"preamble\r\n" + padded(b"  ") + b"epilogue",
}


@pytest.fixture
def browser(harness: ImportHarness) -> Browser:
    return Browser(harness)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [7, 1000, 10**6])
async def test_form_of_rfc_2046_is_imported(browser: Browser, name: str, size: int) -> None:
    content = FORMS[name]
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    answer = body(await browser.post_form("/api/imports", *chunks), 202)
    await browser.harness.ended(answer["importId"])
    (found,) = browser.harness.bench.findings()
    assert found["vendor"] == "CISCO"


async def test_file_keeps_lines_that_resemble_a_boundary(browser: Browser) -> None:
    content = GOOD + b"\r\n--frontie \r\n-- frontier \r\n frontier--\r\n"
    upload = body(await browser.post_form("/api/imports/upload", form("file", content)), 201)
    assert upload["size"] == len(content)


@pytest.mark.parametrize(
    "content", [b"no boundary at all", b"", form("file", GOOD)[:-6], b"--frontier\r\nbad\r\n\r\n"]
)
async def test_invalid_form_is_refused(browser: Browser, content: bytes) -> None:
    assert body(await browser.post_form("/api/imports", content), 400)["success"] is False


@pytest.mark.parametrize(
    ("charset", "status"), [("undefined", 400), ("no-such-charset", 201), ("latin-1", 201)]
)
async def test_form_is_refused_only_when_its_charset_fails(
    browser: Browser, charset: str, status: int
) -> None:
    content = form("file", GOOD, vendor="cisco")
    kind = f"multipart/form-data; boundary={BOUNDARY}; charset={charset}"
    response = await browser.post("/api/imports/upload", content, content_type=kind)
    assert response.status == status


async def test_error_of_the_form_parser_is_an_invalid_form(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def parse(self: MultiPartParser) -> None:
        raise MultipartParseError("as older versions of Starlette pass it on")

    monkeypatch.setattr(MultiPartParser, "parse", parse)
    assert body(await browser.post_form("/api/imports", form("file", GOOD)), 400)
