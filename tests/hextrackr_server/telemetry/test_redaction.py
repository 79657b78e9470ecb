"""Tests of redaction: no secret appears in a log line, whatever the format and the place."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

import jwt
import pytest

from hextrackr_server.config.producers import IngestToken
from hextrackr_server.config.secret_values import secret_values
from hextrackr_server.config.settings import Settings
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.event_log import EventLog
from hextrackr_server.telemetry.redaction import Redactor, Shown
from tests.helpers.fake_clock import FakeClock

TOKEN = jwt.encode({"sub": "7", "exp": 2_000_000_000}, "k" * 32, algorithm="HS256")
COOKIE = "s%3AqWeRtYuIoPaSdFgH.c2lnbmF0dXJlMTIzNDU2Nzg5MDEyMzQ1Njc4OTA"
CONFIGURED = "configured secret/with+signs of an operator"

#: A text as it may appear in a log line, and the secret in it.
LEAKS = (
    (f"GET /socket.io/?EIO=4&token={TOKEN}&x=1", TOKEN),
    (f"GET /socket.io/?EIO=4&transport=polling&sid={'Ab1-' * 5}", "Ab1-" * 5),
    ("GET /api?access_token=opaque-0123456789", "opaque-0123456789"),
    (f"dashboard/#token={TOKEN}", TOKEN),
    (f"a token in a sentence: {TOKEN}", TOKEN),
    (f"truncated {TOKEN[:60]}", TOKEN[:60]),
    ("Authorization: Bearer opaque0123456789", "opaque0123456789"),
    ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("Proxy-Authorization: Bearer opaque0123456789", "opaque0123456789"),
    ("{'authorization': 'Bearer opaque0123456789'}", "opaque0123456789"),
    ("[(b'host', b'x'), (b'authorization', b'Bearer opaque0123456789')]", "opaque0123456789"),
    (f"Cookie: theme=dark; hextrackr.sid={COOKIE}", COOKIE),
    (f"Set-Cookie: hextrackr.sid={COOKIE}; HttpOnly", COOKIE),
    (f"[(b'cookie', b'hextrackr.sid={COOKIE}')]", COOKIE),
    (f"the cookie is {COOKIE}", COOKIE),
    ("X-HexTrackr-Signature: sha256=0123456789abcdef", "0123456789abcdef"),
    ("x-api-key: 0123456789abcdef", "0123456789abcdef"),
    ("postgresql://hub:hunter22@db:5432/hub", "hunter22"),
    ("redis://:hunter22@127.0.0.1:6379/0", "hunter22"),
    ("postgresql+psycopg://hub:hun@ter22@db/hub", "hun@ter22"),
    ("host=db user=hub password=hunter22 dbname=hub", "hunter22"),
    ("password='hunter 22' dbname=hub", "hunter 22"),
    ('{"password": "hunter22", "user": "hub"}', "hunter22"),
    ('{"auth": {"token": "opaque-0123456789"}}', "opaque-0123456789"),
    ("{'client_secret': 'hunter22'}", "hunter22"),
    ("jwt_secret=hunter22hunter22", "hunter22hunter22"),
    ("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----", "MC4CAQAw"),
    (f"sent {CONFIGURED}!", CONFIGURED),
    ("sent configured%20secret%2Fwith%2Bsigns%20of%20an%20operator", "configured%20secret"),
)
FORMATTERS = (log_setup.HumanFormatter, log_setup.JsonFormatter)


def lines_of(formatter: logging.Formatter, text: str) -> dict[str, str]:
    """Return the log lines that contain a text at each place of a record."""

    def line(message: object, *args: object, **extra: object) -> str:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, message, args, None)
        record.__dict__.update(extra)
        return formatter.format(record)

    found = {
        "message": line(text),
        "argument": line("failed: %s", text),
        "value of a dictionary": line("failed: %r", {"x": text}),
        "object": line(ValueError(text)),
        "field": line("failed", fields={"reason": text}),
        "nested field": line("failed", fields={"request": {"headers": [text]}}),
        "object in a field": line("failed", fields={"error": ValueError(text)}),
    }
    try:
        try:
            raise ValueError(text)
        except ValueError as error:
            raise RuntimeError("chained") from error
    except RuntimeError:
        found["traceback"] = line("failed", exc_info=sys.exc_info())
    return found


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize(("text", "secret"), LEAKS)
def test_secret_is_removed_from_every_place_of_a_record(
    formatter: type[log_setup.HumanFormatter], text: str, secret: str
) -> None:
    for place, line in lines_of(formatter(Redactor([CONFIGURED])), text).items():
        assert secret not in line, place
        assert json.dumps(secret)[1:-1] not in line, place
        assert "***" in line, place


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize(
    "name", ["token", "password", "dbPassword", "Authorization", "cookie", "sid"]
)
def test_field_named_as_a_secret_is_masked(
    formatter: type[log_setup.HumanFormatter], name: str
) -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "x", (), None)
    record.fields = {name: "opaque value"}
    assert "opaque" not in formatter().format(record)


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_token_that_the_server_prints_on_purpose_is_shown(
    formatter: type[log_setup.HumanFormatter],
) -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "x", (), None)
    record.fields = {"adminToken": Shown(TOKEN)}
    assert TOKEN in formatter().format(record)


def test_secret_is_removed_from_the_event_log(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    log = EventLog(path, FakeClock().time)
    log.note("in", TOKEN[:60], "socket", "7")
    log.note_connection("socket", "7", "192.0.2.1", f"agent token={TOKEN}")
    log.close()
    text = path.read_text()
    assert "eyJ" not in text
    assert text.count("***") == 2


@pytest.mark.parametrize(
    "text",
    [
        "token rejected: the claim 'exp' is missing",
        "the client left during GET /api/imports",
        "the password must have 8 characters",
        "cookies of express-session are refused: the store is not readable",
        "listening on http://127.0.0.1:8080",
        "import completed  rows=20000 assets=5",
    ],
)
def test_text_without_a_secret_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_all_secret_settings_are_known() -> None:
    settings = Settings(
        jwt_secret=b"j" * 32,
        session_secrets=(b"s" * 32, b"t" * 32),
        metrics_token=b"m" * 32,
        ingest_tokens=(IngestToken("express", frozenset({"progress"}), b"i" * 32),),
        redis_url="redis://:hunter22@127.0.0.1/0",
    )
    expected = {letter * 32 for letter in "jstmi"} | {"hunter22", "redis://:hunter22@127.0.0.1/0"}
    assert secret_values(settings) == expected


@pytest.mark.parametrize(
    "text",
    [
        "token" * 800, "token=" * 600, "'token':'" * 400, "-----BEGIN PRIVATE KEY" * 180,
        "://a:" * 800, "x-" * 2000, "authorization:" * 280, "eyJ" * 1300, '"secret":"\\' * 300,
        "sid" * 1300, "s:" * 2000, "Bearer " * 570, "x-a-token" * 400,
    ],
)  # fmt: skip
def test_redaction_of_a_hostile_text_takes_linear_time(text: str) -> None:
    """A text of 16 times the length takes 16 times as long, with quadratic time 256 times."""
    assert _seconds(text * 16) < 64 * _seconds(text)


def _seconds(text: str) -> float:
    """Return the CPU time of the fastest of five redactions of a text."""
    redactor = Redactor([CONFIGURED])
    found = []
    for _ in range(5):
        start = time.thread_time()
        redactor.text(text)
        found.append(time.thread_time() - start)
    return min(found)
