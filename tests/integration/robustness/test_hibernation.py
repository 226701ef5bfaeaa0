"""A real Airflow is drained in the middle of its work, and another one goes on after a long sleep."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import sql

from tests.integration.engine.oracle import ask
from tests.integration.engine.worker import Side
from tests.integration.robustness.live_airflow import LiveAirflow
from tests.local_aws.mwaa.runner import AirflowRunner
from tests.rehearsal.wanted import parsed
from tests.waiting import until

SNAPSHOT = "20260401T000000Z-0000000d"
OPTIONS = {
    "scheduler.scheduler_heartbeat_sec": "2",
    "scheduler.dag_dir_list_interval": "2",
    "scheduler.min_file_process_interval": "2",
    "dag_processor.refresh_interval": "2",
    "dag_processor.min_file_process_interval": "2",
}
UNPAUSED = ("steady", "long", "sensor", "deferred")
#: Longer than what is timed in the DAGs may take.
SLEEP = timedelta(days=2)
#: More than one run of `steady`.
WHILE = timedelta(seconds=25)
DAG_FILE = """
import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

try:
    from airflow.providers.standard.triggers.file import FileTrigger
    from airflow.sdk import DAG, BaseOperator, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task
    from airflow.models import BaseOperator
    from airflow.triggers.file import FileTrigger

WITNESS = Path(os.environ["WITNESS"])
COMMON = {"start_date": datetime(2024, 1, 1, tzinfo=timezone.utc), "catchup": False}


class Wait(BaseOperator):
    def execute(self, context):
        trigger = FileTrigger(filepath=str(WITNESS / "deferred.may_end"), poke_interval=1.0)
        self.defer(trigger=trigger, method_name="go_on", kwargs={"left": "something"})

    def go_on(self, context, event, left):
        time.sleep(1)


with DAG("steady", schedule=timedelta(seconds=10), max_active_runs=2, **COMMON):

    @task
    def act():
        pass

    act()

with DAG("long", schedule=None, **COMMON):

    @task
    def work():
        (WITNESS / "long.working").touch()
        while not (WITNESS / "long.may_end").exists():
            time.sleep(0.5)

    @task
    def after():
        pass

    work() >> after()

with DAG("sensor", schedule=None, dagrun_timeout=timedelta(hours=1), **COMMON):

    # Not more often: Airflow fails what it queues again before its executor has told that the last poke ended.
    @task.sensor(mode="reschedule", poke_interval=15, timeout=3600)
    def wait():
        (WITNESS / "sensor.poked").touch()
        return (WITNESS / "sensor.may_end").exists()

    wait()

with DAG("deferred", schedule=None, **COMMON):
    Wait(task_id="wait", execution_timeout=timedelta(hours=1))

with DAG("paused", schedule=timedelta(seconds=10), **COMMON):

    @task
    def never():
        pass

    never()
