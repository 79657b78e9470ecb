"""TLS listeners: certificates, the closing handshake, timeouts and refused uploads."""

from __future__ import annotations

import logging
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineio_core import Tls
from tests.engineio_core.http.support import POLLING, TLS_FILES, check_echo, connect, echo_engine
from tests.helpers.wire import CLOSE, client_frame, http_request


def trusting(name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=TLS_FILES / f"{name}.pem")
    context.check_hostname = True
    return context


def own_files(tmp_path: Path) -> Tls:
    for suffix in ("pem", "key.pem"):
        shutil.copy(TLS_FILES / f"first.{suffix}", tmp_path / f"own.{suffix}")
    return Tls(certificate=tmp_path / "own.pem", key=tmp_path / "own.key.pem")


def test_reload_tls_replaces_the_certificate(run: Callable[[Any], None], tmp_path: Path) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen(ssl=own_files(tmp_path))
        old = await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        await old.get(POLLING)
        assert next(iter(engine.sessions.values())).request.secure
        await check_echo(
            await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        )
        for suffix in ("pem", "key.pem"):
            shutil.copy(TLS_FILES / f"second.{suffix}", tmp_path / f"own.{suffix}")
        engine.reload_tls()
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        await check_echo(
            await connect(listener.port, ssl=trusting("second"), server_hostname="localhost")
        )
        assert (await old.get(POLLING)).status == 200, "open connections stay open"
        await old.close()
        await engine.shutdown()

    run(case())


def test_listen_uses_an_ssl_context_and_reload_leaves_it_unchanged(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    async def case() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS_FILES / "first.pem", TLS_FILES / "first.key.pem")
        async with echo_engine() as engine:
            listener = await engine.listen(ssl=context)
            assert listener.addresses == (f"https://127.0.0.1:{listener.port}",)
            engine.reload_tls()
            await check_echo(
                await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
            )

    run(case())


def test_reload_tls_without_files_is_logged(
    run: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "engineio_core")

    async def case() -> None:
        async with echo_engine() as engine:
            await engine.listen()
            engine.reload_tls()

    run(case())
    assert "no TLS files to read again: changed settings apply after a restart" in caplog.text


def test_reload_tls_keeps_the_certificate_when_the_new_file_is_invalid(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen(ssl=own_files(tmp_path))
        (tmp_path / "own.pem").write_text("nonsense")
        engine.reload_tls()
        await check_echo(
            await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        )
        await engine.shutdown()

    run(case())


def test_missing_certificate_is_rejected_at_construction(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a readable PEM file"):
        Tls(certificate=tmp_path / "missing.pem")


def test_websocket_over_tls_closes_cleanly(run: Callable[[Any], None], tmp_path: Path) -> None:
    async def case() -> None:
        engine = echo_engine()
        listener = await engine.listen(ssl=own_files(tmp_path))
        client = await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        await client.upgrade()
        await client.frame()
        client.writer.write(client_frame(CLOSE, b"\x03\xe8"))
        assert (await client.frame()).payload == b"\x03\xe8"
        assert await client.end() == b""
        assert engine.sessions == {}
        await client.close()
        await engine.shutdown()

    run(case())


def test_connection_closes_when_the_tls_handshake_times_out(
    run: Callable[[Any], None], tmp_path: Path
) -> None:
    async def case() -> None:
        engine = echo_engine(header_timeout=0.03)
        listener = await engine.listen(ssl=own_files(tmp_path))
        client = await connect(listener.port)
        assert await client.end() == b""
        await client.close()
        await engine.shutdown()

    run(case())


def test_refused_upload_receives_413_over_tls(run: Callable[[Any], None], tmp_path: Path) -> None:
    async def case() -> None:
        engine = echo_engine(max_http_buffer_size=1000)
        listener = await engine.listen(ssl=own_files(tmp_path))
        client = await connect(listener.port, ssl=trusting("first"), server_hostname="localhost")
        sid = (await client.get(POLLING)).text.split('"')[3]
        client.writer.write(
            http_request("POST", f"{POLLING}&sid={sid}", {"Content-Length": "300000"})
            + b"x" * 300_000
        )
        assert (await client.response()).status == 413
        await client.close()
        await engine.shutdown()

    run(case())
