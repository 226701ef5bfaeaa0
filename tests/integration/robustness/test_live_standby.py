"""A hot standby beside a real Airflow: what of users' code records that it was called is never called."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.engine.oracle import ask
from tests.integration.engine.worker import Side
from tests.integration.robustness.live_airflow import LiveAirflow
from tests.integration.robustness.test_live_restore import now, user_runs, wait_for_parses
from tests.local_aws.mwaa.runner import AirflowRunner
from tests.rehearsal.wanted import parsed
from tests.waiting import until

FIRST, LATER = "20260401T000000Z-0000000f", "20260402T000000Z-0000000f"
OPTIONS = {
    "scheduler.scheduler_heartbeat_sec": "2",
    "scheduler.trigger_timeout_check_interval": "2",
    "scheduler.orphaned_tasks_check_interval": "2",
    "scheduler.parsing_cleanup_interval": "2",
    "scheduler.dag_dir_list_interval": "2",
    "scheduler.min_file_process_interval": "2",
    "dag_processor.refresh_interval": "2",
    "dag_processor.min_file_process_interval": "2",
}
DAGS = ("waits", "works")
#: What records itself: imports of the DAG file, triggers (and their end), tasks, their `on_kill`, callbacks.
KINDS = ("imported", "triggered", "cleaned", "acted", "killed", "told")
#: What is timed in one run has so much left at the cut.
LEFT = timedelta(seconds=30)
RECORDERS = """
import asyncio
import os
from pathlib import Path

from airflow.triggers.base import BaseTrigger, TriggerEvent

WITNESS = Path(os.environ["WITNESS"])


def record(who, kind):
    (WITNESS / f"{who}.{kind}").touch()


class Recording(BaseTrigger):
    def __init__(self, who):
        super().__init__()
        self.who = who

    def serialize(self):
        return "recorders.Recording", {"who": self.who}

    async def run(self):
        record(self.who, "triggered")
        while not (WITNESS / f"{self.who}.may_end").exists():
            await asyncio.sleep(0.5)
        yield TriggerEvent(True)

    async def cleanup(self):
        record(self.who, "cleaned")
"""
DAG_FILE = """
import time
from datetime import datetime, timedelta, timezone

from recorders import WITNESS, Recording, record

try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:
    from airflow import DAG
    from airflow.models import BaseOperator

record("file", "imported")


def tell(context):
    record(context["run_id"], "told")


class Wait(BaseOperator):
    def execute(self, context):
        trigger = Recording(context["run_id"])
        self.defer(trigger=trigger, method_name="go_on", timeout=timedelta(hours=1))

    def go_on(self, context, event):
        record(context["run_id"], "acted")

    def on_kill(self):
        record(self.task_id, "killed")


class Work(BaseOperator):
    def execute(self, context):
        record(context["run_id"], "acted")
        while not (WITNESS / f"{context['run_id']}.may_end").exists():
            time.sleep(0.5)

    def on_kill(self):
        record(self.task_id, "killed")


ON = {"on_success_callback": tell, "on_failure_callback": tell}
COMMON = {"start_date": datetime(2024, 1, 1, tzinfo=timezone.utc), "catchup": False, "schedule": None, **ON}

with DAG("waits", dagrun_timeout=timedelta(hours=1), **COMMON):
    Wait(task_id="wait", retries=1, on_retry_callback=tell, **ON)

with DAG("works", **COMMON):
    Work(task_id="work", **ON)
