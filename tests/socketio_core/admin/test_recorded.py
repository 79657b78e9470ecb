"""Dialogues of the admin UI, recorded with Node and `@socket.io/admin-ui` 0.5.1.

A driver repeats the steps of each recording. The admin receives the same events in the same order,
apart from IDs, times and the values of the handshake. Two differences are intended: packets before
the CONNECT reply wait for it (ARCHITECTURE.md), and changes of `socket.data` are found once per
second, so that the driver waits after each.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from socketio_core import Socket, SocketServer, instrument
from tests.helpers.client import PollingClient, WebSocketClient
from tests.socketio_core.support import TcpServer, join

RECORDED = Path(__file__).parents[2] / "vectors" / "recorded"
RUNS: list[dict[str, Any]] = json.loads((RECORDED / "admin-ui.json").read_text())["runs"]
EVENTS: list[dict[str, Any]] = json.loads((RECORDED / "admin-ui-events.json").read_text())["events"]
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def check(username: str, password: str) -> bool:
    return (username, password) == ("admin", "changeit")


def make_server(label: str) -> SocketServer:
    """Return an application with the handlers of the recorded one."""
    io = SocketServer()
    io.of("/chat")
    instrument(
        io,
        auth=check if label == "development" else False,
        mode="production" if label == "production" else "development",
        read_only=label == "readonly",
        server_id="srv-1",
    )

    @io.on("connection")
    def set_user(socket: Socket) -> None:
        socket.data["user"] = "u1"

    @io.on("ev")
    def reply(socket: Socket, number: int, value: Any) -> str:
        socket.emit("reply", "r")
        return "ok"

    @io.on("binev")
    def reply_binary(socket: Socket, data: bytes) -> None:
        socket.emit("binreply", data)

    @io.on("askme")
    def ask(socket: Socket) -> None:
        socket.emit("q", ack=lambda *args: None)

    @io.on("join")
    def join_room(socket: Socket, room: str) -> None:
        socket.join(room)

    @io.on("bc")
    def broadcast(socket: Socket) -> None:
        io.emit("bcast", 1)
        io.to("room1").emit("toroom", 2)

    @io.on("setdata")
    def set_data(socket: Socket, user: str) -> None:
        socket.data["user"] = user

    @io.on("leave")
    def leave_room(socket: Socket, room: str) -> None:
        socket.leave(room)

    return io


class Driver:
    """An admin over one WebSocket, and the clients of the recording."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.io = make_server(label)
        self.tcp = TcpServer(self.io)
        self.admin = self.tcp.open_websocket()
        self.client: PollingClient | WebSocketClient | None = None
        self.client_id = ""
        self.session_id = ""
        self.others: list[WebSocketClient] = []
        self.steps: dict[str, Callable[[], None]] = {
            "a client connects (polling, then upgrade)": self.connect_client,
            "client emits ev with args and ack": lambda: self.emit('21["ev",1,{"a":1}]'),
            "client emits binary": self.emit_binary,
            "server emits with ack": lambda: self.emit('2["askme"]'),
            "join room1": lambda: self.emit('2["join","room1"]'),
            "server broadcasts": lambda: self.emit('2["bc"]'),
            "data changes": self.change_data,
            "leave room1": lambda: self.emit('2["leave","room1"]'),
            "ui connects a second admin socket: all_sockets with one client present": (
                self.connect_second_admin
            ),
            "new namespace": self.join_chat,
            "client closes": self.leave_chat,
            "wait for stats": lambda: self.wait(2),
        }

    def wait(self, seconds: float = 1.0) -> None:
        self.tcp.clock.advance(seconds)

    def emit(self, packet: str) -> None:
        assert self.client is not None
        self.client.send(packet)

    def connect_client(self) -> None:
        polling = self.tcp.open_polling()
        self.client_id = join(polling)["sid"]
        self.wait()
        polling.packets()
        websocket = polling.upgrade()
        websocket.send_packet("2probe")
        websocket.send_packet("5")
        self.client = websocket
        self.wait()

    def emit_binary(self) -> None:
        self.emit('51-["binev",{"_placeholder":true,"num":0}]')
        assert isinstance(self.client, WebSocketClient)
        self.client.send(b"\x01\x02")

    def change_data(self) -> None:
        data = self.io.sockets[self.client_id].data
        self.emit('2["setdata","u2"]')
        self.wait()
        data["obj"] = {"a": 1}
        self.wait()
        data["obj"]["a"] = 2
        self.wait()

    def connect_second_admin(self) -> None:
        second = self.tcp.open_websocket()
        auth = {"sessionId": self.session_id} if self.session_id else None
        second.send(f"40/admin,{json.dumps(auth or {})}"[1:])
        lists = [each[1] for each in events(second.messages()) if each[0] == "all_sockets"]
        if self.label == "production":
            assert not lists
        else:
            ids = [each["id"] for each in lists[0]]
            assert self.client_id in ids
            assert len(set(ids)) == len(ids)
        second.send("1/admin,")

    def join_chat(self) -> None:
        client = self.tcp.open_websocket()
        join(client, "/chat")
        self.others.append(client)

    def leave_chat(self) -> None:
        self.others.pop().send("1/chat,")

    def play(self, frame: str, recorded_id: str) -> None:
        """Send a recorded frame of the UI with the IDs of this server."""
        frame = frame.replace(recorded_id, self.client_id) if recorded_id else frame
        if '"sessionId"' in frame:
            frame = f'40/admin,{{"sessionId":"{self.session_id}"}}'
        self.admin.send(frame[1:])
        self.tcp.clock.run()

    def received(self) -> list[Any]:
        """Return the CONNECT replies and events that the admin has received."""
        found = events(self.admin.messages())
        for each in found:
            if each[0] == "session":
                self.session_id = each[1]
        return found


