"""The listening sockets of a supervisor: one for each worker where the kernel balances them."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Final

from engineio_core.http.listener import BACKLOG, explain_address, remove_stale_socket

# Linux distributes the connections evenly among the sockets of one port; with one socket for all
# workers, one of four workers received none of 400 slow connects (docs/scaling.md). Other systems
# use the newest socket only, or do not balance.
BALANCES: Final = sys.platform == "linux"


def open_sockets(
    host: str | None, port: int, path: str | Path | None, count: int
) -> list[socket.socket]:
    """Listen on an address; return one socket, or one for each worker.

    Raises OSError, with the address and the remedy, if the address is not available.
    """
    try:
        if path is not None:
            remove_stale_socket(path)
            return [_listen(socket.AF_UNIX, str(path))]
        return open_balanced(*_resolve(host, port), count)
    except OSError as error:
        raise explain_address(error, host, port, path, None) from error


def open_balanced(
    family: int, address: object, count: int, *, ipv6_only: bool = False
) -> list[socket.socket]:
    """Listen on an address of a family; return one socket, or `count` sockets. Raises OSError."""
    if not BALANCES:
        return [_listen(family, address, ipv6_only=ipv6_only)]
    # Without SO_REUSEPORT first: two servers on one port would divide the clients.
    with _listen(family, address, ipv6_only=ipv6_only) as probe:
        address = probe.getsockname()
    return [_listen(family, address, ipv6_only=ipv6_only, reuse_port=True) for _ in range(count)]


def _resolve(host: str | None, port: int) -> tuple[int, object]:
    """Return one address; of a name with several, an IPv4 address. Raises OSError."""
    if host is None and socket.has_dualstack_ipv6():
        return socket.AF_INET6, ("::", port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address


def _listen(
    family: int, address: object, *, ipv6_only: bool = False, reuse_port: bool = False
) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(ipv6_only))
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)  # type: ignore[arg-type]  # the address of the family
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
