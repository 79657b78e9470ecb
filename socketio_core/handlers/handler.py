"""Handlers: functions with their signatures and payload types, read once at registration.

The dispatch calls handlers and routes their results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import ValidationError

from socketio_core.errors import PayloadValidationError
from socketio_core.handlers.handler_call import HandlerCall
from socketio_core.handlers.signature import EarlyAck, read_handler_signature
from socketio_core.misuse import check_runs
from socketio_core.payloads.check import find_convert, list_problems


class Handler(HandlerCall):
    """A function that is called with a socket (if `takes_socket`) and the arguments of an event."""

    __slots__ = ("_checks", "_convert", "_signature", "ack_name", "is_typed", "least", "most",
                 "takes_socket")  # fmt: skip

    def __init__(self, function: Callable[..., Any], *, takes_socket: bool = True) -> None:
        """Read the signature. Raises TypeError for a function that cannot be a handler."""
        check_runs("a handler", function)
        self.takes_socket = takes_socket
        self._signature = signature = read_handler_signature(function, takes_socket)
        self.ack_name = signature.ack_name
        self.least = signature.least
        self.most = signature.most
        self._checks = [(i, kind) for i, kind in enumerate(signature.kinds) if kind is not Any]
        # The function of msgspec, unless a type contains a model of pydantic
        self._convert = find_convert([*signature.kinds, signature.rest])
        # Whether `prepare` must check the arguments even if their number fits
        self.is_typed = bool(self._checks) or signature.rest is not Any
        # The number of arguments that need no check, after the socket; -1: always call `prepare`
        takes_as_given = takes_socket and self.least == self.most and not self.is_typed
        takes_as_given &= self.ack_name is None
        super().__init__(function, self.least if takes_as_given else -1)

    def call(self, socket: Any, data: list[Any]) -> Any:
        """Call the function with the arguments of an event, `[name, *args]`.

        Raises PayloadValidationError, and any exception of the function.
        """
        args = data[1:]
        if len(args) != self.given:
            args = self.prepare(args)
        return self.function(socket, *args) if self.takes_socket else self.function(*args)

    def call_with_ack(self, socket: Any, data: list[Any], ack: EarlyAck) -> Any:
        """Call the function like `call`, with the ack that it answers itself."""
        args = self.prepare(data[1:])
        named: dict[str, Any] = {str(self.ack_name): ack}
        return (
            self.function(socket, *args, **named)
            if self.takes_socket
            else (self.function(*args, **named))
        )

    def prepare(self, args: list[Any]) -> list[Any]:
        """Convert the arguments to the types of the parameters. Raises PayloadValidationError.

        Surplus arguments are dropped, as in JavaScript.
        """
        given = len(args)
        if given < self.least:
            raise self._too_few(given)
        if given > self.most:
            del args[self.most :]
        index = 0
        try:
            for index, kind in self._checks:
                if index < given:
                    args[index] = self._convert(args[index], kind, str_keys=True)
            if self._signature.rest is not Any:
                for index in range(len(self._signature.kinds), given):
                    args[index] = self._convert(args[index], self._signature.rest, str_keys=True)
        except ValidationError as error:
            raise self._unfit(index, error) from None
        return args

    def _too_few(self, given: int) -> PayloadValidationError:
        missing = self._signature.names[given : self.least]
        return PayloadValidationError(
            f"missing argument{'s' if len(missing) > 1 else ''}: "
            + ", ".join(repr(name) for name in missing),
            [{"path": name, "message": "required"} for name in missing],
        )

    def _unfit(self, index: int, error: ValidationError) -> PayloadValidationError:
        names = self._signature.names
        problems = list_problems(error, names[min(index, len(names) - 1)])
        path, message = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return PayloadValidationError(
            f"{path}: {message}{more}",
            [{"path": path, "message": message} for path, message in problems],
        )
