"""A typed example program: a board that several users edit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from socketio_core import (
    AckError,
    AckTimeoutError,
    BroadcastAnswers,
    ConnectError,
    Cors,
    DisconnectedError,
    Namespace,
    Recovery,
    RemoteSocket,
    Socket,
    SocketServer,
    event,
    server_event,
)


class MoveTask(msgspec.Struct):
    project: int
    task: int
    column: str


class Moved(msgspec.Struct):
    task: int
    column: str


@dataclass
class Player:
    name: str
    score: int = 0


class Users:
    async def from_token(self, token: str) -> str | None:
        return {"t": "alice"}.get(token)


users = Users()

io = SocketServer(
    cors=Cors(origins=["https://app.example"]),
    recovery=Recovery(max_disconnection_duration=120),
)
board = io.of("/board")
organizations = io.of(re.compile(r"/org-\d+"))


@server_event("task:moved")
def task_moved(moved: Moved) -> None:
    """Report a moved task."""


@server_event("confirm")
def confirmation(question: dict[str, str]) -> str:
    raise NotImplementedError


board.declare(task_moved, confirmation)


@board.use
async def authenticate(socket: Socket) -> None:
    user = await users.from_token(socket.handshake.auth.get("token", ""))
    if user is None:
        raise ConnectError("Unauthorized", data={"code": "UNAUTHORIZED"})
    socket.data["user"] = user


@board.use_event
def limit(socket: Socket, event: list[Any]) -> None:
    if len(event) > 10:
        raise AckError("TOO_MANY", "too many arguments")


@board.on("connection")
async def connected(socket: Socket) -> None:
    await socket.join("lobby")


@board.on("task:move")
async def move(socket: Socket, payload: MoveTask) -> Moved:
    moved = Moved(payload.task, payload.column)
    await socket.join(f"project:{payload.project}")
    socket.to(f"project:{payload.project}").emit(task_moved, moved)
    return moved


@board.on("disconnecting")
def leaving(socket: Socket, reason: str) -> None:
    socket.to(socket.rooms).emit("left", socket.data["user"], reason)


@board.on("confirm")
async def confirm(socket: Socket) -> str:
    try:
        answer: str = await socket.timeout(5).emit_with_ack(confirmation, {"q": "sure?"})
    except (AckTimeoutError, DisconnectedError):
        return "no answer"
    return answer


game = io.of("/game")


@game.use
def set_player(socket: Socket[Player]) -> None:
    socket.data = Player(socket.handshake.auth["name"])


@game.on("score")
def score(socket: Socket[Player], points: int) -> int:
    socket.data.score += points
    return socket.data.score


async def names() -> list[str]:
    players: list[Socket[Player] | RemoteSocket] = await game.fetch_sockets()
    return [
        player.data["name"] if isinstance(player, RemoteSocket) else player.data.name
        for player in players
    ]


async def vote(project: int, ballot: dict[str, str]) -> tuple[list[Any], list[str]]:
    answers: BroadcastAnswers = (
        await board.to(f"project:{project}").timeout(3).emit_with_ack("vote", ballot)
    )
    return answers.responses, answers.missing


class Chat:
    @event("post")
    async def post(self, socket: Socket, text: str) -> int:
        socket.broadcast.emit("posted", text)
        return len(text)


organizations.register(Chat())


@io.on_error
def log_error(error: BaseException, socket: Socket, event: str) -> None:
    print(f"{event} of {socket.id}: {error}")


@io.on_new_namespace
def welcome(namespace: Namespace) -> None:
    namespace.emit("welcome")


# A decorator returns the function unchanged: mypy checks each of these calls.
async def call_handlers(socket: Socket) -> None:
    moved: Moved = await move(socket, MoveTask(1, 2, "done"))
    text: str = await confirm(socket)
    leaving(socket, moved.column + text)
    limit(socket, ["x"])
    await authenticate(socket)


if __name__ == "__main__":
    io.run(port=3000)
