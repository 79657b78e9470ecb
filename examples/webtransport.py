"""A server over WebTransport, with a page that connects to it from Chromium or Firefox.

    pip install '.[webtransport]'
    python examples/webtransport.py --port 3000

Then open http://127.0.0.1:3000. The page starts with polling and changes to WebTransport, or to
WebSocket in a browser without WebTransport.
"""

import argparse
import asyncio
from contextlib import suppress
from typing import Any

from engineio_core.webtransport.certificate import development_certificate
from socketio_core import Socket, SocketServer

PAGE = """<!doctype html>
<title>WebTransport</title>
<pre id="log"></pre>
<script type="module">
  import { io } from "/socket.io/socket.io.esm.min.js";
  const log = (text) => (document.querySelector("#log").textContent += text + "\\n");
  const value = Uint8Array.from(atob("HASH"), (each) => each.charCodeAt(0));
  const socket = io({
    transports: ["polling", "websocket", "webtransport"],
    transportOptions: { webtransport: { serverCertificateHashes: [{ algorithm: "sha-256", value }] } },
  });
  socket.on("connect", async () => {
    log(`connected over ${socket.io.engine.transport.name}`);
    socket.io.engine.on("upgrade", ({ name }) => log(`upgraded to ${name}`));
    log(`ack: ${await socket.emitWithAck("hello", "page")}`);
  });
  socket.on("disconnect", log);
</script>
"""  # noqa: E501


def make_server(certificate_hash: str) -> SocketServer:
    io = SocketServer(transports=["polling", "websocket", "webtransport"])

    async def serve_page(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        body = PAGE.replace("HASH", certificate_hash).encode()
        headers = [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    io.mount(serve_page)

    @io.on("hello")
    def hello(socket: Socket, name: str) -> str:
        return f"hello {name}, over {socket.session.transport.name}"

    return io


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=3000, help="of TCP and UDP")
    parser.add_argument("--certificate", default="build/webtransport", help="a folder")
    options = parser.parse_args()
    certificate = development_certificate(options.certificate)
    async with make_server(certificate.base64) as io:
        await io.listen("127.0.0.1", options.port)
        # Without another port in the options of the page, the client uses that of the page.
        await io.listen_webtransport("127.0.0.1", options.port, ssl=certificate.tls)
        print(f"http://127.0.0.1:{options.port}, until Ctrl-C")
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
