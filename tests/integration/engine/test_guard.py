"""A Region that lost the lease starts nothing new: the guard on real PostgreSQL, run by the real Airflow."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest

from continuity import guard
from continuity.guard import Lease
from tests.integration.engine.dag_runs import REGION, Environment
from tests.integration.engine.oracle import add, ask, everything
from tests.integration.engine.worker import Side

OTHER = "us-west-2"
SNAPSHOT = "20260401T000000Z-00000020"
UNPAUSED = "SELECT dag_id FROM dag WHERE NOT is_paused AND NOT starts_with(dag_id, 'continuity_') ORDER BY 1"
GUARD: tuple[str, dict[str, Any]] = ("continuity_guard", {})


def lease(table: str, holder: str, token: int) -> None:
    item = {"pk": {"S": "lease"}, "sk": {"S": "lease"}, "holder": {"S": holder}, "token": {"N": str(token)}}
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
        return guard.fence(connection, held)
    finally:
        connection.close()


def test_a_region_that_lost_the_lease_is_paused(sides: Callable[..., Side], tmp_path: Path, lease_table: str) -> None:
    """Failure covered: no fencing: the primary is never paused, so a Region that comes back runs everything twice."""
    side = sides("source")
    before = unpaused(side)
    assert before
    add_dag(side, "continuity_x")
    environment = Environment(side, tmp_path)

    lease(lease_table, REGION, 1)
    (alone,) = environment.run(GUARD)
    assert alone["returned"]["guard"] == {"holder": REGION, "paused": 0, "forgotten_runs": 0}
    assert unpaused(side) == before
    assert record(side) is None

    lease(lease_table, OTHER, 2)
    (fenced,) = environment.run(GUARD)
    assert fenced["state"] == "success"
    assert fenced["returned"]["guard"] == {"holder": OTHER, "paused": len(before), "forgotten_runs": 0}
    assert unpaused(side) == []
    assert ask(side, "SELECT is_paused FROM dag WHERE dag_id = 'continuity_x'") == [(False,)]
    first = record(side)
    assert first is not None
    assert (first["holder"], first["token"], first["paused"]) == (OTHER, 2, before)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(first["fenced_at"])).total_seconds()) < 300

    lease(lease_table, REGION, 3)
    (held_again,) = environment.run(GUARD)
    assert held_again["returned"]["guard"]["paused"] == 0
    assert unpaused(side) == [], "bringing the flags back is not the guard's"
    assert record(side) == first


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
    assert (found["token"], found["paused"]) == (4, [])


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


def test_the_record_belongs_to_its_region(sides: Callable[..., Side]) -> None:
    """Failure covered: a restore overwrites Region-specific settings: the record must not cross."""
    source = sides("source")
    fence(source, Lease(OTHER, 2))
    source.snapshot(SNAPSHOT)
    target = sides("empty", environment=source.environment)
    target.restore_state(SNAPSHOT)
    own = "SELECT key FROM variable WHERE starts_with(key, 'continuity_')"
    assert ask(target, own) == [("continuity_restore",)]


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