"""

Make = Callable[..., Side]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="asleep-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def airflow_in(folder: Path, side: Side) -> LiveAirflow:
    """With the DAGs in it; not started."""
    airflow = LiveAirflow(side, folder, OPTIONS)
    airflow.prepare()
    airflow.witness.mkdir()
    (airflow.dags / "workload.py").write_text(DAG_FILE)
    return airflow


def test_it_is_drained_sleeps_and_goes_on(sides: Make, folder: Path, lease_table: str) -> None:
    """Failures covered: running work is cut off, or new work starts behind the drain's back; DAGs are left disabled;
    sensors and runs time out because of the sleep."""
    source = airflow_in(folder / "source", sides("empty"))
    with source.running() as runner:
        begin_work(source, runner)
        before = flags(source.side)
        assert {dag_id for dag_id, paused in before if not paused} == set(UNPAUSED)
        called_off(source, runner, before)
        drained_as_it_is(source, runner)
        drained_to_the_end(source, runner)
        nothing_starts(source.side)
        brought_back(source, runner, before)
        drained_to_the_end(source, runner)
    assert source.deaths == [], "a component of Airflow ended"
    assert instances(source.side, "sensor")[0][1] in ("up_for_reschedule", "scheduled"), logs(source, "sensor")
    assert instances(source.side, "deferred") == [("wait", "deferred")]
    sleep(source.side)
    assert source.side.snapshot(SNAPSHOT).paused == dict(before)
    pretend_long_ago(source.side)

    target = airflow_in(folder / "target", sides("empty", environment=source.side.environment))
    target.side.restore_state(SNAPSHOT)
    target.side.restore_history(SNAPSHOT)
    with target.running() as runner:
        until("it is parsed", lambda: not parsed(target.side.dsn, ("continuity_go_live",), target.major), 300)
        live = target.trigger(runner, "continuity_go_live", snapshot_id=SNAPSHOT, parse_deadline_seconds=300)
        target.wait_for_task("continuity_go_live", live, "go_live")
        assert flags(target.side) == before
        until("the sensor pokes", lambda: target.marks("poked"), 300, seen=lambda: logs(target, "sensor"))
        (target.witness / "sensor.may_end").touch()
        (source.witness / "deferred.may_end").touch()  # the trigger goes on with what it was told
        for dag_id in ("sensor", "deferred"):
            until(f"{dag_id} ends", partial(has_ended, target.side, dag_id), 300)
            assert instances(target.side, dag_id) == [("wait", "success")]
            assert runs(target.side, dag_id) == ["success"]
        assert record(target.side) is None
    assert target.deaths == [], "a component of Airflow ended"


def begin_work(airflow: LiveAirflow, runner: AirflowRunner) -> None:
    """Until a task runs, a sensor waits for its next time, and a schedule goes on."""
    side = airflow.side
    needed = (*UNPAUSED, "paused", "continuity_drain", "continuity_undrain")
    until("all is parsed", lambda: not parsed(side.dsn, needed, airflow.major), 300)
    for dag_id in UNPAUSED:
        airflow.call(runner, "PATCH", f"/dags/{dag_id}", {"is_paused": False})
    for dag_id in ("long", "sensor", "deferred"):
        airflow.trigger(runner, dag_id)
    until("the long task works", lambda: airflow.marks("working"), 300)
    until("the sensor waits", lambda: ("wait", "up_for_reschedule") in instances(side, "sensor"), 300)
    until("the deferred task waits", lambda: ("wait", "deferred") in instances(side, "deferred"), 300)
    until("the schedule's run", lambda: ("act", "success") in instances(side, "steady"), 300)


def called_off(airflow: LiveAirflow, runner: AirflowRunner, before: list[tuple[Any, ...]]) -> None:
    """Late and told to cancel, it leaves everything as it was."""
    run_id = airflow.trigger(runner, "continuity_drain", minutes=0, when_late="cancel")
    until("it fails", lambda: airflow.task("continuity_drain", run_id, "drain")[0] in ("failed", "success"), 300)
    assert airflow.task("continuity_drain", run_id, "drain")[0] == "failed"
    assert "task instances executed, so 4 DAGs were unpaused again" in airflow.log_of("continuity_drain", run_id)
    assert flags(airflow.side) == before
    assert record(airflow.side) is None
    assert_it_goes_on(airflow)


def drained_as_it_is(airflow: LiveAirflow, runner: AirflowRunner) -> None:
    """Late and told to go on, it names what executes, and leaves the DAGs paused."""
    run_id = airflow.trigger(runner, "continuity_drain", minutes=0, when_late="snapshot")
    airflow.wait_for_task("continuity_drain", run_id, "drain")
    told = returned(airflow.side, "continuity_drain", run_id)
    assert told["paused"] == len(UNPAUSED)
    assert ("long", "work", -1, "running") in [(row[0], *row[2:]) for row in told["executing"]]
    assert [paused for _, paused in flags(airflow.side)] == [True] * (len(UNPAUSED) + 1)


def drained_to_the_end(airflow: LiveAirflow, runner: AirflowRunner) -> None:
    """It waits for what runs, starts nothing new, and takes nothing for paused that an earlier attempt paused."""
    side = airflow.side
    run_id = airflow.trigger(runner, "continuity_drain", minutes=60, when_late="cancel")
    if not airflow.marks("may_end"):
        until("it waits", lambda: "task instances execute" in airflow.log_of("continuity_drain", run_id), 300)
        wait_for(side, WHILE)
        assert airflow.task("continuity_drain", run_id, "drain")[0] == "running"
        assert ("work", "running") in instances(side, "long")
        (airflow.witness / "long.may_end").touch()
    airflow.wait_for_task("continuity_drain", run_id, "drain")
    assert returned(side, "continuity_drain", run_id) == {"paused": len(UNPAUSED), "executing": []}
    assert (record(side) or {})["paused"] == sorted(UNPAUSED)


def nothing_starts(side: Side) -> None:
    began = attempts(side)
    wait_for(side, WHILE)
    assert attempts(side) == began, "something started after the drain"


def brought_back(airflow: LiveAirflow, runner: AirflowRunner, before: list[tuple[Any, ...]]) -> None:
    """Every flag is back, twice is once, and work goes on."""
    side = airflow.side
    assert ("after", "success") not in instances(side, "long")
    first, second = (undrained(airflow, runner) for _ in range(2))
    assert first == {"unpaused": len(UNPAUSED), "missing_dags": []}
    assert second == {"unpaused": 0, "missing_dags": []}
    assert flags(side) == before
    assert record(side) is None
    until("the next task", lambda: ("after", "success") in instances(side, "long"), 300)
    assert_it_goes_on(airflow)


def undrained(airflow: LiveAirflow, runner: AirflowRunner) -> dict[str, Any]:
    run_id = airflow.trigger(runner, "continuity_undrain")
    airflow.wait_for_task("continuity_undrain", run_id, "undrain")
    return returned(airflow.side, "continuity_undrain", run_id)


def assert_it_goes_on(airflow: LiveAirflow) -> None:
    done = len(instances(airflow.side, "steady"))
    until("the schedule goes on", lambda: len(instances(airflow.side, "steady")) > done, 300)


def sleep(side: Side) -> None:
    """Make what is timed as old as it is after the sleep."""
    ask(side, "UPDATE dag_run SET start_date = start_date - %s WHERE state = 'running'", SLEEP)
    timed = {"task_reschedule": ("start_date", "end_date", "reschedule_date")}
    timed["task_instance"] = ("start_date", "trigger_timeout")  # of others these are of no importance
    for table, columns in timed.items():
        for column in columns:
            move = sql.SQL("UPDATE {table} SET {column} = {column} - %s")
            ask(side, move.format(table=sql.Identifier(table), column=sql.Identifier(column)), SLEEP)


def pretend_long_ago(side: Side) -> None:
    """The snapshot was taken before the sleep."""
    manifest = side.store.read_json(SNAPSHOT, "manifest.json")
    manifest["cut_at"] = (datetime.fromisoformat(manifest["cut_at"]) - SLEEP).isoformat()
    side.store.put(SNAPSHOT, "manifest.json", json.dumps(manifest).encode())


# -- what is there -----------------------------------------------------------------------------------------------------


def flags(side: Side) -> list[tuple[Any, ...]]:
    return ask(side, "SELECT dag_id, is_paused FROM dag WHERE NOT starts_with(dag_id, 'continuity_') ORDER BY 1")


def record(side: Side) -> dict[str, Any] | None:
    rows = ask(side, "SELECT val FROM variable WHERE key = 'continuity_drain'")
    return dict(json.loads(rows[0][0])) if rows else None


def instances(side: Side, dag_id: str) -> list[tuple[Any, ...]]:
    return ask(side, "SELECT task_id, state FROM task_instance WHERE dag_id = %s ORDER BY 1, run_id", dag_id)


def runs(side: Side, dag_id: str) -> list[Any]:
    return [state for (state,) in ask(side, "SELECT state FROM dag_run WHERE dag_id = %s", dag_id)]


def logs(airflow: LiveAirflow, dag_id: str) -> str:
    """States of the DAG's task instances, and what these wrote."""
    found = sorted((airflow.folder / "logs" / f"dag_id={dag_id}").rglob("*.log"))
    return "\n".join([str(instances(airflow.side, dag_id)), *(path.read_text()[-3000:] for path in found)])


