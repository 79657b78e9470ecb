"""Accepted differences of our parsers from the official parsers of Node, with the reasons.

The official parsers are `engine.io-parser` 5.2.3, `parser-v3` of engine.io 6.6, `socket.io-parser`
4.2.7 and `socket.io-msgpack-parser` 3.0.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from socketio_core.codec.packet import RESERVED_EVENTS, is_namespace
from tests.interop.parser_results import Result

V4, V3, V3_BINARY = "payload_v4", "payload_v3", "payload_v3_binary"
JSON, MSGPACK, STREAM = "packets_json", "packets_msgpack", "webtransport_frames"
_BASE64_RECORD = re.compile(r"(?:^|[\x1e:])b4?([^\x1e]*)")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*=*")
_ADDRESS_AND_SPACE = re.compile(
    rb"(?:^|\x1e)[0-6](?:[0-9]+-)?(?:/[^,\x1e]*,)?[0-9]*(?:\s|\xef\xbb\xbf|\xc2\xa0|\xe1\x9a|\xe2|\xe3\x80)"
)
_BINARY_WITHOUT_DATA = re.compile(rb"(?:^|\x1e)5[0-9]+-(?:/[^,\x1e]*,?)?[0-9]*(?:$|\x1e)")
_ODD_ATTACHMENTS = re.compile(rb"(?:^|\x1e)[56](?![1-9][0-9]*-)[^-\x1e]*-")
_ISO = re.compile(r"[+-]?[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z")
_LARGE_NUMBER = re.compile(rb"[0-9]{300}|[eE]\+?[0-9]{3}")
_UNDEFINED = {"$undefined": True}


class Difference(NamedTuple):
    """One difference: the parsers that have it, an input that shows it, and its recognition."""

    name: str
    kinds: tuple[str, ...]
    reason: str
    example: bytes
    accepts: Callable[[bytes, Result, Result], bool]


def _refuses(ours: Result, theirs: Result) -> bool:
    """Return whether ours refuses input after packets that Node delivers too."""
    return ours.refused and _with_lists(theirs.packets)[: len(ours.packets)] == ours.packets


def _with_lists(packets: list[Any]) -> list[Any]:
    """Return packets with an empty list for acks without arguments, as ours delivers them."""
    return [[*p[:2], [], p[3]] if p[0] == 3.0 and p[2] == _UNDEFINED else p for p in packets]


def _refuses_where(is_odd: Callable[[bytes], bool]) -> Callable[[bytes, Result, Result], bool]:
    return lambda data, ours, theirs: is_odd(data) and _refuses(ours, theirs)


def _is_not_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False


def _has_odd_base64(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    return any(
        not _BASE64.fullmatch(found) or len(found.rstrip("=")) % 4 == 1
        for found in _BASE64_RECORD.findall(text)
    )


def _walk(value: Any) -> list[Any]:
    """Return a value and all values inside."""
    found = [value]
    for each in found:
        if isinstance(each, list):
            found += each
        elif isinstance(each, dict):
            found += each.values()
    return found


def _has_odd_length(data: bytes) -> bool:
    """Return whether a length in a text payload of revision 3 is not digits."""
    units = data.decode("utf-8", "replace").encode("utf-16-le", "surrogatepass")
    position = 0
    while position < len(units):
        end = units.find(b":\0", position)
        digits = units[position : max(end, position)].decode("utf-16-le", "replace")
        if end < 0 or not re.fullmatch("[0-9]{1,10}", digits, re.ASCII):
            return True
        position = end + 2 + 2 * int(digits)
    return False


def _is_odd_binary_payload(data: bytes) -> bool:
    """Return whether a binary payload of revision 3 has a record that its length does not fit."""
    if not data:
        return True
    position = 0
    while position < len(data):
        end = data.find(b"\xff", position)
        digits = data[position + 1 : max(end, position)]
        if end < 0 or data[position] > 1 or not 0 < len(digits) < 11 or max(digits) > 9:
            return True
        position = end + 1 + int("".join(map(str, digits)))
    return position > len(data)


def _delivers_unknown_type(data: bytes, ours: Result, theirs: Result) -> bool:
    return _refuses(ours, theirs) and ["unknown"] in [each[:1] for each in theirs.packets]


def _delivers_half_pair(data: bytes, ours: Result, theirs: Result) -> bool:
    texts = [each[1] for each in theirs.packets if isinstance(each[1], str)]
    is_half = any(re.search("[\ud800-\udfff]", each) for each in texts)
    return is_half and _refuses(ours, theirs)


def _keeps_data_of_control(data: bytes, ours: Result, theirs: Result) -> bool:
    def without_data(packets: list[Any]) -> list[Any]:
        return [each if each[0] == "4" else each[:1] for each in packets]

    has_data = any(each[0] != "4" and isinstance(each[1], dict) for each in theirs.packets)
    return has_data and (
        without_data(theirs.packets)[: len(ours.packets)] == without_data(ours.packets)
    )


def _without_ids(packets: list[Any]) -> list[Any]:
    return [each[:3] for each in packets]


def _reads_space_as_id(data: bytes, ours: Result, theirs: Result) -> bool:
    known, found = _without_ids(ours.packets), _without_ids(theirs.packets)
    is_equal = known == found and ours.refused == theirs.refused
    return _ADDRESS_AND_SPACE.search(data) is not None and (
        is_equal or (ours.refused and found[: len(known)] == known)
    )


def _has_ack_without_data(data: bytes, ours: Result, theirs: Result) -> bool:
    return ours == Result(_with_lists(theirs.packets), theirs.refused)


def _has_event_without_name(data: bytes, ours: Result, theirs: Result) -> bool:
    later = theirs.packets[len(ours.packets) :][:1]
    is_nameless = bool(later) and later[0][0] == 2.0 and not _is_event(later[0][2])
    return _refuses(ours, theirs) and (is_nameless or _BINARY_WITHOUT_DATA.search(data) is not None)


def _is_event(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], str | float)
        and value[0] not in RESERVED_EVENTS
    )


def _has_infinity(data: bytes, ours: Result, theirs: Result) -> bool:
    return _refuses(ours, theirs) and _LARGE_NUMBER.search(data) is not None


def _has_odd_address(data: bytes, ours: Result, theirs: Result) -> bool:
    """Return whether Node delivers a namespace or an ack id that ours refuses."""
    later = theirs.packets[len(ours.packets) :][:1]
    if not (_refuses(ours, theirs) and later):
        return False
    _, namespace, _, ack_id = later[0]
    is_id = ack_id is None or (isinstance(ack_id, float) and 0 <= ack_id < 10**15)
    return not is_namespace(namespace) or not is_id


def _has_odd_placeholder(data: bytes, ours: Result, theirs: Result) -> bool:
    return (
        _refuses(ours, theirs) and b"_placeholder" in data and _UNDEFINED in _walk(theirs.packets)
    )


def _is_similar(ours: Any, theirs: Any) -> bool:
    """Compare values of MessagePack, where ours has no `undefined`, and dates as JSON has them."""
    if ours == theirs or (ours is None and theirs == _UNDEFINED):
        return True
    if isinstance(theirs, dict) and "$date" in theirs:
        return ours is None or (isinstance(ours, str) and _ISO.fullmatch(ours) is not None)
    if isinstance(theirs, list) and theirs[:1] == [-1.0] and len(theirs) == 2:
        # The extension of timestamps, which notepack.io 2 does not support.
        return ours is None or "$date" in ours or _ISO.fullmatch(str(ours)) is not None
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_is_similar, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_is_similar(ours[k], theirs[k]) for k in ours)
    return False


def _has_other_values(data: bytes, ours: Result, theirs: Result) -> bool:
    return ours.refused == theirs.refused and _is_similar(ours.packets, theirs.packets)


def _accepts_no_data(data: bytes, ours: Result, theirs: Result) -> bool:
    return theirs.refused and not ours.refused and ours.packets[0][2] in ([], _UNDEFINED)


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "text that is not UTF-8",
        (V4, V3, STREAM, JSON, MSGPACK),
        "Node replaces invalid bytes by U+FFFD, which changes the data of the client silently",
        b"4\xff",
        _refuses_where(_is_not_text),
    ),
    Difference(
        "characters that are not base64",
        (V4, V3),
        "Node skips them; the packet would contain other bytes than the client has sent",
        b"bA",
        _refuses_where(_has_odd_base64),
    ),
    Difference(
        "lengths that are not digits",
        (V3,),
        "Node converts the length like JavaScript, with white space, signs and exponents",
        b" 1:2",
        _refuses_where(_has_odd_length),
    ),
    Difference(
        "half of a surrogate pair",
        (V3,),
        "the length ends within a character; Node delivers half of it",
        b"2:4\xf0\x9f\x98\x80",
        _delivers_half_pair,
    ),
    Difference(
        "unknown packet type",
        (V3, V3_BINARY),
        "Node delivers binary packets of unknown types without a type",
        b"2:b9",
        _delivers_unknown_type,
    ),
    Difference(
        "data of binary control packets",
        (V3, V3_BINARY),
        "only messages have binary data; ours ignores that of other packets",
        b"4:b2AA",
        _keeps_data_of_control,
    ),
    Difference(
        "records that their length does not fit",
        (V3_BINARY,),
        "Node takes the rest of the body, any flag but 0 as binary, and an empty body as valid",
        b"\x01\x09\xff\x04a",
        _refuses_where(_is_odd_binary_payload),
    ),
    Difference(
        "packets before an invalid record",
        (V3_BINARY,),
        "Node splits the whole body first; ours delivers the packets before the error, as Node "
        "does in all other payloads",
        b"\x01\x02\xff\x04a\x01",
        lambda data, ours, theirs: ours.refused and theirs.refused and not theirs.packets,
    ),
    Difference(
        "white space as ack id",
        (JSON,),
        "JavaScript converts white space to 0; for ours it belongs to the JSON",
        b'2 ["foo"]',
        _reads_space_as_id,
    ),
    Difference(
        "ack without arguments",
        (JSON,),
        "Node delivers `undefined`, ours an empty list: callbacks receive no arguments in both",
        b"312",
        _has_ack_without_data,
    ),
    Difference(
        "message without a type",
        (JSON,),
        "Node converts nothing and white space to 0, CONNECT",
        b"",
        _refuses_where(lambda data: any(not each[:1].strip() for each in data.split(b"\x1e"))),
    ),
    Difference(
        "event without a name",
        (JSON, MSGPACK),
        "the protocol requires a name; the MessagePack parser of Node checks no names at all, and "
        "reserved ones are events of the server itself",
        b"2",
        _has_event_without_name,
    ),
    Difference(
        "numbers that no float holds",
        (JSON,),
        "Node reads Infinity, which has no JSON form and could not be sent to other clients",
        b'2["a",1e999]',
        _has_infinity,
    ),
    Difference(
        "namespaces and ack ids beyond the limits",
        (JSON, MSGPACK),
        "ours limits namespaces to 512 characters that begin with a slash, and ack ids to 15 "
        "digits, which are exact in JavaScript",
        b'21000000000000000["foo"]',
        _has_odd_address,
    ),
    Difference(
        "numbers of attachments that are not digits",
        (JSON,),
        "Node converts the number like JavaScript, with exponents and white space",
        b'51e0-["a"]',
        _refuses_where(lambda data: _ODD_ATTACHMENTS.search(data) is not None),
    ),
    Difference(
        "placeholders with a fraction",
        (JSON,),
        "Node reads an attachment that does not exist, `undefined`",
        b'51-["hello",{"_placeholder":true,"num":0.5}]\x1ebworld',
        _has_odd_placeholder,
    ),
    Difference(
        "values without a form in JSON",
        (MSGPACK,),
        "ours reads `undefined` as None, dates beyond the year 9999 as text as in JSON, and "
        "timestamps (extension -1) as dates, which notepack.io 2 does not support",
        b"\x83\xa4type\x02\xa4data\x92\xa1a\xd4\x00\x00\xa3nsp\xa1/",
        _has_other_values,
    ),
    Difference(
        "nil or nothing as data",
        (MSGPACK,),
        "clients of other implementations write nil where the official one writes `undefined`",
        b"\x83\xa4type\x03\xa2id\x01\xa3nsp\xa1/",
        _accepts_no_data,
    ),
)


def describe() -> str:
    """Return the table of the differences for docs/fuzzing.md."""
    lines = ["| input | parsers | reason |", "|---|---|---|"]
    lines += [
        f"| {each.name} | {', '.join(f'`{kind}`' for kind in each.kinds)} | {each.reason} |"
        for each in DIFFERENCES
    ]
    return "\n".join(lines)
