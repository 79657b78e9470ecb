"""Ports of the loopback interface for servers that start later, also in other processes."""

from __future__ import annotations

import socket


def reserve_port() -> int:
    """Return a port that the system assigns to no other socket until this process ends.

    A socket stays bound to the port without listening. Linux then refuses connections to the port,
    never picks it for port 0 or as the source of a connection, and lets a server listen that names
    the port and sets SO_REUSEADDR or SO_REUSEPORT, as servers do. The server may stop and start
    again.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        holder.detach()  # the descriptor stays open
    return port
