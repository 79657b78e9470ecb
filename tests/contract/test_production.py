"""TLS, proxies, logs and metrics: rows S96 to S111."""

from __future__ import annotations

import asyncio
import datetime
import errno
import json
import logging
import ssl
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.event_log import MAXIMUM_COUNTED, EventLog
from hextrackr_server.telemetry.feature import TelemetryFeature
from socketio_core.testing import settle
from tests.contract.imports import VALID_CSV
from tests.contract.support import METRICS_TOKEN, POLLING, HubHarness
from tests.hextrackr_server.support import SECRET, FakeClock

TOKEN = b"m" * 32


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate and its key, and return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = directory / "cert.pem", directory / "key.pem"
    cert_path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_path, key_path


async def peer_name(port: int, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> str:
    """Return the common name in the certificate that a server sends."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    parsed = x509.load_der_x509_certificate(der)
    return str(parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


async def test_s096_certificate_is_read_again_on_reload(start_hub: Any, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "old")
    hub: HubHarness = await start_hub(ssl_cert_path=cert, ssl_key_path=key)
    assert await peer_name(hub.port) == "old"
    certificate(tmp_path, "new")
    hub.io.engine.reload_tls()
    assert await peer_name(hub.port) == "new"


async def test_s096_invalid_certificate_is_rejected_by_setting(
    tmp_path: Path, start_hub: Any
) -> None:
    cert, key = certificate(tmp_path, "x")
    cert.write_text("nothing")
    with pytest.raises(SettingsError, match="SSL_CERT_PATH"):
        await start_hub(ssl_cert_path=cert, ssl_key_path=key)
    with pytest.raises(SettingsError, match="must be set together"):
        settings.load({"JWT_SECRET": SECRET.decode(), "SSL_KEY_PATH": str(key)})


def test_s097_unknown_setting_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("secure = true\n")
    with pytest.raises(SettingsError, match="unknown key"):
        settings.load({"JWT_SECRET": SECRET.decode()}, {"config": str(file)})


async def test_s098_only_the_own_host_is_allowed_when_no_origin_is_configured(
    start_hub: Any,
) -> None:
    hub: HubHarness = await start_hub(cors_origins=())
    foreign = await hub.request("GET", POLLING, {"origin": "https://app.example"})
    assert "access-control-allow-origin" not in foreign.headers
    assert (await hub.request("GET", POLLING, {"origin": hub.url})).status == 200


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_s099_s100_affinity_cookie_is_set_on_both_transports_when_configured(
    start_hub: Any, transport: str
) -> None:
    hub: HubHarness = await start_hub(affinity_cookie="io")
    headers = {}
    if transport == "websocket":
        headers = {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
    path = f"/socket.io/?EIO=4&transport={transport}"
    answer = await hub.request("GET", path, headers, head_only=True)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("io=")
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()


async def test_s099_cookie_is_not_set_by_default(hub: HubHarness) -> None:
    assert "set-cookie" not in (await hub.request("GET", POLLING)).headers


@pytest.mark.parametrize(
    ("proxies", "address"), [((), "127.0.0.1"), (("127.0.0.0/8",), "203.0.113.9")]
)
async def test_s101_forwarded_address_is_used_only_from_trusted_proxies(
    start_hub: Any, proxies: tuple[str, ...], address: str
) -> None:
    hub: HubHarness = await start_hub(trusted_proxies=proxies)
    sid = await hub.open_polling({"x-forwarded-for": "203.0.113.9"})
    assert hub.io.engine.sessions[sid].request.remote_address == address


def test_s102_json_log_line_escapes_line_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "hello\n%s", ("you",), None)
    line = log_setup.JsonFormatter().format(record)
    assert json.loads(line)["message"] == "hello\\nyou"
    assert "\n" not in line


async def test_s103_s105_event_log_contains_names_without_payloads(
    start_hub: Any, tmp_path: Path
) -> None:
    hub: HubHarness = await start_hub(event_log=tmp_path / "logs" / "socket-events.log")
    client = await hub.client("7")
    client.emit("start-editing", "ticket", "TOP-SECRET")
    client.emit("evil\nname\x1b[31m" + "x" * 500, "TOP-SECRET")
    await settle()
    hub.application.services.notifications.user("7", "x", "TOP-SECRET")
    await settle()
    (telemetry,) = [each for each in hub.application.features if isinstance(each, TelemetryFeature)]
    assert telemetry._event_log is not None
    telemetry._event_log.flush()
    text = (tmp_path / "logs" / "socket-events.log").read_text()
    assert "TOP-SECRET" not in text
    connected, *lines = [json.loads(line) for line in text.splitlines()]
    assert connected["message"] == "Client connected"
    assert {"socketId", "userId", "ip", "userAgent", "timestamp", "level"} <= set(connected)
    assert (connected["socketId"], connected["userId"]) == (client.id, "7")
    logged = [(line["direction"], line["event"][:13]) for line in lines]
    assert ("in", "start-editing") in logged
    assert ("in", "evil\\nname\\u") in [(kind, name[:12]) for kind, name in logged]
    assert ("out", "user-notifica") in logged
    assert all(line["userId"] == "7" and line["socketId"] == client.id for line in lines)
    assert all(len(line["event"]) < 100 for line in lines)


def test_s105_event_log_is_limited_and_counts_omitted_lines(
    tmp_path: Path,
) -> None:
    clock, path = FakeClock(), tmp_path / "events.log"
    log = EventLog(path, clock.monotonic, per_minute=3)
    for _ in range(10):
        log.note("in", "x", "s", "u")
    clock.advance(61)
    log.note("in", "y", "s", "u")
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["x", "x", "x", "y"]
    assert lines[-1]["notWritten"] == 7


def test_event_log_writes_the_first_and_one_of_every_so_many_events_of_a_name(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.log"
    log = EventLog(path, FakeClock().monotonic, every=100)
    for _ in range(201):
        log.note("in", "frequent", "s", "u")
    log.note("in", "rare", "s", "u")
    log.note_connection("s", "u", "192.0.2.1", "agent")
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("event") for line in lines] == ["frequent"] * 3 + ["rare", None]
    assert {line.get("every") for line in lines[:-1]} == {100}


def test_sampling_of_invented_event_names_uses_bounded_memory(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.log", FakeClock().monotonic, every=2)
    for number in range(5000):
        log.note("in", f"name {number}", "s", "u")
    log.close()
    assert len(log._counts) == MAXIMUM_COUNTED + 1


def test_s103_start_fails_when_the_event_log_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="event log"):
        EventLog(tmp_path / "file" / "events.log", FakeClock().monotonic)


async def test_s104_connection_log_contains_address_and_escaped_user_agent(
    hub: HubHarness, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await hub.server.connect(
            auth={"token": hub.token("7")}, headers={"user-agent": "evil\x1b[2J" + "x" * 5000}
        )
        await settle()
    (record,) = [each for each in caplog.records if each.getMessage() == "connected"]
    fields = record.__dict__["fields"]
    assert (fields["user"], fields["address"]) == ("7", "127.0.0.1")
    assert len(fields["userAgent"]) <= 256
    assert "\x1b" not in log_setup.HumanFormatter().format(record)


async def test_s106_s111_metrics_contain_the_four_counters_of_the_guide(hub: HubHarness) -> None:
    await hub.client()
    counters = await hub.metrics()
    guide = ("totalConnections", "activeConnections", "reconnections", "errors")
    assert [counters[name] for name in guide] == [1, 1, 0, 0]
    assert counters["memoryBytes"] > 0


async def test_s107_s108_metrics_count_total_and_active_connections(hub: HubHarness) -> None:
    first = await hub.client()
    await hub.client(namespace="/users")
    first.disconnect()
    await settle()
    counters = await hub.metrics()
    assert (counters["totalConnections"], counters["activeConnections"]) == (2, 1)


async def test_s109_reconnections_are_counted_by_the_server(hub: HubHarness) -> None:
    """A reconnection is a recovery, or a connect of the same user and address within a minute.

    The event `reconnect` of a client does not count.
    """
    client = await hub.client("7")
    client.emit("reconnect")
    await settle()
    assert (await hub.metrics())["reconnections"] == 0
    client.connection.cut()
    client = await hub.client("7", pid=client.pid)
    assert (await hub.metrics())["reconnections"] == 1
    client.connection.cut()
    client = await hub.client("7")
    assert (await hub.metrics())["reconnections"] == 2
    client.disconnect()
    client = await hub.client("7")
    client.connection.cut()
    await hub.advance(61)
    await hub.client("7")
    assert (await hub.metrics())["reconnections"] == 2


async def test_s110_errors_are_counted_by_type(hub: HubHarness) -> None:
    def fail() -> None:
        raise RuntimeError("broken")

    hub.io.on("break", lambda socket: fail())
    client = await hub.client()
    client.emit("error")
    client.emit("break")
    await settle()
    await hub.connect_error()
    client.connection.send_text("2[broken")
    await settle()
    counters = await hub.metrics()
    assert counters["errorsByType"] == {"handler": 1, "connect": 1, "packet": 1}
    assert counters["errors"] == 3


@pytest.mark.parametrize("path", ["/socket-metrics", "/metrics"])
async def test_s111_metrics_require_the_token(start_hub: Any, path: str) -> None:
    """A proxy on the same machine may pass requests on without a forwarding header."""
    hub: HubHarness = await start_hub(metrics_token=TOKEN)
    assert (await hub.request("GET", path)).status == 401
    for token, status in ((TOKEN.decode(), 200), ("wrong", 401), ("", 401)):
        headers = {"authorization": f"Bearer {token}"}
        assert (await hub.request("GET", path, headers)).status == status


async def test_s111_refusal_names_the_setting_when_no_token_is_configured(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(metrics_token=b"")
    answer = await hub.request("GET", "/metrics", {"authorization": "Bearer "})
    assert answer.status == 401
    assert "HEXTRACKR_METRICS_TOKEN" in answer.json()["error"]


async def test_s111_development_serves_metrics_to_this_machine(start_hub: Any) -> None:
    hub: HubHarness = await start_hub(metrics_token=b"", dev=True)
    assert (await hub.request("GET", "/metrics")).status == 200
    forwarded = {"x-forwarded-for": "127.0.0.1"}
    assert (await hub.request("GET", "/metrics", forwarded)).status == 401


async def test_s111_prometheus_endpoint_returns_the_same_metrics(hub: HubHarness) -> None:
    client = await hub.client()
    await client.emit_with_ack("stop-editing", "ticket", 1)
    await hub.connect_error()
    headers = {"authorization": f"Bearer {METRICS_TOKEN.decode()}"}
    answer = await hub.request("GET", "/metrics", headers)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    assert "hextrackr_connections_total 1.0" in lines
    assert "# TYPE hextrackr_connections_total counter" in lines
    assert "hextrackr_active_connections 1.0" in lines
    assert 'hextrackr_errors_total{type="connect"} 1.0' in lines
    assert "hextrackr_events_total 1.0" in lines


async def test_s111_ready_endpoint_reports_the_state_of_the_database(hub: HubHarness) -> None:
    assert (await hub.request("GET", "/ready")).json() == {"status": "ready", "database": "ok"}
    hub.application.database._engine.dispose()
    (hub.directory / "hub.db").write_bytes(b"not a database" * 1000)  # the same file
    answer = await hub.request("GET", "/ready")
    assert (answer.status, answer.json()["database"]) == (
        503,
        "the database cannot be read or written",
    )


async def test_s111_full_disk_is_named_to_the_user_and_turns_ready_to_503(
    hub: HubHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    def create(path: Path) -> BinaryIO:
        raise full

    monkeypatch.setattr("hextrackr_server.imports.uploads._create", create)
    headers = {"authorization": f"Bearer {hub.token()}", "content-type": "text/csv"}
    answer = await hub.request("POST", "/api/imports", headers, VALID_CSV.encode())
    assert answer.status == 503
    assert "The disk of the server is full" in answer.json()["error"]
    monkeypatch.setattr("hextrackr_server.storage.backends.MINIMUM_FREE_BYTES", 1 << 62)
    answer = await hub.request("GET", "/ready")
    assert (answer.status, answer.json()["database"]) == (503, "the disk of the server is full")
    monkeypatch.undo()
    assert (await hub.request("GET", "/ready")).status == 200
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in errors] == [
        "request failed: POST /api/imports",
        "the database check of /ready failed",
    ]
    assert not any(record.exc_info for record in errors)


async def test_s110_client_that_leaves_during_an_ack_is_logged_in_one_line(
    hub: HubHarness, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask(socket: Any) -> None:
        await socket.emit_with_ack("question")

    hub.io.on("start", ask)
    caplog.set_level(logging.INFO)
    client = await hub.client()
    client.emit("start")
    await settle()
    client.connection.cut()
    await settle()
    (record,) = [each for each in caplog.records if each.getMessage() == "event handler failed"]
    assert record.exc_info is None
    assert record.levelname == "INFO"
    fields = record.__dict__["fields"]
    assert "socket has been disconnected" in fields["reason"]
    assert (fields["user"], fields["address"]) == ("7", "127.0.0.1")


async def test_s110_client_that_leaves_during_an_upload_is_logged_in_one_line(
    hub: HubHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for path in ("/api/imports", "/ingest/v1/imports", "/api/vulnerabilities/import-cancel"):
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {hub.token()}\r\n"
        writer.write(
            f"{head}content-type: application/json\r\ncontent-length: 99\r\n\r\n{{".encode()
        )
        await writer.drain()
        await settle()
        writer.close()
        await hub.request("GET", "/health")
        await settle()
        assert reader
    assert not [record for record in caplog.records if record.exc_info]