def events(messages: list[str | bytes]) -> list[Any]:
    """Return the events of messages as lists; attachments and other packets as they are."""
    found: list[Any] = []
    for message in messages:
        if isinstance(message, bytes):
            found.append(["attachment", message.hex()])
        elif "[" in message and message[0] in "25":
            found.append(json.loads(message[message.index("[") :]))
        else:
            found.append([re.sub(r"\{.*", "{}", message) if message[0] == "0" else message])
    return found


def steps_of(run: dict[str, Any]) -> Iterator[tuple[str, list[str], list[Any]]]:
    """Yield the name, the frames of the UI and the events of the server of each recorded step."""
    name = ""
    sent: list[str] = []
    received: list[Any] = []
    for entry in run["frames"]:
        if "step" in entry:
            yield name, sent, received
            name, sent, received = entry["step"], [], []
        elif entry["from"] == "ui":
            sent.append(entry["frame"])
        elif isinstance(entry["frame"], dict):
            received += events([base64.b64decode(entry["frame"]["binary_b64"])])
        elif entry["frame"][0] == "4":
            received += events([entry["frame"][1:]])
    yield name, sent, received


def normalize(received: list[Any]) -> list[Any]:
    """Return events without statistics, with placeholders for IDs, times and handshakes."""
    ids: dict[str, str] = {}

    def replace(value: Any, key: str = "") -> Any:
        if key == "handshake":
            return sorted(value)
        if isinstance(value, dict):
            return {name: replace(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [replace(each) for each in value]
        if isinstance(value, str) and DATE.fullmatch(value):
            return "<date>"
        if key == "clientId":
            return "<client>"
        if isinstance(value, str) and re.fullmatch(r"[\w-]{20}|[0-9a-f]{16}|[0-9a-f]{32}", value):
            return ids.setdefault(value, f"<id {len(ids)}>")
        return value

    found = [replace(each) for each in received if each[0] != "server_stats"]
    # Node sends the reply to CONNECT behind the first events; here it is first.
    return sorted(found, key=lambda each: not str(each[0]).startswith("0/admin"))


def recorded_client(run: dict[str, Any]) -> str:
    """Return the ID of the client of a recording; the UI names it in its commands."""
    for entry in run["frames"]:
        match = re.search(r'"emit","/","([\w-]{20})"', str(entry.get("frame")))
        if entry.get("from") == "ui" and match is not None:
            return match[1]
    raise AssertionError("the recording has no command")


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["label"])
async def test_admin_receives_the_recorded_events(run: dict[str, Any]) -> None:
    driver = Driver(run["label"])
    for name, sent, recorded in steps_of(run):
        for frame in sent:
            driver.play(frame, recorded_client(run))
        if name in driver.steps:
            driver.steps[name]()
        driver.tcp.clock.run()
        received = driver.received()
        assert normalize(received) == normalize(recorded), name
        statistics = [each for each in received if each[0] == "server_stats"]
        for expected in (each for each in recorded if each[0] == "server_stats"):
            for each in statistics:
                assert each[1].keys() == expected[1].keys()
                assert {key: type(value) for key, value in each[1].items()} == {
                    key: type(value) for key, value in expected[1].items()
                }


@pytest.mark.parametrize("event", EVENTS, ids=lambda each: f"{each['event']}-{each['direction']}")
def test_each_recorded_event_is_part_of_a_dialogue(event: dict[str, Any]) -> None:
    (recorded,) = events([event["frame"][1:]])
    found = [
        each
        for run in RUNS
        for _, sent, received in steps_of(run)
        for each in (*events([frame[1:] for frame in sent]), *received)
    ]
    if event["event"] == "server_stats":
        assert any(each[0] == "server_stats" for each in found)
    else:
        assert normalize([recorded]) in [normalize([each]) for each in found]
