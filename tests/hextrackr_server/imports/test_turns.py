"""Tests of the order of imports of several users."""

from __future__ import annotations

import threading
from collections import Counter

from hextrackr_server.imports.turns import Turns


def take(turns: Turns[str]) -> str:
    found = turns.take()
    assert found is not None
    return found[1]


def test_users_alternate_whatever_the_number_of_their_items() -> None:
    turns = Turns[str]()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        turns.add(item[0], item)
    order = []
    for _ in range(6):
        order.append(take(turns))
        turns.done(order[-1][0])
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_user_has_one_running_item_at_a_time() -> None:
    turns = Turns[str]()
    for item in ("a1", "a2", "b1"):
        turns.add(item[0], item)
    assert take(turns) == "a1"
    assert take(turns) == "b1"
    turns.close()
    taken: list[str] = []
    thread = threading.Thread(target=lambda: taken.append(take(turns)))
    thread.start()
    turns.done("b")
    assert taken == []
    turns.done("a")
    thread.join(300)
    assert taken == ["a2"]


def test_closed_turns_return_the_waiting_items_and_then_none() -> None:
    turns = Turns[str]()
    turns.add("a", "a1")
    turns.close()
    assert take(turns) == "a1"
    turns.done("a")
    assert turns.take() is None


def test_threads_take_each_item_once_and_leave_no_user_behind() -> None:
    turns, taken = Turns[str](), Counter[str]()

    def work() -> None:
        while (found := turns.take()) is not None:
            taken[found[1]] += 1
            turns.done(found[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(500):
        turns.add(str(number % 7), str(number))
    turns.close()
    for thread in threads:
        thread.join(300)
    assert taken == Counter(map(str, range(500)))
    assert not turns._waiting
    assert not turns._running
