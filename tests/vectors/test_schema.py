"""The vector files match their schema and contain no case twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .schema import find_errors

FOLDER = Path(__file__).parents[2] / "spec-vectors"
SCHEMA = json.loads((FOLDER / "schema.json").read_text())
FILES = {
    path.name: json.loads(path.read_text())
    for path in sorted(FOLDER.glob("*.json"))
    if path.name != "schema.json"
}
CODEC_FILES = {name: file for name, file in FILES.items() if "dialogue" not in file["subject"]}


@pytest.mark.parametrize("name", FILES)
def test_file_matches_the_schema(name: str) -> None:
    assert list(find_errors(SCHEMA, FILES[name], SCHEMA, name)) == []


def test_schema_rejects_unknown_keys_missing_keys_and_unknown_values() -> None:
    file = json.loads((FOLDER / "socketio-packet.json").read_text())
    file["cases"][0]["color"] = "red"
    del file["cases"][1]["source"]
    file["cases"][2]["kind"] = "sometimes"
    assert len(list(find_errors(SCHEMA, file, SCHEMA, "file"))) == 3


def test_every_subject_has_a_file() -> None:
    subjects = {file["subject"] for file in FILES.values()}
    assert subjects <= set(SCHEMA["properties"]["subject"]["enum"])


def test_names_are_unique_in_all_files() -> None:
    names = [case["name"] for file in FILES.values() for case in file["cases"]]
    assert len(set(names)) == len(names)


def test_wires_are_unique_in_a_file() -> None:
    for name, file in CODEC_FILES.items():
        if file["subject"] == "engineio.handshake":
            continue
        wires = [
            json.dumps([case["kind"], case["wire"], case.get("limits")]) for case in file["cases"]
        ]
        duplicates = {wire for wire in wires if wires.count(wire) > 1}
        assert not duplicates, f"{name}: {duplicates}"


def test_codec_cases_are_numerous() -> None:
    assert sum(len(file["cases"]) for file in CODEC_FILES.values()) >= 250


def test_every_error_slug_has_a_case() -> None:
    for definition, subjects in {
        "engineio_packet_case": {"engineio.packet"},
        "engineio_payload_case": {"engineio.payload"},
        "engineio_v3_payload_case": {"engineio.v3-payload"},
        "engineio_jsonp_case": {"engineio.jsonp"},
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
