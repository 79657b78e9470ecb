"""Option names: unknown keywords and positional values are rejected with the correct name."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from engineio_core import Cookie, Cors, EngineOptions, HttpCompression, PerMessageDeflate, Tls
from socketio_core import Recovery, ServerOptions

CLASSES: list[Any] = [
    Cookie, Cors, EngineOptions, HttpCompression, PerMessageDeflate, Recovery, ServerOptions, Tls,
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (partial(Recovery, maxDisconnectionDuration=1), "did you mean max_disconnection_duration?"),
        (partial(Recovery, skipMiddlewares=True), "did you mean skip_middlewares?"),
        (partial(Cors, origin="*"), "did you mean origins?"),
        (partial(Cors, allowedHeaders=["x"]), "did you mean allowed_headers?"),
        (partial(Cors, optionsSuccessStatus=200), "did you mean options_success_status?"),
        (partial(Cookie, httpOnly=True), "did you mean http_only?"),
        (partial(HttpCompression, windowBits=5), "the options are level, threshold"),
        (partial(PerMessageDeflate, clientNoContextTakeover=True), "did you mean client_no_con"),
        (partial(Tls, certfile="a.pem"), "did you mean certificate?"),
        (partial(EngineOptions, pingInterval=5), "did you mean ping_interval?"),
        (partial(EngineOptions, cors_allowed_origins="*"), "use cors=Cors(origins=...)"),
        (partial(EngineOptions, engineio_path="x"), "use path"),
        (partial(ServerOptions, connectTimeout=5), "did you mean connect_timeout?"),
        (partial(ServerOptions, connectionStateRecovery={}), "use recovery=Recovery(...)"),
        (partial(ServerOptions, namespaces=5), "remove it"),
    ],
)
def test_unknown_option_is_refused_with_the_name_to_use(
    make: Callable[[], Any], remedy: str
) -> None:
    with pytest.raises(TypeError, match="unknown option") as raised:
        make()
    assert remedy in str(raised.value)


@pytest.mark.parametrize("kind", CLASSES)
def test_positional_value_is_refused_with_the_first_name(kind: Any) -> None:
    first = dataclasses.fields(kind)[0].name
    with pytest.raises(TypeError, match=f"got 5: write {kind.__name__}\\({first}=...\\)"):
        kind(5)


@pytest.mark.parametrize("kind", CLASSES)
def test_checked_class_keeps_its_signature(kind: Any) -> None:
    names = [field.name for field in dataclasses.fields(kind)]
    assert list(inspect.signature(kind).parameters) == names


def test_dataclass_replace_works_for_checked_options() -> None:
    assert dataclasses.replace(Recovery(), max_sessions=5).max_sessions == 5
