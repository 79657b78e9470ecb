"""The smallest Engine.IO server: it sends back each message, text or binary, unchanged.

python examples/engineio_echo.py --port 3000
"""

import argparse

from engineio_core import Cors, Engine, Session


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=float, default=0.3, help="seconds")
    parser.add_argument("--ping-timeout", type=float, default=0.2, help="seconds")
    parser.add_argument("--max-payload", type=int, default=1_000_000, help="bytes")
    parser.add_argument("--eio3", action="store_true", help="accept clients of Engine.IO 3")
    options = parser.parse_args()

    engine = Engine(
        path="/engine.io",
        cors=Cors(origins="*"),
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        max_http_buffer_size=options.max_payload,
        allow_eio3=options.eio3,
    )

    @engine.on("connection")
    def connected(session: Session) -> None:
        session.on_text = session.send_text
        session.on_binary = session.send_binary

    engine.run(options.host, options.port)


if __name__ == "__main__":
    main()
