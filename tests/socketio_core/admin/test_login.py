"""The login of admins: passwords, sessions, and the limit of guesses. Any doubt refuses."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import pytest

from socketio_core import BasicAuth, ConnectError, SocketServer, instrument
from socketio_core.admin import __main__ as command
from socketio_core.admin.credentials import BcryptCheck, hash_password, load_bcrypt
from socketio_core.admin.login import (
    GUESSES,
    MAX_ADDRESSES,
    MAX_PENDING,
    MAX_SESSIONS,
    SESSION_DURATION,
    GuessLimit,
    Sessions,
)
from socketio_core.testing import TestClient, TestServer
from tests.socketio_core.adapters.cluster_support import Cluster
from tests.socketio_core.admin.support import connect, last


def make_hash(password: bytes) -> str:
    """Return a hash of the lowest cost."""
    bcrypt = load_bcrypt()
    hashed: bytes = bcrypt.hashpw(password, bcrypt.gensalt(4))
    return hashed.decode()


CHANGEIT = make_hash(b"changeit")


def check(username: str, password: str) -> bool:
    return (username, password) == ("admin", "changeit")


def make_server(auth: Any = check) -> SocketServer:
    io = SocketServer()
    instrument(io, auth=auth)
    return io


async def refusal(server: TestServer, **auth: Any) -> str:
    with pytest.raises(ConnectError) as caught:
        await connect(server, **auth)
    return caught.value.message


async def login(server: TestServer) -> TestClient:
    return await connect(server, username="admin", password="changeit")


async def test_bcrypt_password_is_accepted_and_others_are_refused() -> None:
    async with TestServer(make_server(BasicAuth("admin", CHANGEIT))) as server:
        for username, password in [
            ("admin", "wrong"), ("other", "changeit"), ("admin", "changeit\0"), ("admin", "\ud800"),
        ]:  # fmt: skip
            message = await refusal(server, username=username, password=password)
            assert message == "invalid credentials"
        admin = await login(server)
        assert last(admin, "config")
        assert len(last(admin, "session")[0]) == 32


@pytest.mark.parametrize(
    "auth",
    [{}, {"username": "admin"}, {"username": ["admin"], "password": "changeit"},
     {"username": "admin", "password": None}, {"username": "admin", "password": "x" * 1025},
     {"sessionId": ""}, {"sessionId": None}, {"sessionId": {"a": 1}}, {"sessionId": "0" * 32}],
)  # fmt: skip
async def test_incomplete_credentials_are_refused_without_a_check(auth: dict[str, Any]) -> None:
    async with TestServer(make_server(lambda username, password: True)) as server:
        assert await refusal(server, **auth) == "invalid credentials"


async def test_session_replaces_the_password() -> None:
    async with TestServer(make_server()) as server:
        (session_id,) = last(await login(server), "session")
        again = await connect(server, sessionId=session_id)
        assert "session" not in [name for name, _ in again.received]


def test_session_expires() -> None:
    now = 0.0
    sessions = Sessions(lambda: now)
    session_id, _ = sessions.create()
    now = SESSION_DURATION - 1
    assert sessions.has(session_id)
    now = SESSION_DURATION
    assert not sessions.has(session_id)


async def test_session_is_valid_on_the_other_servers_of_a_cluster() -> None:
    cluster = Cluster()
    for io in cluster.ios:
        instrument(io, auth=check)
    async with cluster:
        first, second = cluster.servers
        (session_id,) = last(await login(first), "session")
        await first.advance(0)
        assert (await connect(second, sessionId=session_id)).connected
        for number in range(MAX_SESSIONS):
            await cluster.ios[0].of("/admin").server_side_emit("admin_session", f"short {number}")
        await first.advance(0)
        message = "a text that is not a hash replaces no session"
        assert (await connect(second, sessionId=session_id)).connected, message


async def test_guesses_of_an_address_are_limited(caplog: pytest.LogCaptureFixture) -> None:
    async with TestServer(make_server()) as server:
        for _ in range(GUESSES):
            assert await refusal(server, username="admin", password="x") == "invalid credentials"
        assert "too many attempts" in await refusal(server, username="admin", password="changeit")
        await server.advance(6)
        assert (await login(server)).connected
        assert (await login(server)).connected, "a right password gives all guesses back"
    assert "from 127.0.0.1 was refused: too many attempts" in caplog.text
    assert "changeit" not in caplog.text


async def test_passwords_in_progress_are_limited() -> None:
    release = asyncio.Event()

    async def slow(username: str, password: str) -> bool:
        await release.wait()
        return False

    async with TestServer(make_server(slow)) as server:
        waiting = [
            asyncio.create_task(refusal(server, username="admin", password="x"))
            for _ in range(GUESSES)
        ]
        await server.advance(0)
        assert "too many" in await refusal(server, username="admin", password="x")
        release.set()
        assert set(await asyncio.gather(*waiting)) == {"invalid credentials"}


async def test_passwords_of_all_addresses_in_progress_are_limited() -> None:
    release = asyncio.Event()

    async def slow(username: str, password: str) -> bool:
        await release.wait()
        if password == "fail":
            raise RuntimeError("database")
        return True

    async with TestServer(make_server(slow)) as server:

        async def attempt(number: int, password: str) -> str:
            connection = server.open_connection()
            connection.session.request.remote_address = f"192.0.2.{number}"
            auth = {"username": "admin", "password": password}
            try:
                await server.connect("/admin", auth=auth, on_connection=connection)
            except ConnectError as error:
                return error.message
            return "accepted"

        failing = [asyncio.create_task(attempt(each, "fail")) for each in range(MAX_PENDING)]
        await server.advance(0)
        assert "too many" in await attempt(100, "right")
        release.set()
        assert set(await asyncio.gather(*failing)) == {"internal error"}
        assert await attempt(101, "right") == "accepted"


@pytest.mark.parametrize("result", [None, 1, "yes", RuntimeError])
async def test_undecided_check_refuses(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def undecided(username: str, password: str) -> Any:
        if result is RuntimeError:
            raise RuntimeError("database")
        return result

    async with TestServer(make_server(undecided)) as server:
        message = await refusal(server, username="admin", password="changeit")
        assert message == "internal error"
    assert "failed for socket" in caplog.text


def test_sessions_are_bounded_and_the_oldest_ends_first() -> None:
    sessions = Sessions(lambda: 0.0)
    ids = [sessions.create()[0] for _ in range(MAX_SESSIONS + 1)]
    assert len(sessions) == MAX_SESSIONS
    assert not sessions.has(ids[0])
    assert sessions.has(ids[1])


def test_addresses_are_bounded_and_ipv6_counts_by_its_network() -> None:
    now = 0.0
    limit = GuessLimit(lambda: now)
    for number in range(MAX_ADDRESSES + 10):
        assert limit.take(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert len(limit) == MAX_ADDRESSES
    for number in range(GUESSES):
        assert limit.take(f"2001:db8::{number:x}")
    assert not limit.take("2001:db8::ffff")
    assert limit.take("2001:db8:0:1::1")
    for _ in range(GUESSES):
        assert limit.take("::ffff:192.0.2.1")
    assert not limit.take("192.0.2.1")
    assert limit.take(""), "the address of a Unix socket"
    now = 6.0
    assert limit.take("192.0.2.1")
    assert not limit.take("192.0.2.1")


@pytest.mark.parametrize(
    "password",
    ["changeit", "", "$2b$12$short", "$1$" + CHANGEIT[3:]],
    ids=["plain", "empty", "short", "other algorithm"],  # the salt differs in each process
)
def test_password_must_be_a_hash(password: str) -> None:
    with pytest.raises(ValueError, match=r"bcrypt hash"):
        BasicAuth("admin", password)


def test_hash_is_not_part_of_the_representation() -> None:
    assert CHANGEIT not in repr(BasicAuth("admin", CHANGEIT))


def test_basic_auth_rejects_other_types() -> None:
    with pytest.raises(TypeError, match="username must be a string"):
        BasicAuth(1, CHANGEIT)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="username must not be empty"):
        BasicAuth("", CHANGEIT)


def test_basic_auth_needs_bcrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    with pytest.raises(RuntimeError, match="install the extra `admin`"):
        BasicAuth("admin", CHANGEIT)


async def test_bytes_after_the_72nd_are_ignored_like_by_other_libraries() -> None:
    verify = BcryptCheck(BasicAuth("admin", make_hash(b"x" * 72)))
    assert await verify("admin", "x" * 80)  # type: ignore[misc]
    assert not await verify("admin", "x" * 71)  # type: ignore[misc]


def answer(monkeypatch: pytest.MonkeyPatch, *inputs: str) -> None:
    given = iter(inputs)
    monkeypatch.setattr(command, "getpass", lambda prompt: next(given))


def test_command_prints_the_hash_of_a_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, "secret", "secret")
    monkeypatch.setattr(command, "hash_password", lambda password: make_hash(password.encode()))
    assert command.main() == 0
    printed = capsys.readouterr().out.strip()
    assert load_bcrypt().checkpw(b"secret", BasicAuth("admin", printed).password.encode())


@pytest.mark.parametrize("inputs", [("",), ("a", "b")])
def test_command_refuses_an_empty_or_mistyped_password(
    inputs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, *inputs)
    assert command.main() == 1
    assert "the two inputs differ" in capsys.readouterr().err


def test_command_explains_missing_bcrypt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, "secret", "secret")
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    assert command.main() == 1
    assert "install the extra `admin`" in capsys.readouterr().err


def test_printed_hash_has_a_cost_of_twelve() -> None:
    assert hash_password("secret").startswith("$2b$12$")


async def test_no_authentication_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "socketio_core"):
        io = make_server(False)
    assert "/admin has no authentication" in caplog.text
    async with TestServer(io) as server:
        assert (await connect(server)).connected
