"""The clients that get connection state recovery.

With recovery, each event ends with an offset. Only the official JavaScript client removes it; in
other languages it would be an unexpected argument of the handler. No client names its language in
the handshake, so the User-Agent header decides, unless the query does.
"""

from __future__ import annotations

from socketio_core.handshake import Handshake

# Browsers; polling in Node (socket.io-client 4.8.1: xmlhttprequest-ssl, and the `fetch` transport).
# The WebSocket transport in Node sends no User-Agent.
_BROWSER = "Mozilla/"
_NODE = frozenset({"node-XMLHttpRequest", "node"})


def is_javascript_client(handshake: Handshake) -> bool:
    """Return whether the client expects offsets: `recovery=1` or `0` in the query decides first."""
    wish = handshake.query.get("recovery")
    if wish in {"0", "1"}:
        return wish == "1"
    agent = handshake.headers.get("user-agent", "")
    return agent.startswith(_BROWSER) or agent in _NODE
