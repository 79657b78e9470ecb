"""Transition tables of the session and of the upgrade."""

from __future__ import annotations

from engineio_core.session_state import (
    SESSION_TRANSITIONS,
    UPGRADE_TRANSITIONS,
    SessionState,
    UpgradeState,
)


def test_every_state_has_a_row() -> None:
    assert set(SESSION_TRANSITIONS) == set(SessionState)
    assert set(UPGRADE_TRANSITIONS) == set(UpgradeState)


def test_only_the_final_states_have_no_transitions() -> None:
    assert [state for state, row in SESSION_TRANSITIONS.items() if not row] == [SessionState.CLOSED]
    assert [state for state, row in UPGRADE_TRANSITIONS.items() if not row] == [UpgradeState.FINAL]


def test_state_hashes_by_identity_without_a_python_call() -> None:
    assert hash(SessionState.OPEN) == object.__hash__(SessionState.OPEN)
    assert SessionState("open") is SessionState.OPEN
