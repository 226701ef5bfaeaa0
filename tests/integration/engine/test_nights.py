"""Night after night: drained, snapshotted, restored into a new database, live; every row is compared each morning.

Real schedulers are in the tests of `robustness` and in the rehearsal of a night. Here the days are played: what a night
cut off runs again, and each day brings a run. No clock is scaled: a night is as long as it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from continuity.drain import InDatabase, drain
from continuity.settings import DrainConf
from tests.integration.engine.oracle import EXECUTING, add, ask, assert_restores, dated, is_airflow_2
from tests.integration.engine.worker import Side

#: The long matrices run a fortnight.
MANY_SEEDS, NIGHTS, FEW_NIGHTS = 100, 14, 2
FLAGS = "SELECT dag_id, is_paused FROM dag WHERE starts_with(dag_id, 'dag_') ORDER BY 1"
COUNTS = """SELECT (SELECT count(*) FROM dag_run WHERE starts_with(dag_id, 'dag_')),
    (SELECT count(*) FROM task_instance WHERE starts_with(dag_id, 'dag_')),
    (SELECT count(*) FROM xcom WHERE starts_with(dag_id, 'dag_'))"""
HIGHEST = "SELECT (SELECT max(id) FROM log), (SELECT max(id) FROM dag_run WHERE NOT starts_with(run_id, 'day_'))"
AGES = """SELECT run_id, now() - start_date FROM dag_run
    WHERE state = 'running' AND start_date IS NOT NULL AND starts_with(dag_id, 'dag_')"""


def test_nights_do_not_add_up(sides: Callable[..., Side], pytestconfig: pytest.Config) -> None:
    """Failures covered: a flag is lost a night, and in the end every DAG is disabled; what is timed drifts a little
    each night until it times out; rows are lost or doubled one by one; ids, attempts or snapshots grow without end."""
    nights = NIGHTS if int(pytestconfig.getoption("--seeds")) >= MANY_SEEDS else FEW_NIGHTS
    side = sides("source")
    flags, counts, executing = ask(side, FLAGS), ask(side, COUNTS)[0], in_flight(side)
    began, ages = now(side), dict(ask(side, AGES))
    highest = ask(side, HIGHEST)[0]
    sizes = []
    for night in range(nights):
        snapshot_id = f"202604{night + 1:02}T000000Z-0000000a"
        with side.connection() as connection:
            drain(InDatabase(connection), DrainConf(0, "snapshot"), poll_seconds=0.01)
            assert all(paused for _, paused in ask(side, FLAGS))
            side.proven_snapshot(snapshot_id)
            InDatabase(connection).put_back()  # to be compared with: the environment is gone otherwise
        morning = sides("empty", environment=side.environment)
        assert_restores(side, morning, snapshot_id)
        side = morning
        assert ask(side, FLAGS) == flags, "no DAG is left disabled"
        assert ask(side, COUNTS)[0] == (counts[0] + night, *counts[1:])
        assert all(later <= first for later, first in zip(ask(side, HIGHEST)[0], highest, strict=True)), "ids are kept"
        sizes.append(size(side, snapshot_id))
        start_again(side, executing)
        assert in_flight(side) == executing
        run = {"dag_id": "dag_0", "run_id": f"day_{night}", "run_type": "scheduled", "state": "success"}
        add(side, "dag_run", {**run, **dated(datetime.now(UTC)), "end_date": datetime.now(UTC)})
    aged = dict(ask(side, AGES))
    assert aged.keys() <= ages.keys()
    assert aged, "nothing is timed"
    for run_id, age in aged.items():
        assert timedelta() <= age - ages[run_id] <= now(side) - began, f"{run_id} gained or lost time"
    assert max(sizes) <= min(sizes) * 1.2, "a night is stored as any other; how many are kept, retention says"


def now(side: Side) -> datetime:
    found: datetime = ask(side, "SELECT now()")[0][0]
    return found


def in_flight(side: Side) -> list[tuple[Any, ...]]:
    """What executes, and the number of its attempt; of Airflow 2 without backfills, which nobody takes up."""
    driven = "AND NOT starts_with(run_id, 'backfill')" if is_airflow_2(side) else ""
    query = f"""SELECT dag_id, run_id, task_id, map_index, state, try_number FROM task_instance
        WHERE state = ANY (%s) AND starts_with(dag_id, 'dag_') {driven} ORDER BY 1, 2, 3, 4"""  # noqa: S608
    return ask(side, query, list(EXECUTING))


def start_again(side: Side, executing: list[tuple[Any, ...]]) -> None:
    """What a scheduler does with what a night cut off."""
    for dag_id, run_id, task_id, map_index, state, attempt in executing:
        ask(
            side,
            "UPDATE task_instance SET state = %s, try_number = %s"
            " WHERE (dag_id, run_id, task_id, map_index) = (%s, %s, %s, %s) AND state IS NULL",
            *(state, attempt, dag_id, run_id, task_id, map_index),
        )


def size(side: Side, snapshot_id: str) -> int:
    """Bytes of a snapshot."""
    prefix = side.store.key(snapshot_id, "")
    pages = side.client("s3").get_paginator("list_objects_v2").paginate(Bucket=side.bucket, Prefix=prefix)
    return sum(stored["Size"] for page in pages for stored in page["Contents"])
