"""Write screenshots of the pages to build/screenshots; with --write, update those of the documents.

The screenshots of README.md and docs/ are in docs/images.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import struct
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.dashboard.support import CLIENT, Browser, running_browser  # noqa: E402
from tests.interop.support import serving  # noqa: E402

FOLDER = ROOT / "build" / "screenshots"
IMAGES = ROOT / "docs" / "images"
#: Images of the documents, and their screenshots.
DOCUMENTED = {"playground.png": "playground-light.png"}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def main() -> None:
    """Take all screenshots, and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="update docs/images")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with running_browser() as browser:
        take_playground(browser)
    for path in sorted(FOLDER.glob("*.png")):
        path.write_bytes(compress(path.read_bytes()))
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KB")
    if options.write:
        IMAGES.mkdir(exist_ok=True)
        for name, source in DOCUMENTED.items():
            (IMAGES / name).write_bytes((FOLDER / source).read_bytes())


def take_playground(browser: Browser) -> None:
    """Take the screenshots of the playground, on the server of its example."""
    spec = importlib.util.spec_from_file_location("example", ROOT / "examples" / "playground.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    os.environ["SOCKETIO_CLIENT_DIST"] = str(CLIENT)
    with serving(example.make_server()) as (url, _):
        browser.run("screenshots.js", "playground", {"url": url, "folder": str(FOLDER)})


def compress(image: bytes) -> bytes:
    """Return a PNG with stronger compression of the same pixels; Chromium prefers speed."""
    chunks, position = [], len(_SIGNATURE)
    while position < len(image):
        (length,) = struct.unpack_from(">I", image, position)
        kind = image[position + 4 : position + 8]
        chunks.append((kind, image[position + 8 : position + 8 + length]))
        position += 12 + length
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    head = [chunk for chunk in chunks if chunk[0] == b"IHDR"]
    packed = [*head, (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in packed
    )


if __name__ == "__main__":
    main()
