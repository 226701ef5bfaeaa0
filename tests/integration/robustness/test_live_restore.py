"""Restore beside a real Airflow whose configuration unpauses whatever it finds, and whose limits are short."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import sql

from tests.integration.engine.oracle import ask, cursor_on, dated, waiting_for
from tests.integration.engine.rows import EXTRA, Rows
from tests.integration.engine.worker import Side
from tests.integration.robustness.live_airflow import LiveAirflow
from tests.waiting import until

SNAPSHOT = "20260401T000000Z-0000000a"
DAG_IDS = [f"first_{number:03d}" for number in range(500)]
#: How many of them are made visible where time is short: parsing all takes minutes.
FEW = 20
#: Has an interval to catch up with once it goes live; and one whose task was cut off.
LATE, CUT_OFF = DAG_IDS[0], DAG_IDS[1]
#: Metadata DAGs apart, Airflow itself reads and writes nothing there unless somebody maps a task.
SLOW_TABLE = "task_map"
#: A real scheduler reads these: nothing unpleasant in them.
PLAIN: dict[str, Any] = dict.fromkeys(EXTRA)
#: Seconds after which Airflow takes a task without a heartbeat for dead, in each of the ways that versions have.
LIMIT = 20
OPTIONS = {
    "core.dags_are_paused_at_creation": "False",
    "core.default_task_execution_timeout": str(LIMIT),
    "scheduler.scheduler_heartbeat_sec": "2",
    "scheduler.scheduler_zombie_task_threshold": str(LIMIT),
    "scheduler.zombie_detection_interval": "2",
    "scheduler.task_instance_heartbeat_timeout": str(LIMIT),
    "scheduler.task_instance_heartbeat_timeout_detection_interval": "2",
    "workers.min_heartbeat_interval": "2",
    "scheduler.dag_dir_list_interval": "2",
    "scheduler.min_file_process_interval": "2",
    "dag_processor.refresh_interval": "2",
    "dag_processor.min_file_process_interval": "2",
}
DAG_FILE = """
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

try:
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
    from airflow.operators.python import PythonOperator

Path(os.environ["WITNESS"], "{dag_id}.imported").touch()


def act():
    Path(os.environ["WITNESS"], "{dag_id}.acted").touch()


with DAG("{dag_id}", schedule=timedelta(days=1), start_date=datetime.now(timezone.utc) - timedelta(days=9),
         catchup=True, is_paused_upon_creation=False):
    PythonOperator(task_id="act", python_callable=act)
