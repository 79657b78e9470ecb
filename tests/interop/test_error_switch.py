"""The error switch of docs/clients.md with the official client against a hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT, blocks_of

from . import program
from .program import Server
from .support import run_node

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with program.run_server(tmp_path_factory.mktemp("server")) as server:
        yield server


def first_call(url: str, token: str, imports: str = "") -> Any:
    """Return the name and the arguments of the function that the switch calls first."""
    blocks = blocks_of(ROOT / "docs" / "clients.md")
    (code,) = [block.text for block in blocks if "connect_error" in block.text]
    (call,) = run_node("error_switch.js", code, url, json.dumps({"token": token}), imports)
    return call


def test_switch_redirects_to_the_login_when_the_token_is_invalid(server: Server) -> None:
    assert first_call(server.url, "invalid") == ["redirectToLogin"]


def test_switch_redirects_to_the_login_when_strict_authentication_lacks_the_header(
    tmp_path: Path,
) -> None:
    # The token in `auth` is valid, but the handshake does not contain it.
    with program.run_server(tmp_path, HEXTRACKR_STRICT_HTTP_AUTH="true") as strict:
        assert first_call(strict.url, program.token(tmp_path, "7")) == ["redirectToLogin"]


def test_switch_reports_an_unreachable_server() -> None:
    name, text, kind = first_call("http://127.0.0.1:1", "x")
    assert (name, kind) == ("showNotification", "error")
    assert text.startswith("Connection failed")


def test_switch_shows_the_details_of_a_failed_import(server: Server, tmp_path: Path) -> None:
    name, details = first_call(server.url, program.token(tmp_path, "7"), "unknown columns")
    assert name == "showImportError"
    assert {"importId", "code", "message"} <= set(details)


def test_switch_shows_the_fields_of_an_invalid_event(server: Server, tmp_path: Path) -> None:
    name, fields = first_call(server.url, program.token(tmp_path, "7"), "bad")
    assert (name, fields[0]["path"]) == ("showValidationErrors", "source")
