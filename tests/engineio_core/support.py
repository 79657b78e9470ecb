"""Helpers for the tests of handshakes and admission."""

from __future__ import annotations

from tests.helpers.wire import Response


def refusal(response: Response) -> tuple[int, int, str]:
    """Return status, code and message of a refused request."""
    assert response.header("Content-Type") == "application/json"
    return response.status, response.json["code"], response.json["message"]
