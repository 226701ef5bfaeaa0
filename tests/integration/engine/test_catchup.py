"""Runs that are not made up for after a sleep: what the installed Airflow makes of the DAGs that it parses then, and
what becomes of the placeholders."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from continuity.catchup import PLACEHOLDER, VARIABLE, forget_placeholders, record_placeholders
from continuity.drain import VARIABLE as DRAIN
from continuity.live import Outcome, go_live
from continuity.restore import Target, open_snapshot
from continuity.schedules import Due, NoSchedule
from continuity.secrets import FernetKeys
from tests.integration.engine.dag_runs import Environment
from tests.integration.engine.oracle import add, ask, cursor_on, dated, is_airflow_2, pretend_parsed, read
from tests.integration.engine.worker import Side

SNAPSHOT = "20260401T000000Z-00000010"
HOUR = timedelta(hours=1)
HOURS = 50

DAG_FILE = """
from datetime import datetime, timedelta, timezone

try:
    from airflow.sdk import DAG, Asset
except ImportError:
    from airflow import DAG
    from airflow.datasets import Dataset as Asset
try:
    from airflow.providers.standard.operators.empty import EmptyOperator
except ImportError:
    from airflow.operators.empty import EmptyOperator
from airflow.timetables.trigger import CronTriggerTimetable

from odd_hours import OddHours

