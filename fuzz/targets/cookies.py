"""Session cookies of express-session."""

from __future__ import annotations

from urllib.parse import quote

from fuzz.target import Target
from hextrackr_server.security.session_cookie import SessionCookies

NAME = "hextrackr.sid"
COOKIES = SessionCookies(NAME, [b"first secret", b"second"])
FOREIGN = SessionCookies(NAME, [b"another secret"])
SESSIONS = ("abc", "a.b", "x" * 32, "é", "s:")
VALUES = tuple(COOKIES.sign(each) for each in SESSIONS)


def run(data: bytes) -> None:
    """Read a header: an ID without the right signature must not be accepted."""
    header = data.decode("latin-1")
    found = COOKIES.session_id(header)
    assert found is None or found in SESSIONS, "an ID that nothing has signed"
    assert FOREIGN.session_id(header) is None
    # A signed value is read back from a header with other cookies.
    session = data[:24].decode("utf-8", "replace").replace("\ufffd", "")
    if session:
        assert COOKIES.session_id(f"a=b; {NAME}={COOKIES.sign(session)}; c=d") == session


TARGET = Target(
    "session cookies: names, signatures, escapes",
    lambda: [
        *(f"{NAME}={value}".encode() for value in VALUES),
        f'a=1; {NAME}="{VALUES[0]}"; {NAME}={VALUES[1]}'.encode(),
        f"{NAME}={quote('s:abc.')}".encode(), f"{NAME}=".encode(), b"a;b;c",
    ],
    run,
    (NAME.encode(), b"=", b"; ", b"s%3A", b".", b"%", b'"', b"%2E", b"%FF", b"+"),
    longest=300,
)  # fmt: skip
