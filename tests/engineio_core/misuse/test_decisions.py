"""Checks deny when their result is not a decision: origins, middleware, options and hooks."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from engineio_core import Cors, HttpRequest
from tests.engineio_core.misuse.support import PAGE, return_coroutine
from tests.helpers.client import Server
from tests.helpers.wire import WEBSOCKET_HEADERS


@pytest.mark.parametrize("result", [0, "", "no", (False, "no"), {}, re.match("a", "a")])
def test_origin_check_that_returns_another_type_denies(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(cors=Cors(origins=lambda origin: result))
    response = server.get({"Origin": PAGE}, transport="polling").response()
    assert response.header("Access-Control-Allow-Origin") is None
    headers = {**WEBSOCKET_HEADERS, "Origin": PAGE}
    assert server.get(headers, transport="websocket").response().status == 400
    assert f"must return True or False without await, got {result!r}"[:60] in caplog.text


@pytest.mark.parametrize("result", [False, None])
def test_origin_check_that_returns_false_or_nothing_denies(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(cors=Cors(origins=lambda origin: result))
    response = server.get({"Origin": PAGE}, transport="polling").response()
    assert response.header("Access-Control-Allow-Origin") is None
    headers = {**WEBSOCKET_HEADERS, "Origin": PAGE}
    assert server.get(headers, transport="websocket").response().status == 400
    assert "must return True or False" not in caplog.text


def test_origin_check_that_returns_an_awaitable_denies_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(cors=Cors(origins=return_coroutine))
    for _ in range(2):
        response = server.get({"Origin": PAGE}, transport="polling").response()
        assert response.header("Access-Control-Allow-Origin") is None
        headers = {**WEBSOCKET_HEADERS, "Origin": PAGE}
        assert server.get(headers, transport="websocket").response().status == 400
    logged = [record for record in caplog.records if "must return True or False" in record.message]
    assert len(logged) == 1
    assert logged[0].levelno == logging.ERROR


@pytest.mark.parametrize("result", [False, True, 0, "no", {"status": 401}])
@pytest.mark.parametrize("is_async", [False, True])
async def test_middleware_result_that_is_not_a_response_refuses(
    result: Any, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()

    def plain(request: HttpRequest) -> Any:
        return result

    async def deferred(request: HttpRequest) -> Any:
        return result

    server.engine.use(deferred if is_async else plain)
    connection = server.get(transport="polling")
    for _ in range(3):
        await asyncio.sleep(0)
    assert connection.response().status == 400
    assert not server.engine.sessions
    (record,) = [record for record in caplog.records if "refused" in record.message]
    assert record.levelno == logging.ERROR
    assert "must return None to continue or an HttpResponse" in record.message


@pytest.mark.parametrize("result", [0, 1, {}, object()])
def test_allow_request_result_that_is_not_a_decision_refuses(result: Any) -> None:
    server = Server(allow_request=lambda request: result)
    assert server.get(transport="polling").response().status == 403


@pytest.mark.parametrize("result", [None, "", 7, b"id"])
def test_generated_id_that_is_not_a_text_refuses(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(generate_id=lambda request: result)
    assert server.get(transport="polling").response().status == 400
    assert "generate_id must return a unique string" in caplog.text


def test_hook_that_returns_an_awaitable_is_logged_and_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server()
    server.engine.on("connection", return_coroutine)
    server.open("polling")
    assert "a hook must not return an awaitable: start a task instead" in caplog.text


async def test_future_that_a_hook_returns_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    server.engine.on("connection", lambda session: future)
    server.open("polling")
    assert future.cancelled()
    assert "a hook must not return an awaitable" in caplog.text
