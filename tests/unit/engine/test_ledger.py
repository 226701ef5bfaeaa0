"""What may be replaced: the decision a restore begins with."""

from __future__ import annotations

from typing import Any

import pytest

from continuity import ledger as ledgers
from continuity.errors import ContinuityError, RestoreRefused
from continuity.ledger import Ledger

OLD, NEW = "20260401T000000Z-000000a1", "20260402T000000Z-000000a2"
WANTED = Ledger(NEW, "env", "us-east-1", "")


def ledger(**values: Any) -> Ledger:
    return Ledger(**{"snapshot_id": OLD, "environment": "env", "region": "us-east-1", "state_at": "then", **values})


@pytest.mark.parametrize(
    ("found", "by_itself"),
    [
        (None, False),
        (ledger(), True),
        (ledger(mode="portable"), True),
        (ledger(state_at=""), True),
        (ledger(snapshot_id=NEW, state_at=""), True),
        (ledger(snapshot_id=NEW), False),
    ],
)
def test_what_never_acted_gives_way_by_itself(found: Ledger | None, by_itself: bool) -> None:
    """Failure covered: what ran is lost; or nothing can be restored after a restore that failed in the middle."""
    assert ledgers.must_replace(found, WANTED, replace=False) is by_itself
    assert ledgers.must_replace(found, WANTED, replace=True) is True


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (ledger(live=True), f"{OLD} was restored into this environment already, so {NEW} cannot be"),
        (ledger(by_rest=True, mode="portable"), f"{OLD} was restored into this environment already"),
        (ledger(snapshot_id=NEW, mode="portable"), "in portable mode already, so it cannot be in full mode"),
    ],
)
def test_what_may_have_acted_gives_way_where_that_is_said(found: Ledger, said: str) -> None:
    with pytest.raises(RestoreRefused, match=f'{said}.* or delete what this one holds: restore with "replace": true'):
        ledgers.must_replace(found, WANTED, replace=False)
    assert ledgers.must_replace(found, WANTED, replace=True) is True


@pytest.mark.parametrize(
    ("found", "done"),
    [
        (None, False),
        (ledger(snapshot_id=NEW), True),
        (ledger(snapshot_id=NEW, live=True), True),
        (ledger(snapshot_id=NEW, mode="portable"), False),
        (ledger(snapshot_id=NEW, state_at=""), False),
        (ledger(), False),
    ],
)
def test_only_its_own_state_in_its_own_mode_is_done(found: Ledger | None, done: bool) -> None:
    assert ledgers.is_done(found, WANTED) is done


def test_no_snapshot_is_taken_of_what_is_half_deleted() -> None:
    with pytest.raises(ContinuityError, match=f"snapshot {OLD} is to replace what this environment held"):
        ledgers.refuse_half_restored(ledger(state_at=""))


@pytest.mark.parametrize(
    ("found", "newer"),
    [
        (None, False),
        (ledger(), True),
        (ledger(snapshot_id=NEW), True),
        (ledger(snapshot_id=NEW, state_at=""), False),
        (ledger(snapshot_id=NEW, live=True), False),
        (ledger(snapshot_id=NEW, mode="portable"), False),
    ],
)
def test_a_refresh_never_goes_back(found: Ledger | None, newer: bool) -> None:
    wanted = Ledger("20260331T000000Z-000000a0", "env", "us-east-1", "")
    assert ledgers.is_newer(found, wanted) is newer
    assert ledgers.is_newer(found, Ledger(NEW, "env", "us-east-1", "")) is False
