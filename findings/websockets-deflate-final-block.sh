#!/usr/bin/env bash
# websockets: after a compressed message with a final DEFLATE block, all later messages are empty.
#
# RFC 7692, section 7.2.3.4, lets a sender end a message with a block whose BFINAL bit is 1, followed
# by a zero byte. The decoder of websockets 17.4 keeps one zlib object for the connection (context
# takeover, the default) and does not check whether that object has reached its end. zlib ignores all
# input behind a final block. The library therefore delivers every later compressed message as an
# empty one, without an error and without closing the connection. The package ws of Node starts a
# new decoder in this case.
#
# Affected: users of websockets with clients whose compressor ends each message (Z_FINISH), such as
# small or own implementations. Browsers and the usual libraries end messages with Z_SYNC_FLUSH.
# Source: websockets 17.4, extensions/permessage_deflate.py, PerMessageDeflate.decode.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check websockets==17.4
"$work/venv/bin/python" - <<'PYTHON'
import zlib

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode


def compress(text, flush):
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(text) + encoder.flush(flush)


decoder = PerMessageDeflate(False, False, 15, 15)
messages = [
    compress(b"first", zlib.Z_FINISH) + b"\0",
    compress(b"second", zlib.Z_SYNC_FLUSH)[:-4],
    compress(b"third", zlib.Z_SYNC_FLUSH)[:-4],
]
found = [bytes(decoder.decode(Frame(Opcode.TEXT, data, rsv1=True)).data) for data in messages]
print("sent:    ", [b"first", b"second", b"third"])
print("received:", found)
PYTHON