for name, schedule, catchup in (
    ("cron", "0 * * * *", True),
    ("latest", "0 * * * *", False),
    ("delta", timedelta(hours=1), True),
    ("trigger", CronTriggerTimetable("0 * * * *", timezone="UTC"), True),
    ("trigger_latest", CronTriggerTimetable("0 * * * *", timezone="UTC"), False),
    ("custom", OddHours(), True),
    ("unfinished", "0 * * * *", True),
    ("behind", "0 * * * *", True),
    ("seldom", timedelta(days=9000), True),
    ("asset", [Asset("s3://bucket/key")], False),
    ("unscheduled", None, False),
):
    with DAG("d_" + name, schedule=schedule, catchup=catchup, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
        EmptyOperator(task_id="t")
"""
TIMETABLE = '''
from datetime import timedelta

from airflow.timetables.base import DagRunInfo, DataInterval, Timetable


class OddHours(Timetable):
    """A user's own: at every odd hour."""

    def infer_manual_data_interval(self, *, run_after):
        return DataInterval.exact(run_after)

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        last = last_automated_data_interval.end if last_automated_data_interval else restriction.earliest
        at = last.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return DagRunInfo.exact(at if at.hour % 2 else at + timedelta(hours=1))
'''
PLUGIN = """
from airflow.plugins_manager import AirflowPlugin

from odd_hours import OddHours


class OddHoursPlugin(AirflowPlugin):
    name = "odd_hours"
    timetables = [OddHours]
"""


def test_airflow_goes_on_where_it_is_to(sides: Callable[..., Side], tmp_path: Path) -> None:
    """Failures covered: the next parse brings all runs of the night back; a timetable of the users' own is not asked;
    a DAG that does not catch up runs once all the same; work of before the sleep is lost with it."""
    side = sides("empty")
    home = Environment(side, tmp_path)
    (tmp_path / "dags/workload.py").write_text(DAG_FILE)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/odd_hours.py").write_text(TIMETABLE)
    (tmp_path / "plugins/odd_hours_plugin.py").write_text(PLUGIN)
    now = datetime.now(UTC)
    last_hour = now.replace(minute=0, second=0, microsecond=0)
    slept = last_hour - (HOURS - 0.5) * HOUR
    order = {"dsn": side.dsn, "since": slept.isoformat(), "runs": runs_before(side, last_hour - HOURS * HOUR)}
    code = Path(__file__).with_name("asleep.py").read_text()
    lines = home.python(code, json.dumps(order)).splitlines()
    found = json.loads(next(line for line in lines if line.startswith('{"asleep"')))["asleep"]

    hourly = ("d_cron", "d_delta", "d_trigger", "d_unfinished")
    odd = HOURS // 2
    assert found["told"]["none"] == {
        "skipped_runs": 4 * HOURS + 2 + odd,
        "skipped": sorted(
            [*(f"{dag_id}: {HOURS}" for dag_id in hourly), "d_latest: 1", "d_trigger_latest: 1", f"d_custom: {odd}"]
        ),
        "not_skipped": ["d_behind: it was behind before the sleep"],
    }
    assert found["told"]["latest"]["skipped"] == sorted(
        [*(f"{dag_id}: {HOURS - 1}" for dag_id in hourly), f"d_custom: {odd - 1}"]
    )
    for wanted, due in (("none", last_hour + HOUR), ("latest", last_hour)):
        created = {dag_id: at and datetime.fromisoformat(at) for dag_id, at in found["created"][wanted].items()}
        assert {dag_id: created[dag_id] for dag_id in hourly} == dict.fromkeys(hourly, due), wanted
        assert {created[dag_id] for dag_id in ("d_latest", "d_trigger_latest")} == {due}, wanted
        is_odd = lambda at: at if at.hour % 2 else at - HOUR  # noqa: E731
        assert created["d_custom"] == is_odd(last_hour) + (2 * HOUR if wanted == "none" else timedelta())
        for untouched in ("d_behind", "d_seldom", "d_asset", "d_unscheduled"):
            assert found["created"][wanted][untouched] == found["created"]["all"][untouched]
        assert found["at_once"][wanted] == found["created"][wanted], "going live says what a parse says"
        # Of one with a run that goes on, each has its placeholder: when that run ends, the schedule passes over them.
        assert found["placeholders"][wanted]["d_unfinished"] == HOURS - (wanted == "latest")
        assert found["placeholders"][wanted]["d_cron"] == 1
    assert datetime.fromisoformat(found["created"]["all"]["d_cron"]) == last_hour - (HOURS - 1) * HOUR


def runs_before(side: Side, last_due: datetime) -> list[dict[str, Any]]:
    """The last runs before the sleep, each due at that time; one DAG is two hours behind. In Airflow 3 a run of any
    schedule has an interval of no length."""
    exact: tuple[str, ...] = ("d_trigger", "d_trigger_latest", "d_custom")
    intervals = ("d_cron", "d_latest", "d_delta", "d_unfinished", "d_seldom")
    dues = dict.fromkeys((*intervals, *exact), last_due)
    exact += () if is_airflow_2(side) else (*intervals, "d_behind")
    dues["d_behind"] = last_due - 2 * HOUR
    return [
        {
            "dag_id": dag_id,
            "run_id": f"scheduled__{due.isoformat()}",
            "run_type": "scheduled",
            "state": "running" if dag_id == "d_unfinished" else "success",
            "data_interval_start": (due if dag_id in exact else due - HOUR).isoformat(),
            "data_interval_end": due.isoformat(),
        }
        for dag_id, due in dues.items()
    ]


class Hourly:
    """A run every hour; another DAG's timetable cannot be asked."""

    def __init__(self, document: Any) -> None:
        if document.get("unknown"):
            raise NoSchedule("its schedule cannot be read here: ImportError")

    def after(self, last: Due | None) -> Due | None:
        assert last, "it ran before"
        return Due(last.end, last.end + HOUR, last.end + HOUR)


def test_going_live_leaves_out_what_fell_due_and_says_so(sides: Callable[..., Side]) -> None:
    """Failures covered: runs between drain and cut make every DAG look as if it had been behind; what is skipped is
    said by the first attempt only; a placeholder stays for ever, or goes while it is needed; a DAG whose file was
    deleted, and which nobody paused, has no schedule to open, and nothing goes live."""
    source = sides("source")
    drained_at = datetime.now(UTC) - 20 * HOUR
    last = drained_at.replace(minute=0, second=0, microsecond=0)
    run = {"dag_id": "dag_0", "run_type": "scheduled", "state": "success"}
    add(source, "dag_run", {**run, "run_id": "the_last", **interval(last)})
    record = json.dumps({"drained_at": drained_at.isoformat(), "paused": []})
    add(source, "variable", {"key": DRAIN, "val": record, "is_encrypted": False})
    deleted = "is_stale" if not is_airflow_2(source) else "NOT is_active"
    gone = ask(source, f"UPDATE dag SET is_paused = false WHERE {deleted} RETURNING dag_id")  # noqa: S608
    assert gone
    manifest = source.snapshot(SNAPSHOT)
    assert manifest.drained_at == drained_at.isoformat()
    target = sides("empty", environment=source.environment, catchup_after_sleep="none")
    target.restore_state(SNAPSHOT)
    pretend_parsed(target, read(source))
    serialize = (
        "UPDATE serialized_dag SET data_compressed = NULL, data = json_build_object('unknown', dag_id <> 'dag_0')"
    )
    ask(target, serialize)

    outcome = live(target)
    unpaused = {dag_id for dag_id, paused in manifest.paused.items() if not paused} - {dag_id for (dag_id,) in gone}
    assert outcome.skipped.runs in ({"dag_0": 20}, {"dag_0": 21})
    assert outcome.skipped.kept.keys() == unpaused - {"dag_0"}
    assert live(target) == outcome, "a later attempt says the same"
    assert ask(target, "SELECT val FROM variable WHERE key = %s", VARIABLE) == [('{"dags": ["dag_0"]}',)]
    assert forgotten(target) == 0, "its history may bring more"
    target.restore_history(SNAPSHOT)

    placeholders = "SELECT count(*) FROM dag_run WHERE starts_with(run_id, %s) AND state = 'failed'"
    ((marked,),) = ask(target, placeholders, PLACEHOLDER)
    assert marked == outcome.skipped.runs["dag_0"], "one of its runs goes on"
    assert forgotten(target) == 0, "nothing comes after them"
    add(target, "dag_run", {**run, "run_id": "the_next", **interval(last + 30 * HOUR)})
    assert forgotten(target) == 0, "a run that goes on comes before them"
    ask(target, "UPDATE dag_run SET state = 'success' WHERE dag_id = 'dag_0' AND state IN ('queued', 'running')")
    assert forgotten(target) == marked
    assert ask(target, placeholders, PLACEHOLDER) == [(0,)]
    assert ask(target, "SELECT count(*) FROM variable WHERE key = %s", VARIABLE) == [(0,)]


def test_a_mark_that_somebody_made_a_run_of_stays(sides: Callable[..., Side]) -> None:
    """Failure covered: a run that people started by hand is deleted with its task instances."""
    side = sides("source")
    now = datetime.now(UTC)
    ask(side, "UPDATE dag_run SET state = 'success' WHERE dag_id = 'dag_0'")
    run = {"dag_id": "dag_0", "run_type": "scheduled", "state": "failed"}
    runs = {f"{PLACEHOLDER}{n}": {**run, "run_id": f"{PLACEHOLDER}{n}", **interval(now - n * HOUR)} for n in (1, 2, 3)}
    runs[f"{PLACEHOLDER}2"]["state"] = "success"
    add(side, "dag_run", *runs.values(), {**run, "run_id": "later", **interval(now)})
    with cursor_on(side) as cursor:
        record_placeholders(cursor)
    assert forgotten(side) == 2
    assert ask(side, "SELECT run_id FROM dag_run WHERE starts_with(run_id, %s)", PLACEHOLDER) == [(f"{PLACEHOLDER}2",)]
    assert ask(side, "SELECT count(*) FROM variable WHERE key = %s", VARIABLE) == [(0,)]


def interval(due: datetime) -> dict[str, Any]:
    """The dates of an hourly run that is due then."""
    return {**dated(due - HOUR), "run_after": due, "data_interval_start": due - HOUR, "data_interval_end": due}


def live(side: Side) -> Outcome:
    found = open_snapshot(side.store, side.client("kms"), side.parsed(), SNAPSHOT)
    with side.connection() as connection:
        target = Target(connection, FernetKeys(side.fernet_key))
        return go_live(target, found, side.parsed(), 0, open_schedule=Hourly)


def forgotten(side: Side) -> int:
    with side.connection() as connection:
        return forget_placeholders(connection)
