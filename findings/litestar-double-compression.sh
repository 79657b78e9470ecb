#!/usr/bin/env bash
# Litestar: the compression middleware compresses a response that is compressed already.
#
# A handler, or a mounted ASGI application, that sends a response with `Content-Encoding: gzip` is compressed once
# more if CompressionConfig is set and the body has at least `minimum_size` bytes. The response has one
# Content-Encoding header for two encodings, so that clients decode it once and get gzip data. Starlette's
# GZipMiddleware leaves such responses unchanged.
#
# Remedy: CompressionConfig(exclude=["^/path"]) for the paths of these responses.
# Source: litestar 2.25.0, httpx 0.28.1 on CPython 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check litestar==2.25.0 httpx==0.28.1
"$work/venv/bin/python" - <<'PYTHON'
import asyncio
import gzip
import sys

import httpx
from litestar import Litestar, get
from litestar.config.compression import CompressionConfig
from litestar.response import Response

TEXT = bytes(range(256)) * 16


@get("/file", media_type="application/octet-stream")
async def file() -> Response[bytes]:
    headers = {"Content-Encoding": "gzip"}
    return Response(gzip.compress(TEXT), headers=headers, media_type="application/octet-stream")


async def main() -> int:
    app = Litestar([file], compression_config=CompressionConfig(backend="gzip", minimum_size=10))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        response = await client.get("/file", headers={"Accept-Encoding": "gzip"})
    print("expected: the text after one decoding")
    print("Content-Encoding:", response.headers.get_list("content-encoding"))
    print("decoded once:    ", "the text" if response.content == TEXT else "gzip data")
    print("decoded twice:   ", gzip.decompress(response.content) == TEXT)
    return 0 if response.content != TEXT else 1


sys.exit(asyncio.run(main()))
PYTHON
