"""What ran is replaced beside the Airflow that ran it: scheduler, triggerer and parser go on, its DAGs are there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.engine.oracle import ask
from tests.integration.engine.worker import Side
from tests.integration.robustness.live_airflow import LiveAirflow
from tests.integration.robustness.test_live_restore import user_runs, wait_for_parses
from tests.rehearsal.wanted import parsed
from tests.waiting import until

SNAPSHOT = "20260401T000000Z-0000000e"
OPTIONS = {
    "scheduler.scheduler_heartbeat_sec": "2",
    "scheduler.dag_dir_list_interval": "2",
    "scheduler.min_file_process_interval": "2",
    "dag_processor.refresh_interval": "2",
    "dag_processor.min_file_process_interval": "2",
}
DAGS = ("work", "deferred")
DAG_FILE = """
import os
from datetime import datetime, timezone
from pathlib import Path

try:
    from airflow.providers.standard.triggers.file import FileTrigger
    from airflow.sdk import DAG, BaseOperator
except ImportError:
    from airflow import DAG
    from airflow.models import BaseOperator
    from airflow.triggers.file import FileTrigger

WITNESS = Path(os.environ["WITNESS"])
COMMON = {"start_date": datetime(2024, 1, 1, tzinfo=timezone.utc), "catchup": False, "schedule": None}


class Work(BaseOperator):
    def execute(self, context):
        (WITNESS / f"{context['run_id']}.acted").touch()


class Wait(BaseOperator):
    def execute(self, context):
        ending = WITNESS / f"{context['run_id']}.may_end"
        self.defer(trigger=FileTrigger(filepath=str(ending), poke_interval=1.0), method_name="go_on")

    def go_on(self, context, event):
        (WITNESS / f"{context['run_id']}.acted").touch()


with DAG("work", **COMMON):
    Work(task_id="act")

with DAG("deferred", **COMMON):
    Wait(task_id="act")
"""


@pytest.fixture
def airflow(sides: Callable[..., Side], lease_table: str) -> Iterator[LiveAirflow]:
    folder = Path(tempfile.mkdtemp(prefix="replaced-"))
    try:
        made = LiveAirflow(sides("empty"), folder / "airflow", OPTIONS)
        made.prepare()
        made.witness.mkdir()
        (made.dags / "workload.py").write_text(DAG_FILE)
        yield made
    finally:
        shutil.rmtree(folder)


def test_what_ran_is_replaced_while_its_airflow_goes_on(airflow: LiveAirflow) -> None:
    """Failures covered: the triggerer goes on with triggers of before, or wakes another task instance by them; the
    parser adds versions beside those that are restored; the scheduler or the restore ends in a deadlock."""
    side = airflow.side
    with airflow.running() as runner:
        everything = (*DAGS, "continuity_restore", "continuity_go_live")
        until("all is parsed", lambda: not parsed(side.dsn, everything, airflow.major), 300)
        ask(side, "UPDATE dag SET is_paused = false WHERE dag_id = ANY (%s)", list(DAGS))
        airflow.wait_for_task("work", airflow.trigger(runner, "work"), "act")
        kept = defer(airflow, runner)
        side.snapshot(SNAPSHOT)
        runs, versions = user_runs(side), versions_of(side)

        lost = defer(airflow, runner)
        airflow.wait_for_task("work", airflow.trigger(runner, "work"), "act")
        ask(side, "UPDATE dag SET is_paused = true WHERE dag_id = ANY (%s)", list(DAGS))
        acted = airflow.marks("acted")

        replacing = airflow.trigger(runner, "continuity_restore", snapshot_id=SNAPSHOT, replace=True)
        airflow.wait_for_task("continuity_restore", replacing, "state")
        airflow.wait_for_task("continuity_restore", replacing, "history")
        assert user_runs(side) == runs
        assert ask(side, "SELECT count(*) FROM trigger") == [(0,)]
        for run_id in (lost, kept):
            (airflow.witness / f"{run_id}.may_end").touch()
        wait_for_parses(airflow, times=3)
        assert versions_of(side) == versions
        assert airflow.task("deferred", kept, "act")[0] == "deferred", "its trigger comes when it goes live"

        live = airflow.trigger(runner, "continuity_go_live", snapshot_id=SNAPSHOT, parse_deadline_seconds=300)
        airflow.wait_for_task("continuity_go_live", live, "go_live")
        airflow.wait_for_task("deferred", kept, "act")
        again = airflow.trigger(runner, "work")
        airflow.wait_for_task("work", again, "act")
        wait_for_parses(airflow, times=2)
        assert airflow.marks("acted") == acted | {kept, again}, "what was replaced never goes on"
        assert versions_of(side) == versions
    assert airflow.deaths == [], "a component of Airflow ended"


def defer(airflow: LiveAirflow, runner: Any) -> str:
    """A run that waits with a trigger."""
    run_id = airflow.trigger(runner, "deferred")
    waiting = "SELECT state, trigger_id IS NOT NULL FROM task_instance WHERE run_id = %s"
    until("it is deferred", lambda: ask(airflow.side, waiting, run_id) == [("deferred", True)], 300)
    return run_id


def versions_of(side: Side) -> list[tuple[Any, ...]]:
    """The versions of the users' DAGs, with what was parsed into each; nothing where DAGs have none."""
    if side.airflow_version.startswith("2."):
        return []
    query = """SELECT v.dag_id, v.version_number, v.id, s.dag_hash FROM dag_version v
        LEFT JOIN serialized_dag s ON s.dag_version_id = v.id WHERE v.dag_id = ANY (%s) ORDER BY 1, 2"""
    return ask(side, query, list(DAGS))
