"""Address, scheme and host of the client, as reported by trusted proxies.

Sources: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host and Forwarded (RFC 7239). A header
applies only if the TCP peer is trusted, and each hop only if the proxy that wrote it is.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Collection
from typing import final

from engineio_core.http.message import HttpRequest, plain_address

logger = logging.getLogger("engineio_core")

_HOST = re.compile(r"[A-Za-z0-9.\-_:\[\]]{1,255}")


@final
class TrustedProxies:
    """Trusted networks in CIDR notation; "unix" stands for peers on Unix sockets."""

    def __init__(self, networks: Collection[str] = ()) -> None:
        self._trusts_unix = "unix" in networks
        self._networks = [_plain_network(text) for text in networks if text != "unix"]
        self._is_empty = not networks
        self._has_warned = False

    def apply(self, request: HttpRequest) -> None:
        """Set `remote_address`, `secure` and `host` of a request to those of the client."""
        if self._is_empty or not self._trusts(request.remote_address):
            if not self._has_warned and (
                "x-forwarded-for" in request.headers or "forwarded" in request.headers
            ):
                self._warn(request.remote_address)
            return
        if "forwarded" in request.headers:
            hops = _parse_forwarded(request.headers["forwarded"])
        else:
            hops = _parse_x_forwarded(request.headers)
        # The nearest proxy wrote the last hop. A hop counts while its author is trusted.
        for hop in reversed(hops[-32:]):
            if hop.get("proto", "").lower() in {"http", "https"}:
                request.secure = hop["proto"].lower() == "https"
            if _HOST.fullmatch(hop.get("host", "")):
                request.host = hop["host"]
            address = _plain_address(hop.get("for", ""))
            if address is None:
                break
            request.remote_address, request.remote_port = address, 0
            if not self._trusts(address):
                break

    def _warn(self, peer: str) -> None:
        """Log an ignored forwarding header once: each client can send one."""
        self._has_warned = True
        logger.warning(
            "ignored the forwarding header of %s: if it is your reverse proxy, add it to "
            "trusted_proxies (TRUSTED_PROXIES), otherwise all its clients share one address",
            peer,
        )

    def _trusts(self, address: str) -> bool:
        if address == "unix":
            return self._trusts_unix
        try:
            parsed = ipaddress.ip_address(plain_address(address))
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _plain_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return a network of IPv4-mapped addresses in its IPv4 form."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _parse_forwarded(value: str) -> list[dict[str, str]]:
    # Split instead of matched: a pattern for the whole value takes quadratic time on blanks.
    hops: list[dict[str, str]] = []
    for element in value.split(","):
        pairs = [pair.partition("=") for pair in element.split(";")]
        hops.append({name.strip().lower(): text.strip().strip('"') for name, _, text in pairs})
    return hops


def _parse_x_forwarded(headers: dict[str, str]) -> list[dict[str, str]]:
    addresses = [part.strip() for part in headers.get("x-forwarded-for", "").split(",")]
    protocols = [part.strip() for part in headers.get("x-forwarded-proto", "").split(",")]
    host = headers.get("x-forwarded-host", "").rpartition(",")[2].strip()
    return [
        # Proxies write one protocol for all hops, or one per hop; the nearest wrote the last.
        {"for": address, "proto": protocols[-1], "host": host}
        for address in addresses
    ]


def _plain_address(text: str) -> str | None:
    """Return the address of `192.0.2.1:80`, `[2001:db8::1]:80` or a bare address, else None."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return plain_address(str(ipaddress.ip_address(text)))
    except ValueError:
        return None
