"""Tests of idempotency keys without a server; `http/ingest` tests them with producers."""

from __future__ import annotations

from typing import Any

import pytest

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.idempotency import KEEP_SECONDS, IdempotencyKeys


class Requests:
    """Requests with keys, whose answers are numbered, and the clock of the keys."""

    def __init__(self, maximum: int = 100) -> None:
        self.now = 1000.0
        self.done = 0
        self.keys = IdempotencyKeys(lambda: self.now, maximum)

    def send(self, producer: str, key: str | None, request: bytes = b"{}") -> int:
        answer: int = self.keys.once(producer, key, request, self._do)["number"]
        return answer

    def _do(self) -> dict[str, Any]:
        self.done += 1
        return {"number": self.done}


def test_request_with_a_key_is_processed_once_per_producer() -> None:
    requests = Requests()
    assert [requests.send("a", "key"), requests.send("b", "key")] == [1, 2]
    assert [requests.send("a", "key"), requests.send("b", "key")] == [1, 2]
    assert requests.send("a", "other") == 3
    assert [requests.send("a", None), requests.send("a", None)] == [4, 5]


def test_key_of_another_request_is_a_conflict_for_its_producer_only() -> None:
    requests = Requests()
    requests.send("a", "key", b"1")
    with pytest.raises(ServiceError) as refusal:
        requests.send("a", "key", b"2")
    assert refusal.value.code is ErrorCode.CONFLICT
    assert requests.send("b", "key", b"2") == 2


def test_answer_is_kept_for_its_time_and_the_oldest_is_dropped_first() -> None:
    requests = Requests(maximum=3)
    for key in "abcd":
        requests.send("p", key)
        requests.now += 1
    assert [requests.send("p", key) for key in "cdb"] == [3, 4, 5]
    requests.now = 1000.0 + 3 + KEEP_SECONDS - 0.5
    assert requests.send("p", "d") == 4
    requests.now += 1
    assert requests.send("p", "d") == 6
