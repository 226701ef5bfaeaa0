"""A Region that lost the lease starts nothing new: the guard on real PostgreSQL, run by the real Airflow."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest

from continuity import guard, pausing
from continuity import lease as leases
from continuity.errors import HeldElsewhere, LeaseUnreadable
from continuity.lease import Lease
from continuity.live import go_live
from continuity.restore import Target, open_snapshot
from continuity.secrets import FernetKeys
from tests.integration.engine.dag_runs import REGION, Environment
from tests.integration.engine.oracle import add, ask, everything, pretend_parsed, read
from tests.integration.engine.worker import Side
from tests.waiting import until

OTHER = "us-west-2"
SNAPSHOT = "20260401T000000Z-00000020"
UNPAUSED = "SELECT dag_id FROM dag WHERE NOT is_paused AND NOT starts_with(dag_id, 'continuity_') ORDER BY 1"
#: Its lower half, as `pg_locks` shows it.
PAUSING = pausing.LOCK & 0xFFFFFFFF
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
GUARD: tuple[str, dict[str, Any]] = ("continuity_guard", {})


def lease(table: str, holder: str, token: int, live: bool = True, committed: int = 0) -> None:
    item = {"holder": {"S": holder}, "token": {"N": str(token)}, "committed": {"N": str(committed)}}
    item |= {"pk": {"S": "lease"}, "sk": {"S": "lease"}, "live": {"BOOL": live}}
    boto3.client("dynamodb", region_name=REGION).put_item(TableName=table, Item=item)


def record(side: Side) -> dict[str, Any] | None:
    rows = ask(side, "SELECT val FROM variable WHERE key = 'continuity_guard' AND NOT is_encrypted")
    return dict(json.loads(rows[0][0])) if rows else None


def unpaused(side: Side) -> list[str]:
    return [dag_id for (dag_id,) in ask(side, UNPAUSED)]


def add_dag(side: Side, dag_id: str) -> None:
    """A DAG that is not paused, as the parser adds it."""
    limits = {"max_active_tasks": 16, "max_consecutive_failed_dag_runs": 0, "has_task_concurrency_limits": False}
    add(side, "dag", {"dag_id": dag_id, "is_paused": False, "is_stale": False, "bundle_name": "dags-folder", **limits})


def fence(side: Side, held: Lease) -> list[str]:
    connection = psycopg2.connect(side.dsn)
    try:
        return guard.InDatabase(connection, side.parsed()).fence(lambda: held)
    finally:
        connection.close()


def settle(side: Side, held: Lease) -> list[str]:
    with side.connection() as connection:
        return guard.InDatabase(connection, side.parsed()).settle(lambda: held)


def test_a_region_that_lost_the_lease_is_paused(sides: Callable[..., Side], tmp_path: Path, lease_table: str) -> None:
    """Failure covered: no fencing: the primary is never paused, so a Region that comes back runs everything twice."""
    side = sides("source")
    before = unpaused(side)
    assert before
    add_dag(side, "continuity_x")
    environment = Environment(side, tmp_path)

    lease(lease_table, REGION, 1)
    (alone,) = environment.run(GUARD)
    assert alone["returned"]["guard"] == {"holder": REGION, "paused": 0, "given_back": 0, "forgotten_runs": 0}
    assert unpaused(side) == before
    assert record(side) is None

    lease(lease_table, OTHER, 2)
    (fenced,) = environment.run(GUARD)
    assert fenced["state"] == "success"
    assert (fenced["returned"]["guard"]["holder"], fenced["returned"]["guard"]["paused"]) == (OTHER, len(before))
    assert unpaused(side) == []
    assert ask(side, "SELECT is_paused FROM dag WHERE dag_id = 'continuity_x'") == [(False,)]
    first = record(side)
    assert first is not None
    assert (first["holder"], first["token"], first["paused"]) == (OTHER, 2, before)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(first["fenced_at"])).total_seconds()) < 300

    lease(lease_table, REGION, 3, live=False)
    (going_live,) = environment.run(GUARD)
    assert going_live["returned"]["guard"]["given_back"] == 0
    assert record(side) == first

    gone = """UPDATE variable SET val = replace(val, '"paused": [', '"paused": ["gone", ') WHERE key = %s"""
    ask(side, gone, "continuity_guard")
    lease(lease_table, REGION, 3, committed=1)
    (held_again,) = environment.run(GUARD)
    assert held_again["returned"]["guard"]["given_back"] == len(before)
    assert unpaused(side) == before, "the other Region never went live, and gave the lease back"
    assert record(side) is None


def test_what_another_region_did_meanwhile_is_not_run_again(sides: Callable[..., Side]) -> None:
    """Failure covered: the lease comes back after the other Region was live, and the flags with it: all of its work is
    done twice."""
    side = sides("source")
    assert fence(side, Lease(OTHER, 2))
    assert settle(side, Lease(REGION, 3, live=True, committed=2)) == []
    assert unpaused(side) == []
    assert record(side) is None, "who unpauses a DAG now is left alone"


@pytest.mark.any_airflow
def test_a_drained_region_is_brought_back_by_who_drained_it(sides: Callable[..., Side]) -> None:
    side = sides("source")
    before = unpaused(side)
    fence(side, Lease(OTHER, 2))
    ask(
        side,
        """INSERT INTO variable (key, val, is_encrypted)
        VALUES ('continuity_drain', '{"drained_at": "x", "paused": []}', false)""",
    )
    back = Lease(REGION, 3, live=True)
    assert settle(side, back) == []
    assert record(side) is not None
    ask(side, "DELETE FROM variable WHERE key = 'continuity_drain'")
    assert settle(side, back) == before


@pytest.mark.any_airflow
def test_a_lease_that_nobody_confirms_pauses_where_the_settings_say_so(
    sides: Callable[..., Side], lease_table: str
) -> None:
    """Failure covered: a Region that is cut off runs on while the other does its work; or it never goes on again."""
    side = sides("source")
    before = unpaused(side)
    settings = replace(side.parsed(), on_lease_unreachable="pause", lease_stale_minutes=5)
    dynamodb = boto3.client("dynamodb", region_name=REGION)
    lease(lease_table, REGION, 3, committed=3)

    def look(age: int | None, table: str = lease_table) -> tuple[int, int]:
        if age is not None:
            mark = {**leases.MARK, "marked_at": {"N": str(int(time.time()) - age)}}
            dynamodb.put_item(TableName=lease_table, Item=mark)
        read = partial(leases.read_lease, dynamodb, replace(settings, lease_table=table))
        with side.connection() as connection:
            watched = guard.watch(guard.InDatabase(connection, settings), read, settings)
        return len(watched.paused), len(watched.given_back)

    assert look(None) == (0, 0), "nobody ever marked it"
    assert look(0) == (0, 0)
    assert look(400) == (len(before), 0)
    found = record(side)
    assert found is not None
    assert (found["holder"], found["token"], found["paused"]) == (REGION, 3, before)
    flags = side.snapshot(SNAPSHOT).paused
    assert [dag_id for dag_id in sorted(flags) if not flags[dag_id]] == before, "a snapshot says what they were before"
    assert look(400) == (0, 0)
    assert look(10) == (0, len(before))
    assert unpaused(side) == before

    assert look(200) == (0, 0)
    with pytest.raises(LeaseUnreadable):
        look(None, "no-such-table")
    assert unpaused(side) == before, "one lost answer"
    with side.connection() as connection:
        place = guard.InDatabase(connection, settings)
        seen = place.seen()
        assert seen is not None
        assert seen.marked_at is not None
        place.remember(replace(seen, marked_at=seen.marked_at - 200))
    with pytest.raises(LeaseUnreadable):
        look(None, "no-such-table")
    assert unpaused(side) == []


@pytest.mark.usually_once
def test_done_again_it_changes_nothing_and_forgets_nothing(sides: Callable[..., Side]) -> None:
    """Failure covered: no fencing: a DAG that somebody unpauses, or that appears later, runs twice all the same."""
    side = sides("source")
    before = unpaused(side)
    assert fence(side, Lease(OTHER, 2)) == before
    state = everything(side)
    assert fence(side, Lease(OTHER, 2)) == []
    assert everything(side) == state

    ask(side, "UPDATE dag SET is_paused = false WHERE dag_id = %s", before[0])
    add_dag(side, "appeared")
    assert fence(side, Lease(OTHER, 2)) == sorted(["appeared", before[0]])
    found = record(side)
    assert found is not None
    assert found["paused"] == sorted([*before, "appeared"])

    assert fence(side, Lease(OTHER, 4)) == []
    found = record(side)
    assert found is not None
    assert (found["token"], found["paused"]) == (2, sorted([*before, "appeared"])), "nobody gave anything back"


@pytest.mark.any_airflow
def test_guards_at_the_same_time_record_everything(sides: Callable[..., Side]) -> None:
    side = sides("source")
    before = unpaused(side)
    guards = [threading.Thread(target=fence, args=(side, Lease(OTHER, 2))) for _ in range(4)]
    for thread in guards:
        thread.start()
    for thread in guards:
        thread.join()
    found = record(side)
    assert found is not None
    assert found["paused"] == before


@pytest.mark.any_airflow
def test_what_went_live_since_the_lease_was_read_is_left_alone(sides: Callable[..., Side], lease_table: str) -> None:
    """Failure covered: a guard that read the lease before it moved pauses what has just gone live."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    side = sides("empty", environment=source.environment)
    side.restore_state(SNAPSHOT)
    pretend_parsed(side, read(source))
    lease(lease_table, OTHER, 2)
    table = partial(leases.read_lease, side.client("dynamodb"), side.parsed())
    assert leases.held_elsewhere(table(), side.parsed()), "the guard's first look"
    lease(lease_table, REGION, 3)
    with side.connection() as live, side.connection() as guarding:
        outcomes: list[list[str]] = []
        guarded = threading.Thread(
            target=lambda: outcomes.append(guard.InDatabase(guarding, side.parsed()).fence(table))
        )

        def check() -> None:
            """Going live has its turn when it asks for the last time."""
            leases.refuse_if_held_elsewhere(table(), side.parsed())
            if ask(side, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s", PAUSING)[0][0]:
                guarded.start()
                until("the guard waits for its turn", lambda: ask(side, WAITING) == [(1,)], 120)

        target = Target(live, FernetKeys(side.fernet_key))
        found = open_snapshot(side.store, side.client("kms"), side.parsed(), SNAPSHOT)
        assert go_live(target, found, side.parsed(), 0, check=check).unpaused == 4
        guarded.join()
    assert outcomes == [[]]
    assert len(unpaused(side)) == 4
    assert record(side) is None


@pytest.mark.any_airflow
def test_going_live_waits_for_the_lease(sides: Callable[..., Side], lease_table: str) -> None:
    """Failure covered: the lease was taken in its home a moment ago, this Region's replica does not show it yet, and
    the guard pauses again what goes live now."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    side = sides("empty", environment=source.environment)
    side.restore_state(SNAPSHOT)
    pretend_parsed(side, read(source))
    found = open_snapshot(side.store, side.client("kms"), side.parsed(), SNAPSHOT)
    looks: list[str] = []

    def check() -> None:
        looks.append("")
        if len(looks) == moves_at:
            lease(lease_table, moves_to, len(looks))
        leases.refuse_if_held_elsewhere(
            leases.read_lease(side.client("dynamodb"), side.parsed()),
            side.parsed(),
        )

    lease(lease_table, OTHER, 1)
    before = everything(side)
    moves_at, moves_to = 3, REGION
    with side.connection() as connection:
        target = Target(connection, FernetKeys(side.fernet_key))
        with pytest.raises(HeldElsewhere, match="us-west-2 holds the lease"):
            go_live(target, found, side.parsed(), 0, check=check)
        assert len(looks) == 1
        assert everything(side) == before

        # It had the lease, and lost it before it went live.
        lease(lease_table, REGION, 1)
        looks.clear()
        moves_at, moves_to = 2, OTHER
        with pytest.raises(HeldElsewhere):
            go_live(target, found, side.parsed(), 0, check=check)
        assert everything(side) == before

        looks.clear()
        moves_at, moves_to = 3, REGION
        document = json.dumps({"holder": OTHER, "token": 1, "fenced_at": "", "paused": ["was_paused"]})
        ask(side, "INSERT INTO variable (key, val, is_encrypted) VALUES ('continuity_guard', %s, false)", document)
        assert go_live(target, found, side.parsed(), 60, poll_seconds=0.05, check=check).unpaused == 4
        assert len(looks) == 4
        assert record(side) is None, "the flags are the snapshot's"


@pytest.mark.any_airflow
def test_a_record_that_somebody_damaged_does_not_keep_the_region_running(sides: Callable[..., Side]) -> None:
    side = sides("source")
    before = unpaused(side)
    ask(side, "INSERT INTO variable (key, val, is_encrypted) VALUES ('continuity_guard', 'gAAAA', true)")
    assert fence(side, Lease(OTHER, 2)) == before
    found = record(side)
    assert found is not None
    assert found["paused"] == before


@pytest.mark.any_airflow
def test_a_lease_that_cannot_be_read_changes_nothing(sides: Callable[..., Side], tmp_path: Path) -> None:
    """Failure covered: any exception in the check itself is "unhealthy": here it would stop all work."""
    assert_told_and_unchanged(sides("source"), tmp_path, "the lease cannot be read from table lease in us-east-1")


@pytest.mark.any_airflow
def test_a_malformed_lease_changes_nothing(sides: Callable[..., Side], tmp_path: Path, lease_table: str) -> None:
    lease(lease_table, "nowhere", 2)
    assert_told_and_unchanged(sides("source"), tmp_path, "lease.holder: 'nowhere' is no Region")


def assert_told_and_unchanged(side: Side, folder: Path, message: str) -> None:
    before = unpaused(side)
    environment = Environment(side, folder)
    (failed,) = environment.run(GUARD)
    assert failed["state"] == "failed"
    assert message in environment.log
    assert unpaused(side) == before
    assert record(side) is None


@pytest.mark.usually_once
def test_the_record_belongs_to_its_region(sides: Callable[..., Side]) -> None:
    """Failure covered: a restore overwrites Region-specific settings: the record must not cross."""
    source = sides("source")
    fence(source, Lease(OTHER, 2))
    source.snapshot(SNAPSHOT)
    target = sides("empty", environment=source.environment)
    target.restore_state(SNAPSHOT)
    own = "SELECT key FROM variable WHERE starts_with(key, 'continuity_')"
    assert ask(target, own) == [("continuity_restore",)]


@pytest.mark.usually_once
def test_a_region_that_lost_the_lease_makes_no_snapshot(
    sides: Callable[..., Side], tmp_path: Path, lease_table: str
) -> None:
    """Failure covered: a snapshot cut after the guard would say that every DAG was paused, and a failover that starts
    again would pick it."""
    side = sides("source")
    lease(lease_table, OTHER, 2)
    environment = Environment(side, tmp_path)
    (failed,) = environment.run(("continuity_snapshot", {"snapshot_id": SNAPSHOT}))
    assert failed["state"] == "failed"
    assert "us-west-2 holds the lease (token 2), not us-east-1" in environment.log
    assert side.store.read_if_present(SNAPSHOT, "manifest.json") is None
