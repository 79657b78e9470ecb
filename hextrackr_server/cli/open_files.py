"""The limit of open files of this process, and so of connections."""

from __future__ import annotations

import logging
import resource

logger = logging.getLogger(__name__)

#: Reserve for the database, uploads, listeners, pipes of threads, and connections that the server
#: is about to reject.
OTHER_FILES = 256


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


def _is_enough(limit: int, wanted: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= wanted
