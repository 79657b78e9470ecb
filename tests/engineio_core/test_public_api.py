"""Public names: `help()` and completion show only the documented API."""

from __future__ import annotations

import inspect
import pydoc
from dataclasses import fields

import pytest

from engineio_core import (
    Cookie,
    Cors,
    Engine,
    EngineOptions,
    HttpCompression,
    PerMessageDeflate,
    Session,
    Tls,
)
from socketio_core import Recovery, ServerOptions

SESSION = {
    "buffered_amount",
    "close",
    "drain",
    "on_binary",
    "on_close",
    "on_drain",
    "on_text",
    "on_upgrade",
    "outbox",
    "pause_reading",
    "protocol",
    "request",
    "resume_reading",
    "send",
    "send_bare",
    "send_binary",
    "send_text",
    "send_volatile",
    "send_volatile_group",
    "sid",
    "state",
    "transport",
    "writable",
}

ENGINE = {
    "begin_drain",
    "close",
    "is_draining",
    "listen",
    "listen_webtransport",
    "mount",
    "on",
    "options",
    "reload_tls",
    "run",
    "sessions",
    "shutdown",
    "use",
}


def public_names(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_session_has_exactly_the_documented_public_names() -> None:
    assert public_names(Session) == SESSION


def test_engine_has_exactly_the_documented_public_names() -> None:
    attributes = {name for name in vars(Engine()) if not name.startswith("_")}
    assert public_names(Engine) | attributes == ENGINE


@pytest.mark.parametrize(
    "kind",
    [
        Cookie, Cors, EngineOptions, HttpCompression, PerMessageDeflate, Recovery, ServerOptions,
        Tls,
    ],
)  # fmt: skip
def test_help_describes_each_option(kind: type) -> None:
    shown = pydoc.plain(pydoc.render_doc(kind))
    for field in fields(kind):  # type: ignore[arg-type]  # all are dataclasses
        text = inspect.getdoc(getattr(kind, field.name))
        assert text, f"{kind.__name__}.{field.name} has no description"
        assert len(text.split()) > 2
        assert text.splitlines()[0] in shown
