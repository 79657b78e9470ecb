"""Hosts: addresses in one spelling, names, and the key that identifies a host.

A host is identified by its address, otherwise by its whole name: `fw1.ams.example` and
`fw1.ber.example` are two hosts.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from hextrackr_server.text import clean

LONGEST: Final = 255
LONGEST_ADDRESS: Final = 64

_SEPARATORS: Final = re.compile(r"[,;\s|()<>]+")
_NAME_SEPARATORS: Final = re.compile(r"[,;|\r\n]+")
# Also a range of addresses: 192.0.2.1-192.0.2.9 and 192.0.2.1-9.
_LOOKS_LIKE_ADDRESS: Final = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,3}|-\d{1,3}(?:\.\d{1,3}){0,3})?"
)
_WITH_PORT: Final = re.compile(
    r"(\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\]):\d{1,5}(?:/(?:tcp|udp))?", re.IGNORECASE
)
# web1.example.test:443 and web1.example.test/path, but not prod/web1
_NAME_WITH_MORE: Final = re.compile(
    r"([\w.-]+):\d{1,5}(?:/.*)?|(?://)?([\w-]+\.[\w.-]*[A-Za-z])/.*|//([\w.-]+)(?:/.*)?", re.DOTALL
)
_PAIR_SEPARATORS: Final = re.compile(r"[,;\s|()<>\[\]/]+")
_LABEL: Final = r"\w(?:[\w-]{0,61}\w)?"
_HOST_NAME: Final = re.compile(rf"(?=.*[^\W\d_]){_LABEL}(?:\.{_LABEL})*\.?")
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_UNKNOWN: Final = frozenset({"unknown", "localhost.localdomain"})


class Addresses(NamedTuple):
    """The addresses of one cell; `problem` is set if a part looks like one and is not."""

    first: str = ""
    others: tuple[str, ...] = ()
    problem: str = ""


_NO_ADDRESSES: Final = Addresses()


class Name(NamedTuple):
    """A host name: the short form that is displayed, and the whole name, both in lower case."""

    short: str
    whole: str


@lru_cache(maxsize=8192)
def read_address(text: str) -> str:
    """Return the canonical spelling of one address, or an empty string.

    Zone ids are kept, brackets removed. Leading zeros make an IPv4 address ambiguous: refused.
    """
    text = text.strip().strip("[]\"'")
    if ":" not in text:
        # The ipaddress module takes ten times as long to reject a name.
        return text if _IPV4.fullmatch(text) else ""
    # A zone id may hold any character, and any number of them.
    if len(text) > LONGEST_ADDRESS or not text.isprintable():
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    # Versions of Python spell an IPv4 address that is mapped to IPv6 differently.
    return str(getattr(address, "ipv4_mapped", None) or address)


def may_be_address(text: str) -> bool:
    """Return whether a text begins like an address."""
    return ":" in text or text[:1].isdigit()


def read_addresses(text: str) -> Addresses:
    """Return the addresses of a cell: the first IPv4, else the first IPv6, before the others.

    A link-local address comes last. `192.0.2.1/24` and `192.0.2.1:443` count as 192.0.2.1, with a
    problem.
    """
    if not text:
        return _NO_ADDRESSES
    found: list[str] = []
    problem = ""
    for part in _SEPARATORS.split(text[:1024]):
        if address := read_address(part):
            found.append(address)
        elif "/" in part and (address := read_address(part.partition("/")[0])):
            found.append(address)
            problem = f"{part[:64]!r} is a network; the address {address} is taken"
        elif (match := _WITH_PORT.fullmatch(part)) and (address := read_address(match[1])):
            found.append(address)
            problem = f"{part[:64]!r} has a port; the address {address} is taken"
        elif _LOOKS_LIKE_ADDRESS.fullmatch(part):
            problem = f"{part[:64]!r} is not an unambiguous address"
    if not found:
        return Addresses(problem=problem)
    if len(found) == 1:
        return Addresses(found[0], (), problem)
    ordered = sorted(dict.fromkeys(found), key=_preference)
    return Addresses(ordered[0], tuple(ordered[1:]), problem)


def _preference(address: str) -> tuple[bool, bool]:
    parsed = ipaddress.ip_address(address)
    return parsed.is_link_local, parsed.version == 6


def split_pair(text: str) -> tuple[str, str] | None:
    """Return the name and the addresses of `web1 (192.0.2.1)`, `192.0.2.1 web1` and the like.

    None if a cell does not consist of one name and of addresses.
    """
    names: list[str] = []
    addresses: list[str] = []
    for part in _PAIR_SEPARATORS.split(text[:LONGEST]):
        if read_address(part):
            addresses.append(part)
        elif part.strip("-"):
            names.append(part)
    if len(names) != 1 or not addresses or not is_host_name(names[0]):
        return None
    return names[0], ",".join(addresses)


def split_name(text: str) -> str:
    """Return the host of `web1.example.test:443` or `web1.example.test/path`, or the text."""
    match = _NAME_WITH_MORE.fullmatch(text.strip()[:2048])
    found = match and (match[1] or match[2] or match[3])
    return found if found and is_host_name(found) else text


def read_name(text: str) -> Name | None:
    r"""Return the name of a host, or None for an empty cell.

    The part behind the backslash of `WORKGROUP\NAME` counts; of several names the first.
    """
    name = text[:LONGEST].strip().rpartition("\\")[2]
    name = clean(_NAME_SEPARATORS.split(name.strip(), maxsplit=1)[0], LONGEST).strip(" .").lower()
    if not name or name in _UNKNOWN:
        return None
    return Name(name.partition(".")[0], name)


def is_host_name(text: str) -> bool:
    """Return whether a text is one host name: labels that are joined by dots, with a letter."""
    return len(text) <= LONGEST and _HOST_NAME.fullmatch(text) is not None


def split_url(text: str) -> tuple[str, int | None]:
    """Return the host and the port of a URL, also without its scheme; empty if there is no host."""
    text = text.strip()[:2048]
    if not _URL.match(text):
        text = "//" + text.removeprefix("//")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        return "", None
    if port is None:
        port = {"http": 80, "https": 443}.get(parts.scheme.lower())
    return host, port
