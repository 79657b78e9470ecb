"""WebSocket frames: headers that the server writes and accepts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engineio_core.codec.websocket_frame import BINARY, TEXT, encode_frame, find_header_error
from tests.helpers.wire import parse_frames


@settings(max_examples=100)
@given(st.integers(min_value=0, max_value=70_000), st.sampled_from([TEXT, BINARY]), st.booleans())
def test_frame_header_states_the_payload_length(length: int, opcode: int, rsv1: bool) -> None:
    frames, rest = parse_frames(encode_frame(opcode, b"x" * length, rsv1))
    assert rest == b""
    assert [(f.opcode, len(f.payload), f.fin, f.rsv1) for f in frames] == [
        (opcode, length, True, rsv1)
    ]


def test_frame_header_is_accepted_only_when_rfc_6455_allows_it() -> None:
    for first in range(256):
        for second in range(256):
            opcode, fin = first & 0xF, bool(first & 0x80)
            is_control = opcode >= 8
            is_legal = (
                not first & 0x70
                and opcode in {0, 1, 2, 8, 9, 10}
                and bool(second & 0x80)
                and not (is_control and (not fin or second & 0x7F > 125))
            )
            assert (find_header_error(first, second) is None) == is_legal
