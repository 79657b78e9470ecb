"""The system's limits of connections: open files of this process, and the accept queue."""

from __future__ import annotations

import logging
import resource
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

#: Reserve for the database, uploads, listeners, pipes of threads, and connections that the server
#: is about to reject.
OTHER_FILES = 256
#: New connections that the system should queue for a listening socket; the default since Linux 5.4.
QUEUED_CONNECTIONS = 4096
#: The limit of the queue, which shortens that of each server: listen(2). Only Linux has the file.
QUEUE_LIMIT = Path("/proc/sys/net/core/somaxconn")


def allow(connections: int) -> bool:
    """Raise the limit for a number of connections; return whether the system allows it.

    The usual soft limit is 1024 files. A process may raise it up to the hard limit.
    """
    wanted = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _is_enough(soft, wanted):
        return True
    most = wanted if _is_enough(hard, wanted) else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        logger.warning(
            "the limit of %d open files is too low for %d connections: "
            "raise it (ulimit -n, LimitNOFILE=), or lower HEXTRACKR_MAX_CONNECTIONS",
            most,
            connections,
        )
    return most >= wanted


def check_accept_queue(connections: int) -> bool:
    """Return whether the system can queue many new connections, and log a warning otherwise.

    The kernel drops connections above the limit; their clients try again after a second, then two.
    """
    wanted = min(connections, QUEUED_CONNECTIONS)
    limit = wanted
    with suppress(OSError, ValueError):
        limit = int(QUEUE_LIMIT.read_text(encoding="ascii"))
    if limit < wanted:
        logger.warning(
            "the system queues at most %d new connections (net.core.somaxconn): after a restart, "
            "clients above it wait for seconds; set it to %d (docs/deployment.md)",
            limit,
            QUEUED_CONNECTIONS,
        )
    return limit >= wanted


def _is_enough(limit: int, wanted: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= wanted
