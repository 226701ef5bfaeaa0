"""Refreshing a standby: snapshot after snapshot, never backwards, never in the way of a failover."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from continuity import ledger as ledgers
from continuity.errors import RestoreRefused
from tests.integration.engine.dag_runs import REGION, Environment
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


@pytest.mark.any_airflow
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


@pytest.mark.any_airflow
def test_a_refresh_that_waited_leaves_a_newer_state_alone(sides: Callable[..., Side]) -> None:
    """Failure covered: while a refresh waits for its turn a newer state is restored, and gives way to the older one."""
    source = sides("source")
    target = sides("empty", environment=source.environment)
    source.snapshot(FIRST)
    source.snapshot(LATER)
    target.restore_state(FIRST, standby=stands_by)
    found: list[tuple[ledgers.Ledger, bool]] = []
    late = threading.Thread(target=lambda: found.append(target.restore_state(LATER, standby=stands_by)))
    with target.connection() as other:
        with other.cursor() as cursor:
            ledgers.take_turn(cursor, ledgers.STATE_LOCK)
            late.start()
            until("the refresh waits", lambda: ask(target, WAITS) == [(1,)], 120)
            newer = ledgers.read(cursor)
            assert newer
            newer.snapshot_id = LAST
            ledgers.write(cursor, newer)
        other.commit()
    late.join()
    assert found == [(newer, True)]
    assert ledger_of(target) == (LAST, newer.state_at)


@pytest.mark.any_airflow
def test_the_dag_leaves_the_history_and_stops_at_the_lease(
    sides: Callable[..., Side], lease_table: str, tmp_path: Path
) -> None:
    """Failures covered: a refresh carries the whole history each time, or goes on in the active Region; its runs pile
    up."""
    source = sides("source")
    target = sides("empty", environment=source.environment)
    source.snapshot(FIRST)
    life_goes_on(source, seed=24)
    source.snapshot(LATER)
    airflow = Environment(target, tmp_path)
    (first,) = airflow.run(("continuity_restore", {"snapshot_id": FIRST, "refresh": True}))
    assert first["state"] == "success"
    assert first["returned"]["history"] == {"snapshot_id": FIRST, "rows": 0}
    ask(target, "UPDATE dag_run SET end_date = now() - interval '2 days' WHERE dag_id = 'continuity_restore'")
    (second,) = airflow.run(("continuity_restore", {"snapshot_id": LATER, "refresh": True}))
    assert second["returned"]["state"]["replaced"] is True
    assert ask(target, "SELECT count(*) FROM dag_run WHERE dag_id = 'continuity_restore'") == [(1,)]

    item = {"pk": {"S": "lease"}, "sk": {"S": "lease"}, "holder": {"S": REGION}, "token": {"N": "2"}}
    boto3.client("dynamodb", region_name=REGION).put_item(TableName=lease_table, Item=item)
    source.snapshot(LAST)
    state = ledger_of(target)
    (late,) = airflow.run(("continuity_restore", {"snapshot_id": LAST, "refresh": True}))
    assert late["state"] == "failed"
    assert f"{REGION} holds the lease (token 2)" in airflow.log
    assert ledger_of(target) == state
    (failover,) = airflow.run(("continuity_restore", {"snapshot_id": LAST}))
    assert failover["state"] == "success"
    assert failover["returned"]["history"]["rows"] > 0


def ledger_of(side: Side) -> tuple[str, str]:
    """Which state is there, and since when."""
    with side.connection() as connection, connection.cursor() as cursor:
        found = ledgers.read(cursor)
    assert found
    return found.snapshot_id, found.state_at