"""
Make = Callable[..., Side]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="standby-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def airflow_in(folder: Path, side: Side) -> LiveAirflow:
    """With the DAGs in it, and what they record by where every process can import it; not started."""
    airflow = LiveAirflow(side, folder, OPTIONS)
    airflow.prepare()
    airflow.witness.mkdir()
    (airflow.folder / "plugins").mkdir()
    (airflow.folder / "plugins" / "recorders.py").write_text(RECORDERS)
    (airflow.dags / "workload.py").write_text(DAG_FILE)
    return airflow


def test_nothing_of_a_hot_standby_reaches_outside(sides: Make, folder: Path, lease_table: str) -> None:
    """Failures covered: the triggerer of a standby runs triggers of the primary; a time-out of what waits, or of its
    run, passes there and is told; a refresh kills something; a replaced trigger is cleaned up."""
    source = airflow_in(folder / "source", sides("empty"))
    with source.running() as runner:
        late, waits, works = begin_work(source, runner)
        source.side.snapshot(FIRST)
        more = defer(source, runner)
        run_short(source.side, late)
        source.side.snapshot(LATER)
        runs = user_runs(source.side)
        ask(source.side, "UPDATE task_instance SET state = 'failed' WHERE run_id = %s", works)
        until("it is killed there", lambda: source.marks("killed") == {"work"}, 300)
        cut = now(source.side)

    standby = airflow_in(folder / "standby", sides("empty", environment=source.side.environment))
    standby.hide()
    with standby.running() as runner:
        everything = ("continuity_restore", "continuity_go_live")
        until("the metadata DAGs are parsed", lambda: not parsed(standby.side.dsn, everything, standby.major), 300)
        for snapshot_id in (FIRST, LATER):
            refresh = standby.trigger(runner, "continuity_restore", snapshot_id=snapshot_id, refresh=True)
            for task in ("state", "history"):
                standby.wait_for_task("continuity_restore", refresh, task)
            until("its time is over", lambda: now(standby.side) > cut + 2 * LEFT, 300)
            go_round(standby)
            assert {kind: standby.marks(kind) for kind in KINDS} == {kind: set() for kind in KINDS}
            assert ask(standby.side, "SELECT count(*) FROM trigger") == [(0,)]
        assert user_runs(standby.side) == runs
        assert {standby.task("waits", run_id, "wait")[0] for run_id in (late, waits, more)} == {"deferred"}

        # -- live, all of it acts: what recorded nothing could have
        standby.ignore_file.unlink()
        live = standby.trigger(runner, "continuity_go_live", snapshot_id=LATER, parse_deadline_seconds=300)
        standby.wait_for_task("continuity_go_live", live, "go_live")
        until("triggers run", lambda: standby.marks("triggered") >= {waits, more}, 300)
        until("what was cut off runs again", lambda: works in standby.marks("acted"), 300)
        until("what is late is told", lambda: late in standby.marks("told"), 300)
        (standby.witness / f"{waits}.may_end").touch()
        until("it goes on", lambda: {waits} <= standby.marks("acted") & standby.marks("told"), 300)
        assert standby.marks("imported") == {"file"}
    assert standby.deaths == [], "a component of Airflow ended"


def begin_work(airflow: LiveAirflow, runner: AirflowRunner) -> tuple[str, str, str]:
    """Two runs that wait, and one that works."""
    everything = (*DAGS, "continuity_restore")
    until("all is parsed", lambda: not parsed(airflow.side.dsn, everything, airflow.major), 300)
    ask(airflow.side, "UPDATE dag SET is_paused = false WHERE dag_id = ANY (%s)", list(DAGS))
    works = airflow.trigger(runner, "works")
    until("it works", lambda: works in airflow.marks("acted"), 300)
    return defer(airflow, runner), defer(airflow, runner), works


def run_short(side: Side, run_id: str) -> None:
    """Leave what is timed in a run so little time."""
    ask(side, "UPDATE task_instance SET trigger_timeout = now() + %s WHERE run_id = %s", LEFT, run_id)
    ask(side, "UPDATE dag_run SET start_date = now() - interval '1 hour' + %s WHERE run_id = %s", LEFT, run_id)


def defer(airflow: LiveAirflow, runner: AirflowRunner) -> str:
    """A run that waits with a trigger, which runs."""
    run_id = airflow.trigger(runner, "waits")
    until("it waits", lambda: run_id in airflow.marks("triggered"), 300)
    return run_id


def go_round(airflow: LiveAirflow) -> None:
    """Until scheduler, triggerer and parser have looked at everything again."""
    before = airflow.beats()

    def went() -> bool:
        beats = airflow.beats()
        return all(beats[job] > before[job] + timedelta(seconds=10) for job in ("SchedulerJob", "TriggererJob"))

    until("scheduler and triggerer go on", went, 300)
    wait_for_parses(airflow, times=2)
