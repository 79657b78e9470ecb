"""The namespaces of a server: finds, creates and drops them."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, final

from engineio_core.clock import Clock
from engineio_core.http.message import HttpRequest
from socketio_core.codec.packet import is_namespace
from socketio_core.counts import UNKNOWN_NAMESPACE, ServerCounts
from socketio_core.handlers.dispatch import Dispatch
from socketio_core.misuse import check_callback, refuse_awaitable
from socketio_core.namespace import Namespace, ParentNamespace, canonical_name, matcher
from socketio_core.options import ServerOptions

logger = logging.getLogger("socketio_core")

# A name with one of these is meant as a pattern, or has a query, which clients do not send with it.
_NOT_IN_NAMES: Final = re.compile(r"[?*^\\]")

Match = Callable[[str, dict[str, Any]], Any]


class ConnectObserver(Protocol):
    """An instrument that follows connect attempts."""

    def connect_started(self, request: HttpRequest) -> Any:
        """Note a CONNECT packet; return the argument of the other methods."""

    async def connect_running(self, started: Any, work: Coroutine[Any, Any, None]) -> None:
        """Await the work of an attempt."""

    def connect_ended(self, started: Any, label: str, outcome: str, socket_id: str) -> None:
        """Note the outcome, one of `counts.CONNECT_OUTCOMES`."""


@final
class NamespaceDirectory:
    """The namespaces and parent namespaces of a server."""

    __slots__ = (
        "_parents",
        "_patterns",
        "_recovery_grace",
        "by_name",
        "clock",
        "connect_observer",
        "counts",
        "dispatch",
        "listeners",
        "options",
        "undescribed",
    )

    def __init__(
        self,
        options: ServerOptions,
        clock: Callable[[], Clock],
        dispatch: Dispatch,
        recovery_grace: float,
    ) -> None:
        self.options = options
        self.clock = clock
        self.dispatch = dispatch
        self.by_name: dict[str, Namespace] = {}
        self.listeners: list[Callable[[Namespace], Any]] = []
        self.counts = ServerCounts()
        self.connect_observer: ConnectObserver | None = None
        self.undescribed: set[str] = set()
        """The names of namespaces that do not belong to the application: those of the admin UI."""
        self._recovery_grace = recovery_grace
        self._parents: list[ParentNamespace] = []
        self._patterns: dict[re.Pattern[str], ParentNamespace] = {}

    def get_or_create(self, name: str) -> Namespace:
        """Return the namespace of a name; create it on first use."""
        name = canonical_name(name)
        if not is_namespace(name):
            raise ValueError(
                f"the name of a namespace must be short and without ',' and control characters, "
                f"got {name!r:.100}"
            )
        if _NOT_IN_NAMES.search(name):
            raise ValueError(
                f"the name of a namespace must not contain '?', '*', '^' or '\\', got {name!r}: "
                "use io.of(re.compile(...)) for a pattern, and socket.handshake.query for a query"
            )
        namespace = self.by_name.get(name)
        if namespace is None:
            namespace = self._create(name, self._parent_by_pattern(name))
        return namespace

    def get_or_create_parent(self, match: re.Pattern[str] | Match) -> ParentNamespace:
        """Return the parent namespace of a pattern; create a new one for a function."""
        if not isinstance(match, re.Pattern):
            if not callable(match):
                raise TypeError(
                    "the argument of of() is not a name or a compiled pattern, so it "
                    f"must be a function, got {match!r}"
                )
            check_callback("the function of of()", match, ("name", "auth"))
            parent = ParentNamespace(match, self.options.parser)
        elif not isinstance(match.pattern, str):
            raise TypeError(f"the pattern of of() must be text, got {match!r}: remove the b")
        elif match in self._patterns:
            return self._patterns[match]
        else:
            parent = self._patterns[match] = ParentNamespace(matcher(match), self.options.parser)
        self._parents.append(parent)
        parent._label = self._describe(parent, len(self._parents))
        return parent

    def _parent_by_pattern(self, name: str) -> ParentNamespace | None:
        for pattern, parent in self._patterns.items():
            if pattern.fullmatch(name):
                return parent
        return None

    def _create(self, name: str, parent: ParentNamespace | None) -> Namespace:
        namespace = Namespace(
            name, self.options, self.clock, self.dispatch, self.counts, self._drop_child,
            recovery_grace=self._recovery_grace, parent=parent,
        )  # fmt: skip
        if parent is not None:
            namespace._label = parent._label
            parent._adopt(namespace)
        self.by_name[name] = namespace
        if name != "/":
            for listener in self.listeners:
                try:
                    refuse_awaitable("a listener of on_new_namespace", listener(namespace))
                except Exception:
                    logger.exception("a listener of new namespaces failed")
        return namespace

    def by_description(self) -> dict[str, Namespace | ParentNamespace]:
        """Return the namespaces by name, and the parent namespaces by their pattern or function."""
        found: dict[str, Namespace | ParentNamespace] = {
            name: each
            for name, each in self.by_name.items()
            if each._parent is None and name not in self.undescribed
        }
        return found | {parent._label: parent for parent in self._parents}

    def _describe(self, parent: ParentNamespace, number: int) -> str:
        patterns = {parent: pattern.pattern for pattern, parent in self._patterns.items()}
        return patterns.get(parent, f"(dynamic {number})")

    async def find(self, name: str, auth: dict[str, Any]) -> Namespace | None:
        """Return the namespace that a client requests; None if there is none for the client."""
        if name in self.by_name:
            return self.by_name[name]
        for parent in self._parents:
            decision = parent._matches(name, auth)
            if inspect.isawaitable(decision):
                decision = await decision
            if name in self.by_name:  # created for another client in the meantime
                return self.by_name[name]
            refuse_awaitable("the function of of()", decision)
            if decision is not None and not isinstance(decision, bool):
                raise TypeError(f"the function of of() must return True or False, got {decision!r}")
            if decision:
                if len(parent.children) < self.options.max_child_namespaces:
                    return self._create(name, parent)
                logger.warning(
                    "namespace %.100r is refused: %s already has max_child_namespaces=%d "
                    "namespaces; with cleanup_empty_child_namespaces=True, those without clients "
                    "do not count",
                    name, parent._label, self.options.max_child_namespaces,
                )  # fmt: skip
        return None

    def count_connect(self, name: str, outcome: str) -> None:
        """Count a CONNECT packet; unknown names, which clients choose, share one label."""
        self.counts.connects[self.label_of(name), outcome] += 1

    def label_of(self, name: str) -> str:
        """Return the label of a namespace for metrics; UNKNOWN_NAMESPACE if there is none."""
        namespace = self.by_name.get(name)
        return UNKNOWN_NAMESPACE if namespace is None else namespace._label

    def _drop_child(self, namespace: Namespace) -> None:
        """Drop an empty child namespace if the options request it."""
        parent = namespace._parent
        if (
            self.options.cleanup_empty_child_namespaces
            and parent is not None
            and self.by_name.get(namespace.name) is namespace
        ):
            namespace.adapter.close()
            parent.children.pop(namespace.name, None)
            del self.by_name[namespace.name]