"""


@pytest.fixture
def airflow(sides: Callable[..., Side], lease_table: str) -> Iterator[LiveAirflow]:
    folder = Path(tempfile.mkdtemp(prefix="live-"))
    try:
        yield LiveAirflow(sides("empty"), folder / "airflow", OPTIONS)
    finally:
        shutil.rmtree(folder)


def test_nothing_acts_before_its_state_is_there_and_a_long_restore_survives(
    sides: Callable[..., Side], airflow: LiveAirflow, thorough: bool
) -> None:
    """Failures covered: with DAGs not paused at creation, catch-up fires before the restore; a restore that blocks is
    taken for dead; the restore locks the pools and nothing is scheduled meanwhile."""
    source = sides("empty", environment=airflow.side.environment)
    fill(source)
    source.snapshot(SNAPSHOT)
    runs = user_runs(source)
    airflow.prepare()
    airflow.witness.mkdir()
    for dag_id in DAG_IDS:
        (airflow.dags / f"{dag_id}.py").write_text(DAG_FILE.format(dag_id=dag_id))
    airflow.hide()
    with airflow.running() as runner:
        # -- hidden: nothing is even imported
        wait_for_parses(airflow, times=3)
        assert airflow.marks("imported") == set()
        assert ask(airflow.side, "SELECT dag_id FROM dag WHERE dag_id NOT LIKE 'continuity%%'") == []

        # -- the state takes longer than anything may
        with locked(airflow.side, SLOW_TABLE):
            restore = airflow.trigger(runner, "continuity_restore", snapshot_id=SNAPSHOT)
            until("the restore is at the table", lambda: waiting_for(airflow.side, SLOW_TABLE), 300)
            before = airflow.beats()
            beat = airflow.trigger(runner, "continuity_beat")
            airflow.wait_for_task("continuity_beat", beat, "beat")  # Airflow goes on scheduling
            until(
                "twice the limit",
                lambda: now(airflow.side) - before["SchedulerJob"] > timedelta(seconds=2 * LIMIT),
                300,
            )
            assert airflow.beats()["SchedulerJob"] > before["SchedulerJob"] + timedelta(seconds=LIMIT)
            assert airflow.task("continuity_restore", restore, "state") == ("running", 1)
            assert waiting_for(airflow.side, SLOW_TABLE)
        airflow.wait_for_task("continuity_restore", restore, "state")
        airflow.wait_for_task("continuity_restore", restore, "history")
        assert user_runs(airflow.side) == runs

        # -- visible: parsed, and still nothing acts
        shown = DAG_IDS if thorough else DAG_IDS[:FEW]
        for dag_id in set(DAG_IDS) - set(shown):
            (airflow.dags / f"{dag_id}.py").unlink()
        airflow.ignore_file.unlink()
        until("all are parsed", lambda: parsed(airflow) == len(shown), seconds=900)
        wait_for_parses(airflow, times=2)
        assert user_runs(airflow.side) == runs
        assert ask(airflow.side, "SELECT count(*) FROM dag WHERE dag_id LIKE 'first%%' AND NOT is_paused") == [(0,)]
        assert airflow.marks("acted") == set()

        # -- live: what was due, once
        live = airflow.trigger(runner, "continuity_go_live", snapshot_id=SNAPSHOT, parse_deadline_seconds=1)
        airflow.wait_for_task("continuity_go_live", live, "go_live")
        until("both act", lambda: airflow.marks("acted") == {LATE, CUT_OFF}, 300, seen=lambda: unfinished(airflow.side))
        until("its runs end", lambda: not [run for run in user_runs(airflow.side) if run[2] == "running"], 300)
        wait_for_parses(airflow, times=2)
        assert airflow.marks("acted") == {LATE, CUT_OFF}
        due = 1 if airflow.major == 2 else 2  # Airflow 3 starts a run at its date, Airflow 2 at the end of its day
        assert len(user_runs(airflow.side)) == len(runs) + due
    assert airflow.deaths == [], "a component of Airflow ended"


def fill(source: Side) -> None:
    """What 500 DAGs that ran daily leave: their latest runs, one of them late, one cut off in the middle."""
    with cursor_on(source) as cursor:
        rows = Rows(cursor, seed=1)
        rows.insert("dag_bundle", name="dags-folder", active=True)
        flags = {"is_paused": False, "is_active": True, "is_stale": False, "bundle_name": "dags-folder"}
        limits = {"max_active_tasks": 16, "max_active_runs": 16}
        rows.insert_many("dag", [PLAIN | flags | limits | {"dag_id": dag_id} for dag_id in DAG_IDS])
        for dag_id in DAG_IDS:
            add_latest_run(rows, dag_id, ends_with_its_day=source.airflow_version.startswith("2."))
        # The restore changes the pool that the scheduler locks whenever it queues anything.
        cursor.execute("UPDATE slot_pool SET slots = 64 WHERE pool = 'default_pool'")


def add_latest_run(rows: Rows, dag_id: str, ends_with_its_day: bool) -> None:
    now = datetime.now(UTC)
    day = timedelta(days=1)
    date = now - (2.5 if dag_id == LATE else 0.5) * day
    run = {
        "dag_id": dag_id,
        "run_id": f"scheduled__{date.isoformat()}",
        "state": "running" if dag_id == CUT_OFF else "success",
    }
    interval = {"data_interval_start": date, "data_interval_end": date + day if ends_with_its_day else date}
    times = {"start_date": now, "end_date": None if dag_id == CUT_OFF else now, **interval, **dated(date)}
    rows.insert("dag_run", **PLAIN | run | times, run_type="scheduled", clear_number=0, log_template_id=None)
    version = rows.insert("dag_version", dag_id=dag_id, version_number=1, bundle_name="dags-folder")
    task = {"task_id": "act", "map_index": -1, "try_number": 1, "queue": "default", "priority_weight": 1}
    rows.insert("task_instance", **PLAIN | run | task, dag_version_id=version, pool="default_pool", pool_slots=1)


def user_runs(side: Side) -> list[tuple[str, ...]]:
    query = "SELECT dag_id, run_id, state FROM dag_run WHERE NOT starts_with(dag_id, 'continuity_') ORDER BY 1, 2"
    return ask(side, query)


def unfinished(side: Side) -> list[tuple[Any, ...]]:
    """Unfinished runs with their task instances."""
    query = """SELECT row_to_json(r), row_to_json(t) FROM dag_run r LEFT JOIN task_instance t USING (dag_id, run_id)
        WHERE r.state <> 'success' OR t.state IS DISTINCT FROM 'success'"""
    return ask(side, query)


def parsed(airflow: LiveAirflow) -> int:
    query = (
        "SELECT count(DISTINCT s.dag_id) FROM serialized_dag s JOIN dag d USING (dag_id) WHERE dag_id LIKE 'first%%'"
    )
    return int(ask(airflow.side, query)[0][0])


def wait_for_parses(airflow: LiveAirflow, times: int) -> None:
    """Until the parser has been through the folder so often."""
    query = "SELECT last_parsed_time FROM dag WHERE dag_id = 'continuity_beat'"
    seen: set[object] = set()

    def often_enough() -> bool:
        seen.update(row[0] for row in ask(airflow.side, query) if row[0])
        return len(seen) > times

    until("the folder is parsed", often_enough, 300)


def now(side: Side) -> datetime:
    return ask(side, "SELECT now()")[0][0]


@contextmanager
def locked(side: Side, table: str) -> Iterator[None]:
    """Nobody else gets at the table while the block runs."""
    with cursor_on(side) as cursor:
        cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))
        yield
