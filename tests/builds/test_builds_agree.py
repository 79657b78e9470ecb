"""Both builds give the same results and errors for random frames, payloads and packets.

The test process imports the pure build of the clone; a subprocess imports the compiled build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engineio_core.build import build_name
from tests.builds import COMPILED, ROOT, require_build
from tests.builds.replay import Case, describe

Replay = Callable[[Case], str]


@pytest.fixture(scope="module")
def compiled() -> Iterator[Replay]:
    """Start the compiled build, and return the function that runs a case there."""
    assert build_name() == "pure", "the compiled build is the other side"
    require_build()
    # The folder of the clone is not on the path: the program is a file, not a module of it.
    with subprocess.Popen(
        [sys.executable, ROOT / "tests" / "builds" / "replay.py"],
        cwd=COMPILED, env=os.environ | {"PYTHONPATH": str(COMPILED)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        reader, writer = process.stdout, process.stdin

        def replay(case: Case) -> str:
            writer.write(json.dumps(case) + "\n")
            writer.flush()
            answer: str = json.loads(reader.readline())
            return answer

        assert reader.readline() == "compiled\n"
        yield replay
        writer.close()


def frame(first: int, payload: bytes, mask: bytes, is_masked: bool) -> bytes:
    """Return a frame of a client; it is invalid if it has no mask."""
    length = len(payload)
    extended = b"" if length < 126 else length.to_bytes(2, "big")
    second = (0x80 if is_masked else 0) | (length if length < 126 else 126)
    masked = bytes(each ^ mask[index % 4] for index, each in enumerate(payload))
    return bytes((first, second)) + extended + mask + masked


FRAMES = st.builds(
    frame,
    st.sampled_from([0x81, 0x82, 0x81, 0x82, 0x88, 0x89, 0x01, 0x00, 0x80, 0xC1, 0x83]),
    st.one_of(st.binary(max_size=12), st.binary(min_size=120, max_size=140), st.just(b"x" * 1001)),
    st.binary(min_size=4, max_size=4),
    st.sampled_from([True] * 9 + [False]),
)
STREAMS = st.one_of(st.lists(FRAMES, max_size=5).map(b"".join), st.binary(max_size=60))


def divide(stream: bytes, cuts: list[int]) -> list[str]:
    """Divide a stream into chunks, in hexadecimal."""
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    return [stream[a:b].hex() for a, b in zip([0, *ends], ends, strict=False)]


CHUNKS = st.builds(divide, STREAMS, st.lists(st.integers(0, 400), max_size=4))
REQUESTS = st.builds(
    lambda line, headers, body: line + "".join(headers) + "\r\n" + body,
    st.sampled_from([
        "GET /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\n", "POST /a HTTP/1.1\r\n",
        "GET /%31?a=%41+b HTTP/1.1\r\n", "OPTIONS * HTTP/1.1\r\n", "PUT / HTTP/1.0\r\n",
        "GET http://a/ HTTP/1.1\r\n", "GET  / HTTP/1.1\r\n", "GET / HTTP/1.1\n", "\r\n",
    ]),
    st.lists(
        st.sampled_from([
            "Host: a\r\n", "Host: a\r\n", "Content-Length: 2\r\n", "Connection: close\r\n",
            "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n", "Cookie: a=\xff\r\n",
            "content-length: +2\r\n", "Origin: http://a\x00\r\n", " folded\r\n", "A : b\r\n",
            "A: b\n", "A: " + "b" * 1000 + "\r\n",
        ]),
        max_size=4,
    ),
    st.sampled_from(["", "", "40", "2\r\n40\r\n0\r\n\r\n", "\r"]),
)  # fmt: skip
CONNECTIONS = st.builds(
    divide,
    st.lists(REQUESTS, min_size=1, max_size=3).map(lambda texts: "".join(texts).encode("latin-1")),
    st.lists(st.integers(0, 400), max_size=4),
)
BODIES = st.one_of(
    st.binary(max_size=30),
    st.lists(
        st.sampled_from(["4hello", "2", "bAQID", "b*", "bA", "", "9", "4\ud7ff", "6"]), max_size=4
    ).map(lambda records: "\x1e".join(records).encode()),
)  # fmt: skip
TEXTS = st.one_of(
    st.binary(max_size=20),
    st.builds(
        lambda *parts: "".join(parts).encode(),
        st.sampled_from(["0", "1", "2", "3", "4", "5", "6", "7", ""]),
        st.sampled_from(["", "", "1-", "2-", "11-", "0-", "-", "x-"]),
        st.sampled_from(["", "", "/a,", "/a", "/a?b,", "/" + "n" * 600 + ","]),
        st.sampled_from(["", "1", "007", "9007199254740993", "12345678901234567890"]),
        st.sampled_from([
            '["x",1]', '["x",{"_placeholder":true,"num":0}]', '["connect"]', "[]", "[1]", "{}",
            '{"sid":1}', '["x",1e400]', '["x","\\ud800"]', '["x"', "", "null", '["x",NaN]',
        ]),
    ),
)  # fmt: skip
MESSAGES = st.lists(
    st.one_of(
        st.tuples(st.just(True), TEXTS.map(bytes.hex)),
        st.tuples(st.just(False), st.binary(max_size=4).map(bytes.hex)),
    ),
    max_size=4,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(["x", "connect", "disconnect", "error", "", "\ud800", 1, None, 1.5])
EVENTS = st.tuples(
    st.sampled_from(["/", "/a", "a", "/a,b", "/" + "n" * 600]),
    st.one_of(
        st.builds(lambda name, rest: [name, *rest], NAMES, st.lists(VALUES, max_size=2)),
        st.just([]),
    ),
    st.one_of(st.none(), st.integers(-2, 2), st.integers()),
)
CASES = st.one_of(
    st.tuples(st.just("frames"), CHUNKS),
    st.tuples(st.just("requests"), CONNECTIONS),
    st.tuples(st.just("payload"), BODIES.map(bytes.hex)),
    st.tuples(st.just("packets"), MESSAGES),
    st.tuples(st.just("event"), EVENTS),
    st.tuples(
        st.just("header"),
        st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200).map(bytes.hex)),
    ),
)


@given(CASES)
@settings(max_examples=2000, deadline=None)
def test_builds_agree_on_random_input(compiled: Replay, case: Case) -> None:
    assert compiled(case) == describe(json.loads(json.dumps(case)))


@pytest.mark.parametrize("case", [
    ("frames", ["88"]),
    ("frames", ["8180000000008800000000000000"]),  # a close frame without a mask
    ("frames", ["8880", "00000000"]),
    ("frames", ["81fe", "ffff00000000"]),
    ("frames", ["81ff", "ffffffffffffffff", "00000000"]),
    ("frames", ["888100000000aa"]),
    ("requests", [each.hex() for each in (b"G", b"ET / HTTP/1.1\r\nHost: a\r\n\r", b"\n")]),
    ("requests", [(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3).hex()]),
    ("payload", "ff"),
    ("packets", [(True, b'51-["x",{"_placeholder":true,"num":0}]'.hex()), (False, "ff")]),
    ("packets", [(True, b'51-["x",{"_placeholder":true,"num":0}]'.hex()), (True, "ff")]),
    ("packets", [(True, b'2["x",NaN]'.hex())]),
    ("event", ("/", ["x", float("nan")], 2**53)),
])  # fmt: skip
def test_builds_agree_on_corner_case(compiled: Replay, case: Case) -> None:
    assert compiled(case) == describe(json.loads(json.dumps(case)))
