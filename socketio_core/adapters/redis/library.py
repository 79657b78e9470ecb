"""The use of redis-py: imports with a remedy, and a pool that creates connections.

`connection` opens the connections; `stream` reads and writes them.
"""

from __future__ import annotations

import importlib
from typing import Any, Final
from urllib.parse import urlsplit

CONNECT_TIMEOUT: Final = 5.0
_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_REMEDIES: Final = {
    # python-socketio
    "channel": "use key, the prefix of all channels",
    "write_only": "use Emitter(url) or BlockingEmitter(url), which only send",
    "redis_options": "pass each of its entries as a keyword",
    "logger": 'remove it and configure logging.getLogger("socketio_core")',
    # Node
    "channelPrefix": "use key",
    "requestsTimeout": "use request_timeout, in seconds",
    "streamName": "use stream",
    "maxLen": "use max_len",
}
"""Options of the adapters of other libraries, and the equivalent here."""
_MISSING: Final = (
    "Redis needs the Python package redis: pip install 'hextrackr-server[redis]', or redis>=5.0.1"
)


def import_redis(module: str) -> Any:
    """Return a module of redis-py. Raises ModuleNotFoundError, with the remedy, without it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_MISSING, name=error.name) from None


def read_url(url: str) -> str:
    """Return a URL as redis-py accepts it: Valkey's schemes become those of Redis.

    Raises ValueError for a path that is not the number of a database, which redis-py ignores.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be a URL such as redis://localhost:6379, got {url!r}")
    scheme, separator, rest = url.partition("://")
    url = f"{_SCHEMES.get(scheme, scheme)}{separator}{rest}"
    path = urlsplit(url).path.strip("/")
    if not url.startswith("unix:") and path and not path.isdecimal():
        raise ValueError(
            f"the path of a Redis URL must be the number of a database, got {path!r}: "
            "use for example redis://localhost:6379/0"
        )
    return url


def create_pool(url: str, options: dict[str, Any]) -> Any:
    """Return a connection pool of redis-py for a URL, which only creates connections here.

    Raises ModuleNotFoundError without redis-py, ValueError for an invalid URL, and TypeError for an
    option, of the URL or a keyword, that connections of redis-py do not have.
    """
    pools = import_redis("redis.asyncio")
    retry = import_redis("redis.asyncio.retry").Retry
    no_backoff = import_redis("redis.backoff").NoBackoff
    url = read_url(url)
    defaults: dict[str, Any] = {
        "protocol": 2,  # replies of subscriptions are arrays; RESP3 has no advantage here
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": retry(no_backoff(), 0),
    }
    pool = pools.ConnectionPool.from_url(url, **(defaults | options))
    if str(pool.connection_kwargs.get("protocol")) != "2":
        raise ValueError("protocol must be 2: remove it from the URL or the options")
    try:
        pool.make_connection()  # which is not opened: an error must not wait for the first connect
    except TypeError as error:
        name = str(error).rpartition(" ")[2].strip("'")
        remedy = _REMEDIES.get(name, "other keywords are those of a connection of redis-py")
        raise TypeError(f"invalid option of a Redis adapter, {error}: {remedy}") from error
    return pool
