#!/usr/bin/env bash
# msgspec: a decoded dataclass loses the defaults of missing fields when it is encoded again.
#
# convert() and decode() create the object of a dataclass without its constructor. For a missing field with a plain
# default, they store nothing in the object: an access finds the value in the class. The encoders of msgspec, and
# orjson, write the stored attributes only. A field with a default_factory, a class with slots, an attrs class and a
# Struct are not affected, and an object of the constructor is not either.
#
# A server that reads a payload as a dataclass and sends the object on therefore omits the field, although
# dataclasses.asdict() of the same object contains it.
#
# Remedy: @dataclass(slots=True), a msgspec.Struct, or dataclasses.replace(value) before the value is encoded.
# Source: msgspec 0.22.0, orjson 3.13.0 on CPython 3.11, Linux.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0 orjson==3.13.0
"$work/venv/bin/python" - <<'PYTHON'
import dataclasses
import sys

import msgspec
import orjson


@dataclasses.dataclass
class Task:
    id: int
    column: str = "open"


decoded = msgspec.json.decode(b'{"id": 1}', type=Task)
print('expected: {"id":1,"column":"open"} from all encoders')
print("constructor, msgspec:", msgspec.json.encode(Task(1)).decode())
print("decoded, msgspec:    ", msgspec.json.encode(decoded).decode())
print("decoded, orjson:     ", orjson.dumps(decoded).decode())
print("decoded, asdict:     ", dataclasses.asdict(decoded))
sys.exit(0 if b"column" not in msgspec.json.encode(decoded) else 1)
PYTHON
