"""The files of vectors are what their schema says, and nothing stands in them twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .schema import complaints

FOLDER = Path(__file__).parents[2] / "spec-vectors"
SCHEMA = json.loads((FOLDER / "schema.json").read_text())
FILES = {
    path.name: json.loads(path.read_text())
    for path in sorted(FOLDER.glob("*.json"))
    if path.name != "schema.json"
}
CODEC_FILES = {name: file for name, file in FILES.items() if "dialogue" not in file["subject"]}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_the_schema_says(name: str) -> None:
    assert list(complaints(SCHEMA, FILES[name], SCHEMA, name)) == []


def test_the_schema_refuses_what_it_does_not_name() -> None:
    file = json.loads((FOLDER / "socketio-packet.json").read_text())
    file["cases"][0]["colour"] = "red"
    del file["cases"][1]["source"]
    file["cases"][2]["kind"] = "sometimes"
    assert len(list(complaints(SCHEMA, file, SCHEMA, "file"))) == 3


def test_every_subject_has_a_file() -> None:
    subjects = {file["subject"] for file in FILES.values()}
    assert subjects <= set(SCHEMA["properties"]["subject"]["enum"])


def test_no_name_is_given_twice() -> None:
    names = [case["name"] for file in FILES.values() for case in file["cases"]]
    assert len(set(names)) == len(names)


def test_no_wire_is_tested_twice_in_a_file() -> None:
    for name, file in CODEC_FILES.items():
        if file["subject"] == "engineio.handshake":
            continue
        wires = [
            json.dumps([case["kind"], case["wire"], case.get("limits")]) for case in file["cases"]
        ]
        twice = {wire for wire in wires if wires.count(wire) > 1}
        assert not twice, f"{name}: {twice}"


def test_there_are_enough_cases_of_codecs() -> None:
    assert sum(len(file["cases"]) for file in CODEC_FILES.values()) >= 250


def test_every_slug_of_an_error_has_a_case() -> None:
    for definition, subjects in {
        "engineio_packet_case": {"engineio.packet"},
        "engineio_payload_case": {"engineio.payload"},
        "engineio_v3_payload_case": {"engineio.v3-payload"},
        "websocket_frame_case": {"websocket.frame"},
        "socketio_case": {"socketio.packet", "socketio.binary", "socketio.msgpack"},
    }.items():
        used = {
            case["error"]
            for file in FILES.values()
            if file["subject"] in subjects
            for case in file["cases"]
            if "error" in case
        }
        assert used == set(SCHEMA["$defs"][definition]["properties"]["error"]["enum"])
