"""Checks of the functions and values that users pass to the server.

Each check raises where the mistake is made, with the rule, the value received and the remedy.
`FOREIGN_NAMES` maps names of the APIs of Node and python-socketio to their equivalents here.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, NoReturn

from engineio_core.callbacks import describe_function, require_parameters, unwrap

LONGEST_TIMEOUT: Final = 3600.0
LONGEST_DURATION: Final = 86_400.0


class _Emitted:
    """The result of `emit`, which sends at once: awaiting it raises TypeError."""

    __slots__ = ()

    def __await__(self) -> NoReturn:
        raise TypeError(
            "emit(), send() and disconnect() take effect at once and must not be awaited: "
            "remove 'await', or use 'await ....emit_with_ack(...)' to wait for an answer"
        )

    def __repr__(self) -> str:
        return "<sent>"


if TYPE_CHECKING:
    EMITTED: Final = None  # `emit` is annotated with None, which type checkers do not let await
else:
    EMITTED: Final = _Emitted()
#: The same object for comparisons in compiled modules, which check values against their types.
SENT: Final[Any] = EMITTED


def is_async(function: Any) -> bool:
    """Return whether a call returns a coroutine."""
    return inspect.iscoroutinefunction(unwrap(function))


def check_runs(role: str, function: Any) -> None:
    """Raise TypeError for a value that is not callable, or whose call would run nothing."""
    if not callable(function):
        raise TypeError(f"{role} must be a function, got {function!r}")
    inner = unwrap(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(
            f"{role} must not be a generator, whose body never runs, got "
            f"{describe_function(function)}: replace 'yield' by 'return', or emit each value"
        )


def check_callback(
    role: str, function: Any, parameters: tuple[str, ...], *, sync_remedy: str | None = None
) -> None:
    """Raise TypeError unless a function can be called with these positional arguments.

    With `sync_remedy`, the function must be a plain one: the text is the remedy for an async one.
    """
    check_runs(role, function)
    if sync_remedy is not None and is_async(function):
        raise TypeError(
            f"{role} must be a plain function, got the async function "
            f"{describe_function(function)}: {sync_remedy}"
        )
    require_parameters(role, function, parameters)


def refuse_awaitable(role: str, result: Any) -> None:
    """Raise TypeError if a plain function returned an awaitable; close a coroutine first."""
    if result is not None and result is not EMITTED and inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(f"{role} must not return an awaitable, got {result!r}: return the value")


def is_refusal(role: str, outcome: Any) -> bool:
    """Return whether the result of a middleware, already awaited, refuses.

    None and True accept, False refuses. Raises TypeError for any other value.
    """
    if outcome is None or outcome is True or outcome is EMITTED:
        return False
    if outcome is False:
        return True
    raise TypeError(
        f"{role} must return None or True to accept and False to refuse, got {outcome!r:.100}"
    )


def check_duration(name: str, seconds: Any, longest: float = LONGEST_TIMEOUT) -> None:
    """Raise ValueError for a duration below 0, or so long that milliseconds are meant."""
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not seconds >= 0:
        raise ValueError(f"{name} must be a number of seconds, 0 or more, got {seconds!r}")
    if seconds > longest:
        raise ValueError(
            f"{name} must be at most {longest:g} seconds, got {seconds!r}: "
            f"did you mean {seconds / 1000:g}?"
        )


def refuse_keywords(names: Any, remedies: dict[str, str]) -> NoReturn:
    """Raise TypeError for keywords that `emit` does not have; the text names the equivalent."""
    name = next(iter(names))
    remedy = remedies.get(name, "pass the arguments of the event by position")
    raise TypeError(f"emit() has no keyword {name!r}: {remedy}")


def refuse_registration(names: Any) -> NoReturn:
    """Raise TypeError for keywords that `on` does not have; the text names the equivalent."""
    name = next(iter(names))
    remedy = ON_KEYWORDS.get(name, "pass the name of the event and the function by position")
    raise TypeError(f"on() has no keyword {name!r}: {remedy}")


def refuse_unmarked(kind: str, name: str, method: Any) -> None:
    """Raise TypeError for a method that python-socketio calls by its name, and `register` not.

    `kind` is the name of the class. Without an error, a check in `on_connect` would never run.
    """
    first = getattr(method, "__code__", None) and method.__code__.co_varnames[1:2]
    if (
        (name.startswith("on_") and first == ("sid",))
        or (name in {"on_connect", "on_disconnect"} and first == ("socket",))
        or (name == "trigger_event" and first == ("event",))
    ):
        raise TypeError(
            f"{kind}.{name} has no mark, so that it would never be called: mark handlers with "
            '@event("name"), whose first parameter is the socket, and check clients in a '
            "middleware, use(f)"
        )


def refuse_thread() -> NoReturn:
    """Raise RuntimeError for a call from another thread than that of the event loop."""
    raise RuntimeError(
        "emit() and disconnect() must be called in the thread of the event loop: from another "
        "thread use loop.call_soon_threadsafe(io.emit, event, *args), and for an answer "
        "asyncio.run_coroutine_threadsafe(socket.emit_with_ack(event, *args), loop)"
    )


EMIT_KEYWORDS: Final = {
    "to": "use .to(room).emit(...); the room of one client is its socket.id",
    "room": "use .to(room).emit(...); the room of one client is its socket.id",
    "skip_sid": "use .except_(socket.id).emit(...), or socket.broadcast.emit(...)",
    "include_self": "use socket.broadcast.emit(...) or socket.to(room).emit(...)",
    "namespace": "use io.of(namespace).emit(...)",
    "callback": "use emit(..., ack=f), or await emit_with_ack(...)",
    "ack": "use the emit of each namespace in `children`",
    "ignore_queue": "use .local.emit(...)",
    "broadcast": "use socket.broadcast.emit(...)",
    "timeout": "use .timeout(seconds).emit_with_ack(...)",
    "volatile": "use .volatile.emit(...)",
    "compress": "use .compress(False).emit(...)",
}
"""Keywords that other libraries know, and the equivalent here."""

ON_KEYWORDS: Final = {
    "namespace": "use io.of(namespace).on(...)",
    "handler": "pass the function by position",
}
"""Keywords of `on` of other libraries, and the equivalent here."""

FOREIGN_NAMES: Final = {
    # python-socketio
    "enter_room": "socket.join(room)",
    "leave_room": "socket.leave(room)",
    "close_room": "io.in_(room).sockets_leave(room)",
    "rooms": "socket.rooms",
    "rooms_of": "socket.rooms",
    "join": "socket.join(room), or io.sockets_join(room) for all clients",
    "leave": "socket.leave(room), or io.sockets_leave(room) for all clients",
    "disconnect": "socket.disconnect(), or io.disconnect_sockets() for all clients",
    "save_session": "socket.data",
    "get_session": "socket.data",
    "session": "socket.data",
    "call": "await socket.timeout(seconds).emit_with_ack(event, *args)",
    "event": '@io.on("name")',
    "register_namespace": 'io.of("/name").register(object)',
    "start_background_task": "asyncio.create_task(coroutine)",
    "sleep": "asyncio.sleep(seconds)",
    "attach": "io.mount(app), or io.run() without an application",
    "get_environ": "socket.handshake",
    "environ": "socket.handshake",
    "sid": "socket.id",
    "transport": "socket.session.transport.name",
    "handlers": "io.on(name, function)",
    "instrument": "instrument(io, auth=...), a function of socketio_core",
    "manager": "socket.namespace.adapter",
    "handle_request": "io.asgi_app() within an ASGI application, or io.run()",
    "trigger_event": "io.on_any(function) or io.on_unhandled(function)",
    "namespace_handlers": "io.namespaces",
    "eio": "io.engine",
    "logger": "logging.getLogger('socketio_core')",
    # Node
    "emitWithAck": "await socket.emit_with_ack(event, *args)",
    "fetchSockets": "await io.fetch_sockets()",
    "allSockets": "await io.fetch_sockets()",
    "socketsJoin": "io.sockets_join(room)",
    "socketsLeave": "io.sockets_leave(room)",
    "disconnectSockets": "io.disconnect_sockets()",
    "serverSideEmit": "io.server_side_emit(event, *args)",
    "serverSideEmitWithAck": "await io.server_side_emit_with_ack(event, *args)",
    "onAny": "socket.on_any(function)",
    "prependAny": "socket.on_any(function, first=True)",
    "offAny": "socket.off_any(function)",
    "onAnyOutgoing": "socket.on_any_outgoing(function)",
    "prependAnyOutgoing": "socket.on_any_outgoing(function, first=True)",
    "offAnyOutgoing": "socket.off_any_outgoing(function)",
    "addListener": "io.on(name, function)",
    "removeListener": "io.off(name, function)",
    "removeAllListeners": "io.off()",
    "prependListener": "io.prepend(name, function)",
    "conn": "socket.session",
    "client": "socket.session",
    "request": "socket.handshake",
    "nsp": "socket.namespace",
    "broadcast": "io.emit(event, *args), or socket.broadcast in a handler",
    "except": "io.except_(room)",
    "clientsCount": "len(io.engine.sessions)",
    "close": "await io.shutdown()",
    "attachApp": "io.mount(app), or io.run() without an application",
    "httpServer": "the result of await io.listen()",
    "encoder": "the option parser",
    "write": "io.send(*args), or socket.send(*args)",
    "in": "io.in_(room)",
    "leaveAll": "socket.leave_all()",
    "disconnected": "not socket.connected",
    "eventNames": "socket.namespace.event_names()",
    "serveClient": "the option serve_client",
    "connectTimeout": "the option connect_timeout",
    "opts": "io.options, or io.engine.options",
    "path": "io.engine.options.path",
    "adapter": "socket.namespace.adapter",
}
"""Names of the APIs of python-socketio and Node, and the equivalent here."""


def add_equivalent(error: AttributeError) -> None:
    """Add a note with the equivalent here to the error of a name of another library."""
    module = type(error.obj).__module__ or ""
    equivalent = FOREIGN_NAMES.get(error.name or "")
    if equivalent is not None and module.partition(".")[0] in {"socketio_core", "engineio_core"}:
        text = f"the equivalent of {error.name!r} here is {equivalent}"
        if text not in getattr(error, "__notes__", ()):
            error.add_note(text)


_PARSER_METHODS: Final[dict[str, tuple[str, ...]]] = {
    "encode": ("packet",),
    "encode_event": ("namespace", "data", "ack_id"),
    "encode_ack": ("namespace", "ack_id", "data"),
    "decoder": (),
}


def check_parser(parser: Any) -> None:
    """Raise TypeError unless `parser` has the methods of a parser."""
    if isinstance(parser, type) or not hasattr(parser, "decoder"):
        raise TypeError(f"parser must be a parser such as MsgpackParser(), got {parser!r}")
    for method, parameters in _PARSER_METHODS.items():
        check_callback(
            f"parser.{method}()", getattr(parser, method, None), parameters,
            sync_remedy="packets are encoded and decoded without await",
        )  # fmt: skip
