"""How many files, and so connections, this process may have open.

Knows: the system's limit, and that a process may raise its own share of it.
Does not know: who connects.
"""

from __future__ import annotations

import logging
import resource

logger = logging.getLogger(__name__)

#: The database, uploads, listeners, threads' pipes, and connections that are just being refused.
BESIDE_CONNECTIONS = 256


def allow(connections: int) -> bool:
    """Let this process have so many connections; whether the system lets it.

    What is usual is 1024 files, of which a process may make more by itself, up to a hard limit.
    """
    wanted = connections + BESIDE_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _is_enough(soft, wanted):
        return True
    most = wanted if _is_enough(hard, wanted) else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        logger.warning(
            "only %d files may be open, too few for %d connections: "
            "raise the limit (ulimit -n, LimitNOFILE=), or lower HEXTRACKR_MAX_CONNECTIONS",
            most,
            connections,
        )
    return most >= wanted


def _is_enough(limit: int, wanted: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= wanted
