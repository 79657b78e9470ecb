"""Tests of stored notifications."""

from __future__ import annotations

from hextrackr_server.collaboration.notification_store import Notification, NotificationStore
from tests.hextrackr_server.support import Workbench

NOW = 1_759_000_000_000


def message(number: int, user: str = "7", at: int = NOW) -> Notification:
    return Notification(f"id-{number}", user, f'{{"number":{number}}}', at)


def test_notifications_are_returned_in_order_until_removed(workbench: Workbench) -> None:
    store = NotificationStore(workbench.database, per_user=10, seconds=60)
    for number in (3, 1, 2):
        store.add(message(number))
    store.add(message(4, user="8"))
    assert store.waiting("7", NOW) == [message(3), message(1), message(2)]
    store.remove("id-1")
    store.remove("id-1")
    assert store.waiting("7", NOW) == [message(3), message(2)]
    assert store.waiting("8", NOW) == [message(4, user="8")]


def test_limit_per_user_keeps_the_latest_of_each_user(workbench: Workbench) -> None:
    store = NotificationStore(workbench.database, per_user=2, seconds=60)
    store.add(message(1, user="8"))
    for number in range(2, 7):
        store.add(message(number))
    assert store.waiting("7", NOW) == [message(5), message(6)]
    assert store.waiting("8", NOW) == [message(1, user="8")]


def test_expired_notifications_are_deleted(workbench: Workbench) -> None:
    store = NotificationStore(workbench.database, per_user=2, seconds=60)
    store.add(message(1))
    store.add(message(2, at=NOW + 1))
    assert store.waiting("7", NOW + 60_000) == [message(2, at=NOW + 1)]
    store.delete_expired(NOW + 60_000)
    assert store.waiting("7", NOW) == [message(2, at=NOW + 1)]
    store.add(message(3, user="8", at=NOW + 60_001))
    assert store.waiting("7", NOW) == []


def test_limit_of_all_users_keeps_the_latest(workbench: Workbench) -> None:
    store = NotificationStore(workbench.database, per_user=2, seconds=60, maximum=3)
    for number in range(5):
        store.add(message(number, user=f"user-{number}"))
    kept = [bool(store.waiting(f"user-{number}", NOW)) for number in range(5)]
    assert kept == [False, False, True, True, True]
