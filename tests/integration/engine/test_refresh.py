"""Refreshing a standby: snapshot after snapshot, never backwards, never in the way of a failover."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from continuity import ledger as ledgers
from continuity.errors import RestoreRefused
from tests.integration.engine.oracle import ask, everything
from tests.integration.engine.test_replace import FIRST, LATER, assert_holds, life_goes_on, what_stays
from tests.integration.engine.worker import Side
from tests.waiting import until

LAST = "20260403T000000Z-000000a4"
WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"


def stands_by() -> None:
    """Another Region holds the lease."""


def refuse() -> None:
    raise RestoreRefused("us-east-1 holds the lease")


def test_the_newest_state_stays_until_a_failover_goes_live_with_it(sides: Callable[..., Side]) -> None:
    """Failures covered: an older snapshot, restored late, replaces a newer one; a failover restores again what is
    there, or finds rows of a snapshot before."""
    source = sides("source")
    target = sides("empty", environment=source.environment)
    before = what_stays(target)
    source.snapshot(FIRST)
    ledger, already = target.restore_state(FIRST, standby=stands_by)
    assert (ledger.replaced, already) == (False, False)
    life_goes_on(source, seed=6)
    source.snapshot(LATER)
    ledger, already = target.restore_state(LATER, standby=stands_by)
    assert (ledger.replaced, already) == (True, False)
    assert ask(target, "SELECT count(*) FROM trigger") == [(0,)]
    there = everything(target)
    ledger, already = target.restore_state(FIRST, standby=stands_by)
    assert (ledger.snapshot_id, already) == (LATER, True)
    ledger, already = target.restore_state(LATER)
    assert (ledger.snapshot_id, already) == (LATER, True)
    assert everything(target) == there
    assert target.restore_history(LATER) > 0
    assert_holds(source, target, LATER, before)
    with pytest.raises(RestoreRefused, match=f"{LATER} was restored into this environment already"):
        target.restore_state(FIRST, standby=stands_by)


def test_a_refresh_that_comes_too_late_leaves_a_failover_alone(sides: Callable[..., Side]) -> None:
    """Failure covered: a refresh that waited for its turn replaces what a failover restored meanwhile, or leaves half
    of it deleted."""
    source = sides("source")
    target = sides("empty", environment=source.environment)
    source.snapshot(FIRST)
    life_goes_on(source, seed=22)
    source.snapshot(LATER)
    life_goes_on(source, seed=23)
    source.snapshot(LAST)
    target.restore_state(FIRST, standby=stands_by)
    taken = threading.Event()
    refused: list[str] = []

    def refresh() -> None:
        try:
            target.restore_state(LAST, standby=lambda: refuse() if taken.is_set() else None)
        except RestoreRefused as error:
            refused.append(str(error))

    late = threading.Thread(target=refresh)
    with target.connection() as failover:
        with failover.cursor() as cursor:
            ledgers.take_turn(cursor, ledgers.STATE_LOCK)
            late.start()
            until("the refresh waits", lambda: ask(target, WAITS) == [(1,)], 120)
            taken.set()
        failover.commit()
    late.join()
    assert refused == ["us-east-1 holds the lease"]
    ledger, already = target.restore_state(LATER)
    assert (ledger.snapshot_id, ledger.replaced, already) == (LATER, True, False)
    state = everything(target)
    with pytest.raises(RestoreRefused, match="holds the lease"):
        target.restore_state(LAST, standby=refuse)
    assert everything(target) == state
