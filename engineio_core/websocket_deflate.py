"""permessage-deflate of the package `websockets`, corrected for messages with a final block."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import final

from websockets.exceptions import ProtocolError as InvalidFrame
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame


def beyond_final_blocks(negotiated: Sequence[Extension]) -> list[Extension]:
    """Return the extensions of a connection, which read on behind a final block."""
    return [_Deflate(each) if isinstance(each, PerMessageDeflate) else each for each in negotiated]


@final
class _Deflate(PerMessageDeflate):
    """permessage-deflate that reads on behind a final block (RFC 7692, section 7.2.3.4).

    The decoder of the library (17.4) ends at such a block: all later messages would be empty.
    """

    def __init__(self, negotiated: PerMessageDeflate) -> None:
        vars(self).update(vars(negotiated))  # with its compressor, which takes 256 kB

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Decompress a frame. Raises ProtocolError of the library for data behind a final block."""
        decoded = super().decode(frame, max_size=max_size)
        decoder = vars(self).get("decoder")  # without context takeover, only within a message
        if decoder is None or not decoder.eof:
            return decoded
        # The zero byte of the sender and the end that RFC 7692 appends are an empty block, within
        # which a fragment may end.
        following = self._start_decoder()
        try:
            behind = following.decompress(decoder.unused_data, 1)
        except zlib.error:
            behind = b"invalid"
        if behind or following.eof:
            raise InvalidFrame("data behind the final block of a compressed message")
        self.decoder = self._start_decoder() if frame.fin else following
        return decoded

    def _start_decoder(self) -> zlib._Decompress:
        return zlib.decompressobj(wbits=-self.remote_max_window_bits)
