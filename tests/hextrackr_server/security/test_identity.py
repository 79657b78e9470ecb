"""Tests of revoked and expired logins."""

from __future__ import annotations

import time

import pytest

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal, TokenAuthority
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