def has_ended(side: Side, dag_id: str) -> bool:
    return runs(side, dag_id)[0] in ("success", "failed")


def attempts(side: Side) -> list[tuple[Any, ...]]:
    """When each task instance of users began, and each of their runs."""
    began = (
        "SELECT dag_id, run_id, {}, start_date FROM {} WHERE NOT starts_with(dag_id, 'continuity_') ORDER BY 1, 2, 3"
    )
    return [
        row
        for name, key in (("task_instance", "task_id"), ("dag_run", "''"))
        for row in ask(side, began.format(key, name))
    ]


def returned(side: Side, dag_id: str, run_id: str) -> dict[str, Any]:
    """What the only task of the run returned."""
    query = "SELECT value FROM xcom WHERE dag_id = %s AND run_id = %s AND key = 'return_value'"
    value = ask(side, query, dag_id, run_id)[0][0]
    while not isinstance(value, dict):
        value = json.loads(bytes(value) if isinstance(value, memoryview) else value)
    return value


def wait_for(side: Side, how_long: timedelta) -> None:
    """As the database's clock says."""

    def now() -> datetime:
        found: datetime = ask(side, "SELECT now()")[0][0]
        return found

    begun = now()
    until(f"{how_long} have passed", lambda: now() - begun > how_long, 300)
