"""Tests of the commands that need no server."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hextrackr_server.__main__ import main
from hextrackr_server.application import Application
from hextrackr_server.cli import serve
from hextrackr_server.cli.api_client import ApiClient, ClientError
from hextrackr_server.cli.import_command import Progress, report
from hextrackr_server.cli.serve import (
    _banner,
    _development_secret,
    _listening,
    _reason,
    _warnings,
)
from hextrackr_server.config import settings
from hextrackr_server.security.principal import Principal, TokenAuthority, TokenRules
from hextrackr_server.telemetry import log_setup
from tests.hextrackr_server.support import SECRET

STATUS = {
    "importId": 5,
    "status": "completed",
    "elapsedTime": 2340,
    "message": "Import completed",
    "result": {
        "errors": 12,
        "errorDetails": [
            {"row": n, "column": "asset.name", "message": "the row names no\x1b host"}
            for n in range(2, 14)
        ],
        "warnings": 0,
        "warningDetails": [],
        "summary": {
            "rows": 20000,
            "findings": 34431,
            "duplicates": 254,
            "inserted": 34431,
            "updated": 0,
            "reopened": 0,
            "resolved": 0,
            "withheld": 7,
            "vendors": ["CISCO"],
            "scanDate": "2025-09-30",
        },
    },
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "JWT_SECRET",
        "JWT_SECRET_FILE",
        "HEXTRACKR_TOKEN",
        "HEXTRACKR_URL",
        "HOST",
        "PORT",
    ):
        monkeypatch.delenv(name, raising=False)


def test_token_is_signed_with_the_configured_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    assert main(["token", "--user", "7", "--role", "admin", "--username", "alice"]) == 0
    token = capsys.readouterr().out.strip()
    assert TokenAuthority(SECRET).verify(token) == Principal("7", "alice", "admin")


def test_token_has_the_claims_that_the_settings_require(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    monkeypatch.setenv("JWT_ISSUER", "hextrackr")
    monkeypatch.setenv("JWT_USER_CLAIMS", "uid")
    assert main(["token", "--user", "7"]) == 0
    rules = TokenRules(issuer="hextrackr", user_claims=("uid",))
    assert TokenAuthority(SECRET, rules).verify(capsys.readouterr().out.strip()).user_id == "7"


def test_token_command_fails_without_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--user", "7"]) == 1
    assert "set JWT_SECRET" in capsys.readouterr().err


def test_serve_reports_a_missing_secret_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["serve", "--database", str(tmp_path / "x.db")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("hextrackr-server: a secret is required: set JWT_SECRET")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_token_command_refuses_an_invalid_user_id(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    assert main(["token", "--user", "a b"]) == 1
    assert "a user ID must have" in capsys.readouterr().err


def test_sample_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--rows", "10", "--seed", "3", str(tmp_path / "s.csv")]) == 0
    assert "10 rows, seed 3" in capsys.readouterr().out
    assert main(["sample", "--rows", "10", str(tmp_path / "none" / "s.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_import_command_requires_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "x.csv"]) == 1
    assert "--token or HEXTRACKR_TOKEN" in capsys.readouterr().err


def test_import_command_reports_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "/nowhere/x.csv", "--token", "t"]) == 1
    assert "/nowhere/x.csv cannot be read" in capsys.readouterr().err


def test_import_command_reports_an_unreachable_server(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, unused_tcp_port: int
) -> None:
    file = tmp_path / "x.csv"
    file.write_text("x")
    url = f"http://127.0.0.1:{unused_tcp_port}"
    assert main(["import", str(file), "--url", url, "--token", "t"]) == 1
    assert f"cannot connect to {url}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "token"), [("127.0.0.1:80", "t"), ("ftp://x", "t"), ("http://x", "é\n")]
)
def test_client_refuses_an_invalid_url_or_token(url: str, token: str) -> None:
    with pytest.raises(ClientError):
        ApiClient(url, token)


def test_report_counts_rows_findings_and_rejected_rows() -> None:
    lines = list(report(STATUS))
    assert lines[0] == "Import 5 completed in 2.3 s"
    assert "  rows          20,000   (12 rejected)" in lines
    withheld = "  withheld           7   (left open: a rejected row may refer to them)"
    assert withheld in lines
    assert "Rejected rows: 12, the first 10:" in lines
    assert lines[-1] == "  row 11: asset.name: the row names no\\u001b host"


def test_report_of_a_failure_lists_the_problems() -> None:
    result = {"code": "X", "message": "foreign", "fields": [{"path": "host", "message": "needed"}]}
    failed = {"importId": 5, "status": "failed", "message": "", "result": result}
    assert list(report(failed)) == ["Import 5 failed: foreign", "  host: needed"]


def test_progress_bar_is_shown_and_cleared_on_a_terminal() -> None:
    terminal = Terminal()
    progress = Progress(terminal)
    progress.show(50, "staging", "Staged 5 of 10 rows")
    progress.end()
    assert (
        "[###############---------------]  50%  staging: Staged 5 of 10 rows" in terminal.getvalue()
    )
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_progress_prints_one_line_per_phase_without_a_terminal() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for percent in (10, 20, 30):
        progress.show(percent, "staging" if percent < 30 else "processing", f"at {percent}")
    progress.end()
    assert stream.getvalue() == "staging: at 10\nprocessing: at 30\n"


def test_check_prints_the_configuration_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    assert main(["check", "--port", "9123"]) == 0
    shown = capsys.readouterr().out
    assert "9123" in shown
    assert SECRET.decode() not in shown


def test_check_notes_the_ignored_variables_of_hextrackr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    monkeypatch.setenv("HEXTRACKR_VERSION", "1.1.12")
    assert main(["check"]) == 0
    assert "note: HEXTRACKR_VERSION is ignored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "not scheduled (set HEXTRACKR_KEV_TIME or"),
        ({"KEV_INTERVAL": "3600"}, "3600 seconds after the previous sync; a sync that was missed"),
        ({"KEV_TIME": "6:30 Europe/Berlin"}, "2026-03-30 06:30 Europe/Berlin (04:30 UTC);"),
        (
            {"KEV_TIME": "06:30 UTC", "KEV_INTERVAL": "60"},
            "2026-03-29 06:30 UTC (06:30 UTC), or 60 seconds after the previous sync;",
        ),
    ],
)
def test_check_prints_the_next_kev_sync(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    words: str,
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    monkeypatch.setattr("hextrackr_server.cli.check.epoch_ms", lambda: 1_774_764_000_000)
    for name, value in environment.items():
        monkeypatch.setenv(f"HEXTRACKR_{name}", value)
    assert main(["check"]) == 0
    assert f"next KEV sync: {words}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variable", "name"), [("HEXTRACKR_DATABASE", "database"), ("HEXTRACKR_EVENT_LOG", "event log")]
)
def test_check_rejects_files_that_the_user_may_not_write(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    variable: str,
    name: str,
) -> None:
    folder = tmp_path / "foreign"
    folder.mkdir()
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    monkeypatch.setenv(variable, str(folder / "file"))
    assert main(["check"]) == 0
    # The tests may run as root, who may write every folder.
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != folder)
    assert main(["check"]) == 1
    error = capsys.readouterr().err
    assert f"the {name} {folder / 'file'} cannot be written" in error
    assert "permission" in error
    assert list(folder.iterdir()) == []


def test_check_prints_all_settings_when_the_secret_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check"]) == 1
    printed = capsys.readouterr()
    assert "presence_scope " in printed.out
    assert "HEXTRACKR_<NAME>" in printed.out
    assert "set JWT_SECRET" in printed.err


@pytest.mark.parametrize("hours", ["-1", "0", "nan", "1e9"])
def test_token_command_refuses_an_invalid_lifetime(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hours: str
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    assert main(["token", "--user", "alice", "--hours", hours]) == 1
    assert "--hours must be more than 0" in capsys.readouterr().err


@pytest.mark.parametrize("error", [socket.gaierror(-2, "x"), OSError(errno.EADDRNOTAVAIL, "x")])
def test_reason_of_a_foreign_address_names_the_host_flag(error: OSError) -> None:
    assert _reason(error) == "this machine does not have the address; choose another --host"


def test_missing_session_store_is_a_warning_at_the_start(tmp_path: Path) -> None:
    store = tmp_path / "sessions.db"
    environment = {"SESSION_SECRET": SECRET.decode(), "SESSIONS_DATABASE": str(store)}
    [warning] = _warnings(settings.load(environment))
    assert f"the session store {store} does not exist" in warning
    store.touch()
    [warning] = _warnings(settings.load(environment))
    assert f"the session store {store} cannot be read: it has no tables" in warning
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("CREATE TABLE sessions (sid, sess, expire)")
    assert list(_warnings(settings.load(environment))) == []


def test_banner_contains_the_scheme_of_the_server() -> None:
    environment = {"JWT_SECRET": SECRET.decode(), "SSL_KEY_PATH": "k", "SSL_CERT_PATH": "c"}
    application = cast("Application", SimpleNamespace(database="x.db"))
    told = _banner(settings.load(environment), 8443, application)
    assert told.startswith("HexTrackr listens at https://127.0.0.1:8443,")


@pytest.mark.parametrize("built", [True, False])
def test_banner_of_development_contains_the_link_of_the_dashboard(
    monkeypatch: pytest.MonkeyPatch, built: bool
) -> None:
    monkeypatch.setattr(serve, "is_built", lambda: built)
    authority = SimpleNamespace(sign=lambda user, role: f"token-of-{user}")
    services = SimpleNamespace(authority=authority)
    application = cast("Application", SimpleNamespace(database="x.db", services=services))
    loaded = settings.load({}, {"dev": True})
    [line] = [line for line in _banner(loaded, 8090, application).splitlines() if "dash" in line]
    link = "http://127.0.0.1:8090/#token=token-of-admin"
    assert line.split(maxsplit=1)[1] == (link if built else "not built, run `make dashboard`")
    fields = _listening(loaded, 8090, application)
    assert fields.get("dashboard") == (link if built else None)


@pytest.mark.parametrize("command", ["check", "serve"])
def test_store_of_another_form_is_refused_with_its_content(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: str,
) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute("CREATE TABLE logins (id, data)")
    monkeypatch.setenv("SESSION_SECRET", SECRET.decode())
    monkeypatch.setenv("SESSIONS_DATABASE", str(tmp_path / "store.db"))
    monkeypatch.setattr(log_setup, "configure", lambda *_, **__: None)
    monkeypatch.setattr(log_setup, "log_crashes", lambda: None)
    assert main([command]) == 1
    assert "found: logins (data, id)" in capsys.readouterr().err


def test_check_refuses_settings_that_serve_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEXTRACKR_PROT", "1")
    assert main(["check"]) == 1
    assert "did you mean HEXTRACKR_PORT?" in capsys.readouterr().err


def test_command_ends_without_a_traceback_when_the_reader_of_its_output_has_ended() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "hextrackr_server", "formats"]
    try:
        done = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, timeout=300, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_development_secret_survives_a_restart_in_a_private_file(tmp_path: Path) -> None:
    flags = {"dev": True, "database": str(tmp_path / "hub.db")}
    first = _development_secret(settings.load({}, flags))
    assert _development_secret(settings.load({}, flags)) == first
    file = tmp_path / "hub.db.dev-secret"
    assert len(first) >= 32
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("short")
    assert len(_development_secret(settings.load({}, flags))) >= 32
    missing = settings.load({}, flags | {"database": str(tmp_path / "missing" / "hub.db")})
    assert _development_secret(missing) == missing.jwt_secret


@pytest.mark.parametrize(
    "arguments",
    [["--dev", "--host", "0.0.0.0"], ["--dev", "--database", "."]],
)
def test_failed_start_is_one_json_line_when_the_log_is_json(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "hextrackr_server", "serve", "--log-format", "json", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    entry = json.loads(run.stderr)
    assert entry["level"] == "error"
    assert "--host 127.0.0.1" in entry["message"] or "got the folder ." in entry["message"]


def test_banner_is_a_json_line_when_the_log_is_json() -> None:
    loaded = settings.load({"JWT_SECRET": SECRET.decode()})
    application = cast("Application", SimpleNamespace(database="hub.db"))
    fields = _listening(loaded, 8080, application)
    assert fields == {"url": "http://127.0.0.1:8080", "database": "hub.db"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HEXTRACKR_DATABASE", ".", "must be a file, got the folder"),
        ("HEXTRACKR_DATABASE", "missing/hub.db", "the folder missing of the database does not"),
        ("HEXTRACKR_DATABASE", "text.db", "file is not a database"),
        ("HEXTRACKR_DATABASE", "newer.db", "was written by a newer server (schema 999"),
        ("HEXTRACKR_DATABASE_URL", "mysql://db/x", "DATABASE_URL must be a URL"),
        ("HEXTRACKR_IMPORT_INBOX", "missing", "must name an existing folder"),
        ("HEXTRACKR_EVENT_LOG", ".", "the event log . cannot be written"),
        ("SSL_CERT_PATH", "text.db", "must name a certificate and its key"),
    ],
)
def test_check_and_serve_refuse_the_same_files(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    value: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.db").write_text("this is not a database, and not a certificate\n" * 9)
    with closing(sqlite3.connect("newer.db")) as connection, connection:
        connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT)")
        connection.execute("INSERT INTO meta VALUES ('schema_version', '999')")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setenv("JWT_SECRET", SECRET.decode())
    monkeypatch.setenv("HEXTRACKR_PORT", "0")
    monkeypatch.setenv(name, value)
    if name == "SSL_CERT_PATH":
        monkeypatch.setenv("SSL_KEY_PATH", value)
    assert main(["check"]) == 1
    assert words in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
    environment = {each: os.environ[each] for each in os.environ if each != "HEXTRACKR_CONFIG"}
    run = subprocess.run(
        [sys.executable, "-m", "hextrackr_server", "serve"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1, run.stderr


@pytest.mark.parametrize("command", ["serve", "check"])
def test_help_lists_all_settings_with_defaults_and_choices(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert "HEXTRACKR_PORT, PORT: default 8080" in shown
    assert "HEXTRACKR_LOG_FORMAT, LOG_FORMAT: one of human, json; default human" in shown
    assert "one of HS256, RS256, EdDSA; default HS256" in shown
    for name in settings.known():
        assert f"  HEXTRACKR_{name.upper()}" in shown
