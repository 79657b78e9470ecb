"""Handlers whose functions are not Python functions, but compiled (mypyc, Cython).

Such a function may have no signature that Python can read, and checks its arguments itself.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from engineio_core.callbacks import find_innermost, read_signature
from socketio_core.errors import PayloadValidationError
from socketio_core.handlers.handler import Handler


class CompiledHandler(Handler):
    """A handler that mypyc has compiled: its function checks the types of the arguments itself."""

    __slots__ = ()

    def __init__(self, function: Callable[..., Any], *, takes_socket: bool = True) -> None:
        """Read the signature. Raises TypeError for a function that cannot be a handler."""
        super().__init__(function, takes_socket=takes_socket)
        self.given = -1  # `call` must see the exceptions

    def call(self, socket: Any, data: list[Any]) -> Any:
        """Call the function with the arguments of an event, `[name, *args]`.

        Raises PayloadValidationError, and any exception of the function.
        """
        try:
            return super().call(socket, data)
        except TypeError as error:
            refused = _refused_type(error)
            if refused is None:
                raise
            raise refused from error


class FittingHandler(Handler):
    """A handler whose parameters are unknown, as those of mypyc's coroutines.

    It receives as many of the arguments as it takes. A call with a wrong number raises TypeError
    before the function runs, which a traceback without a frame of the function shows.
    """

    __slots__ = ()

    def call(self, socket: Any, data: list[Any]) -> Any:
        """Call the function with all arguments, or with as many of the first ones as it takes.

        Raises PayloadValidationError for too few, and any exception of the function.
        """
        args = [socket, *data[1:]] if self.takes_socket else data[1:]
        first: TypeError | None = None
        while True:
            try:
                return self.function(*args)
            except TypeError as error:
                has_run = error.__traceback__ is None or error.__traceback__.tb_next is not None
                refused = _refused_type(error)
                if refused is not None:
                    raise refused from error
                if has_run or "argument" not in str(error):
                    raise
                first = first or error
            if len(args) <= self.takes_socket:
                raise PayloadValidationError(f"wrong number of arguments: {first}") from first
            args.pop()


def make_handler(function: Callable[..., Any], *, takes_socket: bool = True) -> Handler:
    """Return the handler of a function. Raises TypeError for one that cannot be a handler."""
    handler = Handler(function, takes_socket=takes_socket)
    if read_signature(function) is None:
        return FittingHandler(function, takes_socket=takes_socket)
    if not hasattr(find_innermost(function), "__code__"):
        return CompiledHandler(function, takes_socket=takes_socket)
    return handler


def _refused_type(error: TypeError) -> PayloadValidationError | None:
    """Return the error for the client if a function of mypyc has refused the type of an argument.

    mypyc 2.4 then names the line of the `def`, in the only frame of the function. An error in the
    body has another line. Without the source file, the error counts as one of the body.
    """
    last = error.__traceback__
    while last is not None and last.tb_frame.f_code in _CALLS:
        last = last.tb_next
    if last is None or last.tb_next is not None or " expected; got " not in str(error):
        return None
    module = last.tb_frame.f_globals.get("__file__")
    if not isinstance(module, str):
        return None
    source = Path(module).with_name(Path(last.tb_frame.f_code.co_filename).name)
    line = linecache.getline(str(source), last.tb_lineno).lstrip()
    if not line.startswith(("def ", "async def ")):
        return None
    return PayloadValidationError(f"wrong type of an argument: {error}")


_CALLS: Final = frozenset(
    {Handler.call.__code__, CompiledHandler.call.__code__, FittingHandler.call.__code__}
)
"""The frames above that of the function."""
