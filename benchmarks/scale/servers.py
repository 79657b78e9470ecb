"""Servers of several processes: their CPU time, their memory, and the clients of a cluster."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

from benchmarks.imports.processes import tree_cpu_seconds
from benchmarks.peers import Peer, Server
from benchmarks.process_tree import find_tree
from benchmarks.websocket_client import WebSocketClient, open_clients
from benchmarks.workloads import Broadcasts, Target


class TreeServer(Server):
    """A server with several processes."""

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes."""
        return tree_cpu_seconds(self._process.pid)

    def memory_bytes(self) -> int:
        """Return the memory of all processes; shared pages count once."""
        return sum(unique_memory(pid) for pid in find_tree(self._process.pid))


def unique_memory(pid: int) -> int:
    """Return the proportional set size of a process in bytes: shared pages are divided."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, "the kernel reports Pss for every process"
    return int(found[1]) * 1024


class Cluster:
    """Several servers with one broker, as a context manager; the servers count as one."""

    def __init__(self, peer: Peer, count: int) -> None:
        """Prepare `count` servers with the same command."""
        self.name = peer.name
        self.servers = [Server(peer) for _ in range(count)]
        self.port = 0
        self._stack = ExitStack()

    def __enter__(self) -> Cluster:
        """Start the servers. Raises PeerMissingError."""
        with self._stack:  # stops the started servers if a later one does not start
            for server in self.servers:
                self._stack.enter_context(server)
            self._stack = self._stack.pop_all()
        self.port = self.servers[0].port
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def ports(self) -> list[int]:
        """The ports of the servers."""
        return [server.port for server in self.servers]

    def cpu_seconds(self) -> float:
        """Return the CPU time of all servers."""
        return sum(server.cpu_seconds() for server in self.servers)


class ClusterBroadcasts(Broadcasts):
    """Broadcasts to members on all servers of a cluster; the servers take turns as the sender."""

    async def open(self, server: Target) -> list[WebSocketClient]:
        """Return connections to all servers, in turns."""
        assert isinstance(server, Cluster), "only a cluster has several ports"
        each = self._connections // len(server.ports)
        groups = [await open_clients(port, each) for port in server.ports]
        return [client for group in zip(*groups, strict=True) for client in group]
