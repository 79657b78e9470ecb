"""The check of a user name and a password: `BasicAuth` with a bcrypt hash, or a function.

`login` limits the guesses and keeps the sessions.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, final

_HASH: Final = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_LONGEST: Final = 72  # bytes of a password that bcrypt uses; later ones have no effect

Check = Callable[[str, str], bool | Awaitable[bool]]
"""`(username, password)` -> whether they are valid; plain or async."""


@final
@dataclass(frozen=True, slots=True)
class BasicAuth:
    """A user name and the bcrypt hash of a password, as on Node; needs the extra `admin`.

    `python -m socketio_core.admin` reads a password and prints its hash. Raises ValueError for
    another form of hash, RuntimeError if bcrypt is not installed.
    """

    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("username", "password"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} must be a string, got {type(getattr(self, name))}")
        if not self.username:
            raise ValueError("username must not be empty")
        if not _HASH.fullmatch(self.password):
            raise ValueError(
                "password must be a bcrypt hash that starts with '$2b$', got another text: print "
                "the hash of a password with `python -m socketio_core.admin`"
            )
        load_bcrypt()


def load_bcrypt() -> Any:
    """Return the library bcrypt. Raises RuntimeError if it is not installed."""
    try:
        import bcrypt  # noqa: PLC0415  # an extra
    except ImportError:
        raise RuntimeError(
            "BasicAuth needs bcrypt: install the extra `admin`, or pass a function as auth"
        ) from None
    return bcrypt


def hash_password(password: str) -> str:
    """Return the bcrypt hash of a password, which takes about 0.2 s."""
    hashed: bytes = load_bcrypt().hashpw(_encode(password), load_bcrypt().gensalt(12))
    return hashed.decode()


def _encode(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")[:_LONGEST]


@final
class BcryptCheck:
    """The check of one user; it computes hashes in a thread of its own, one at a time.

    The time does not depend on whether the user name is right. The thread starts with the first
    login, and again after `close`.
    """

    def __init__(self, auth: BasicAuth) -> None:
        self._bcrypt = load_bcrypt()
        self._auth = auth
        self._username = auth.username.encode("utf-8", "surrogatepass")
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, username: str, password: str) -> Awaitable[bool]:
        """Return whether a user name and a password are right, as an awaitable."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="socketio-admin")
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._pool, self._verify, username, password)

    def _verify(self, username: str, password: str) -> bool:
        given = username.encode("utf-8", "surrogatepass")
        is_known = hmac.compare_digest(given, self._username)
        try:
            is_right: bool = self._bcrypt.checkpw(_encode(password), self._auth.password.encode())
        except ValueError:  # a NUL in a password, for some versions
            is_right = False
        return is_right and is_known

    def close(self) -> None:
        """Drop the waiting checks, and end the thread after the current one."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
