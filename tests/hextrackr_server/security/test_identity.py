"""Tests of revoked and expired logins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal, TokenAuthority
from hextrackr_server.security.session_store import SqliteStore
from tests.contract.support import SessionStore
from tests.hextrackr_server.support import SECRET, FakeClock

#: Seconds that the clock of the service is ahead of the clock of tokens: each token is older.
AHEAD = 600.0


class Clock(FakeClock):
    def epoch_ms(self) -> int:
        return round(self.now * 1000)


@pytest.fixture
def identity() -> IdentityService:
    clock = Clock()
    clock.now = time.time() + AHEAD
    return IdentityService(TokenAuthority(SECRET), clock)


def bearer(lifetime: float = 7200) -> dict[str, str]:
    return {"authorization": f"Bearer {TokenAuthority(SECRET).sign('7', lifetime=lifetime)}"}


async def test_revocation_of_a_user_ends_earlier_logins(identity: IdentityService) -> None:
    headers = bearer()
    principal = await identity.from_handshake(headers, {})
    assert identity.is_current(principal)
    identity.revoke(user_id="8")
    assert identity.is_current(principal)
    identity.revoke(user_id="7")
    assert not identity.is_current(principal)
    assert await identity.recheck([principal]) == [principal]
    for refused in (
        identity.from_handshake(headers, {}),
        identity.from_request("GET", headers),
    ):
        with pytest.raises(ServiceError, match="revoked") as refusal:
            await refused
        assert refusal.value.code is ErrorCode.UNAUTHORIZED


def test_login_after_the_revocation_is_valid(identity: IdentityService) -> None:
    identity.revoke(user_id="7")
    assert identity.is_current(Principal("7", "7", "user", proven_at=time.time() + AHEAD + 5))


def test_login_ends_at_its_expiry_and_at_the_time_of_a_revocation() -> None:
    clock = Clock()
    clock.now = 5000.0
    identity = IdentityService(TokenAuthority(SECRET), clock)
    login = Principal("7", "7", "user", proven_at=5000.0, expires_at=5001.0)
    assert identity.is_current(login)
    clock.now = 5001.0
    assert identity.is_over(login)
    clock.now = 5000.0
    assert identity.is_current(login)
    identity.revoke(user_id="7")
    assert identity.is_revoked(login)
    identity.close()


def test_number_of_revocations_is_bounded(
    identity: IdentityService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hextrackr_server.security.identity.MAXIMUM_REVOKED", 2)
    for user in "123":
        identity.revoke(user_id=user)
    assert not identity.is_revoked(Principal("1", "", "user"))
    assert identity.is_revoked(Principal("3", "", "user"))


async def test_recheck_returns_expired_principals(identity: IdentityService) -> None:
    over = Principal("7", "7", "user", expires_at=time.time() - 1)
    good = Principal("8", "8", "user", expires_at=time.time() + 7200)
    endless = Principal("9", "9", "user")
    assert await identity.recheck([over, good, endless]) == [over]
    assert identity.seconds_left(over) == 0
    assert identity.seconds_left(endless) is None


HUB = {"host": "hub.example:8080"}


@pytest.fixture
def sessions(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path / "sessions.db")


@pytest.fixture
def browsers(sessions: SessionStore) -> Iterator[IdentityService]:
    clock = Clock()
    clock.now = time.time()
    store = SqliteStore(sessions.path)
    identity = IdentityService(TokenAuthority(SECRET), clock, sessions.cookies, store)
    yield identity
    identity.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_cookie_allows_changes_from_the_same_site_only(
    browsers: IdentityService, sessions: SessionStore, method: str
) -> None:
    cookie = sessions.log_in("7") | HUB
    for origin in ("https://evil.example", "null", "http://hub.example.evil.example:8080"):
        with pytest.raises(ServiceError, match="must come from the same site") as refusal:
            await browsers.from_request(method, cookie | {"origin": origin})
        assert refusal.value.code is ErrorCode.FORBIDDEN
    proxied = {"origin": "https://public.example", "x-forwarded-host": "public.example"}
    for more in ({}, {"origin": "http://hub.example:8080"}, proxied):
        assert (await browsers.from_request(method, cookie | more)).user_id == "7"
    other = bearer() | HUB | {"origin": "https://evil.example"}
    assert (await browsers.from_request(method, other)).user_id == "7"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_cookie_allows_reading_with_any_origin(
    browsers: IdentityService, sessions: SessionStore, method: str
) -> None:
    headers = sessions.log_in("7") | HUB | {"origin": "https://other.example"}
    assert (await browsers.from_request(method, headers)).user_id == "7"
