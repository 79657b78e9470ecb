"""Sessions over JSONP: an option that is disabled by default."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from tests.helpers.client import Connection, Server
from tests.helpers.wire import Response

FORM = {"content-type": "application/x-www-form-urlencoded"}


def open_session(server: Server) -> str:
    response = server.get(transport="polling", j="3").response()
    found = re.fullmatch(r"___eio\[3\]\((.*)\);", response.text)
    assert found is not None, response.text
    assert response.header("content-type") == "text/javascript; charset=UTF-8"
    packet = json.loads(found[1])
    assert packet[0] == "0"
    sid: str = json.loads(packet[1:])["sid"]
    return sid


def post(server: Server, sid: str, payload: str) -> Response:
    connection: Connection = server.connect()
    target = server.target(transport="polling", sid=sid, j="3")
    connection.request("POST", target, FORM, f"d={quote(payload)}".encode())
    return connection.response()


def test_jsonp_is_disabled_by_default() -> None:
    response = Server().get(transport="polling", j="3").response()
    assert response.text.startswith('0{"sid"')
    assert response.header("content-type") == "text/plain; charset=UTF-8"


def test_jsonp_session_polls_with_scripts_and_posts_forms() -> None:
    server = Server(echo=True, jsonp=True)
    sid = open_session(server)
    poll = server.get(transport="polling", sid=sid, j="4")
    response = post(server, sid, "4hello\\nworld")
    assert (response.status, response.text) == (200, "ok")
    assert response.header("content-type") == "text/html"
    assert server.received == ["hello\nworld"]
    # The number of the handshake counts, as in engine.io 6.6.13.
    assert poll.response().text == '___eio[3]("4hello\\nworld");'


def test_jsonp_session_ends_after_a_form_without_a_payload() -> None:
    server = Server(jsonp=True)
    sid = open_session(server)
    connection = server.connect()
    connection.request("POST", server.target(transport="polling", sid=sid, j="3"), FORM, b"x=1")
    assert connection.response().status == 400
    assert server.reasons == ["parse error"]


def test_closed_jsonp_session_answers_with_a_script() -> None:
    server = Server(jsonp=True)
    sid = open_session(server)
    poll = server.get(transport="polling", sid=sid, j="3")
    assert post(server, sid, "1").text == "ok"
    assert poll.response().text == '___eio[3]("6");'


def test_session_without_the_parameter_is_not_a_jsonp_session() -> None:
    server = Server(jsonp=True)
    assert server.get(transport="polling").response().text.startswith('0{"sid"')
