"""Names of options: an unknown keyword raises TypeError with the name or the remedy to use instead.

`options` has the options themselves, with their values and checks.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, TypeVar

Class = TypeVar("Class", bound=type)

_NO_OTHERS: Final[Mapping[str, str]] = MappingProxyType({})

# Options of other servers whose name or form differs here, with the replacement. Names in camel
# case are converted to snake case before the lookup.
OTHER_OPTIONS: Final[Mapping[str, str]] = {
    # engine.io and ws on Node
    "ws_engine": "remove it, there is one WebSocket implementation",
    "destroy_upgrade": "remove it, unhandled upgrades are always closed",
    "destroy_upgrade_timeout": "remove it, unhandled upgrades are always closed",
    "max_payload": "use max_http_buffer_size",
    # python-engineio
    "cors_allowed_origins": "use cors=Cors(origins=...)",
    "cors_credentials": "use cors=Cors(origins=..., credentials=True)",
    "compression_threshold": "use http_compression=HttpCompression(threshold=...)",
    "async_mode": "remove it, the server always uses asyncio",
    "async_handlers": "remove it, coroutine handlers always run concurrently",
    "logger": 'remove it and configure logging.getLogger("engineio_core")',
    "engineio_logger": 'remove it and configure logging.getLogger("engineio_core")',
    "monitor_clients": "remove it, the heartbeat is always on",
    "handle_sigint": "remove it, run() handles SIGINT and listen() does not",
    "cors_origins": "use cors=Cors(origins=...)",
    "origins": "use cors=Cors(origins=...)",
    "engineio_path": "use path",
    "static_files": "remove it and mount an ASGI application that serves them: mount(app)",
    "app": "remove it and call mount(app)",
    # Parameters of listen() and run()
    "host": "pass it to listen() or run()",
    "port": "pass it to listen() or run()",
    "ssl": "pass it to listen() or run()",
    "ssl_context": "pass ssl=... to listen() or run()",
    "certfile": "pass ssl=Tls(certificate=..., key=...) to listen() or run()",
    "keyfile": "pass ssl=Tls(certificate=..., key=...) to listen() or run()",
}


def check_option_names(
    names: Collection[str], known: Collection[str], others: Mapping[str, str]
) -> None:
    """Raise TypeError for an unknown option, with the name or the remedy to use instead.

    `others` maps options of other servers to the remedy.
    """
    for name in names:
        if name in known:
            continue
        # pingInterval -> ping_interval, allowEIO3 -> allow_eio3
        spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        if spelled in others:
            hint = others[spelled]
        elif near := get_close_matches(spelled, known, n=1):
            hint = f"did you mean {near[0]}?"
        else:
            hint = f"the options are {', '.join(sorted(known))}"
        raise TypeError(f"unknown option {name}: {hint}")


def check_keywords(others: Mapping[str, str] = _NO_OTHERS) -> Callable[[Class], Class]:
    """Return a decorator of dataclasses: the constructor rejects unknown keywords.

    The error of the interpreter would not name the keyword that was meant.
    """

    def decorate(kind: Class) -> Class:
        known = tuple(kind.__dataclass_fields__)  # type: ignore[attr-defined]  # a dataclass by contract
        create = kind.__init__  # type: ignore[misc]  # replaced below

        @functools.wraps(create)
        def checked(self: Any, *values: Any, **options: Any) -> None:
            if values:
                raise TypeError(
                    f"{kind.__name__} takes its options by name, got {values[0]!r}: "
                    f"write {kind.__name__}({known[0]}=...)"
                )
            check_option_names(options, known, others)
            create(self, **options)

        kind.__init__ = checked  # type: ignore[misc]
        return kind

    return decorate
