"""Close frames after an error have a code only, like those of the package ws."""

from __future__ import annotations

import pytest

from tests.helpers.client import Server
from tests.helpers.wire import BINARY, CONT, PING, TEXT, client_frame


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (client_frame(TEXT, b"4" + b"x" * 1000), 1009),
        (client_frame(BINARY, b"x" * 1001), 1009),
        (client_frame(TEXT, b"4a", fin=False) + client_frame(CONT, b"x" * 999), 1009),
        (client_frame(TEXT, b"4\xff"), 1007),
        (client_frame(TEXT, b"4a", masked=False), 1002),
        (client_frame(CONT, b"a"), 1002),
        (client_frame(PING, b"", fin=False), 1002),
        (client_frame(0x3, b""), 1002),
        (client_frame(TEXT, b"4a", rsv=4), 1002),
    ],
)
def test_close_frame_after_an_error_has_no_reason_text(frame: bytes, code: int) -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open_websocket()
    client.feed(frame)
    assert client.close_code == code
    assert client.close_frame == code.to_bytes(2, "big")
    assert server.reasons == ["transport error"]
    assert server.closed[0][1]  # the log has the text
