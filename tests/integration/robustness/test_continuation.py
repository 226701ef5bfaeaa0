"""A real Airflow in the middle of its work; a fresh one that is given its snapshot goes on where the cut was.

What a restore must do for that: nothing that ended runs again, whatever unpauses itself and catches up; what was
running runs again, from its XComs; a deferred task wakes up under the new Fernet key without being submitted again; a
retry is the next attempt; a DAG that waits for two events keeps the one; each schedule's next run happens once.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.exactness import Record
from tests.integration.engine import compare
from tests.integration.engine.oracle import Times, ask, assert_equal, read, restored
from tests.integration.engine.worker import Side
from tests.integration.robustness.cut import snapshot_and_copy
from tests.integration.robustness.live_airflow import LiveAirflow
from tests.postgres import Cluster
from tests.rehearsal.effects import Effect, InstanceKey, read_effects, started_twice
from tests.rehearsal.wanted import WORKLOAD, missing_instances, parsed
from tests.waiting import until

SNAPSHOT = "20260401T000000Z-0000000c"
#: Unpaused by hand; `eager`, whose file unpauses it, catches up with its past as well.
UNPAUSED = ("every_minute", "half_done", "long_task", "external_job", "second_try", "left", "right", "both")
STARTED = ("left", "half_done", "long_task", "external_job")
SOONER = "retry_delay=timedelta(seconds=45)"
#: DAG, task, state, at least so many; `second_try` comes last, because its retry is due soon.
AT_CUT = (
    ("eager", "work", "success", 6),
    ("every_minute", "second", "success", 1),
    ("left", "produce", "success", 1),
    ("half_done", "pull", "running", 1),
    ("long_task", "work", "running", 1),
    ("external_job", "wait", "deferred", 1),
)
RETRYING = (("second_try", "work", "up_for_retry", 1),)
AFTER = (
    ("half_done", "pull", "success", 1),
    ("long_task", "after", "success", 1),
    ("external_job", "wait", "success", 1),
    ("second_try", "work", "success", 1),
)
ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")

Make = Callable[..., Side]


@dataclasses.dataclass(frozen=True)
class Places:
    """Where the two Airflows are, and the folder that the tasks of both leave lines in."""

    folder: Path

    @property
    def effects(self) -> Path:
        return self.folder / "effects"

    def airflow(self, name: str, side: Side) -> LiveAirflow:
        found = LiveAirflow(side, self.folder / name, {"rehearsal.effects_dir": str(self.effects)})
        found.prepare()
        return found

    def signal(self, name: str) -> None:
        """Tell the tasks of both what they wait for."""
        (self.effects / "signals" / name).touch()


def deploy_workload(airflow: LiveAirflow) -> None:
    """The DAGs of the rehearsal. Nothing takes as long here as losing a Region, so `second_try` tries again sooner."""
    for file in WORKLOAD.glob("*.py"):
        (airflow.dags / file.name).write_text(file.read_text().replace("retry_delay=timedelta(seconds=150)", SOONER))


@pytest.fixture
def places() -> Iterator[Places]:
    folder = Path(tempfile.mkdtemp(prefix="continued-"))
    try:
        (folder / "effects" / "signals").mkdir(parents=True)
        yield Places(folder)
    finally:
        shutil.rmtree(folder)


def test_a_restored_environment_goes_on(
    sides: Make, cluster: Cluster, places: Places, lease_table: str, exactness: Record
) -> None:
    """Failures covered: finished tasks run again; a run without its unfinished task instances is a success in which
    nothing ran; task instances that are running without a job are stuck; a later run fails on keys that are taken; a
    trigger under another Fernet key ends the triggerer."""
    source = places.airflow("source", sides("empty"))
    frozen = sides("empty", environment=source.side.environment)
    work_until_cut(cluster, source, frozen)
    killed_at = time.time()
    before = [effect for effect in read_effects(places.effects) if effect.at <= killed_at]
    assert_every_row_is_restored(frozen, sides("target", environment=frozen.environment), exactness)

    other_key = Fernet.generate_key().decode()
    target = places.airflow(
        "target", dataclasses.replace(sides("empty", environment=frozen.environment), fernet_key=other_key)
    )
    at_cut = instances(frozen)
    go_on(target, places, at_cut)
    after = [effect for effect in read_effects(places.effects) if effect.at > killed_at]
    assert_nothing_is_done_twice(before, after, at_cut)
    assert_each_goes_on_as_it_should(after)
    assert target.deaths == [], "a component of Airflow ended"


def work_until_cut(cluster: Cluster, source: LiveAirflow, frozen: Side) -> None:
    """Run the workload until it is where it is wanted, then take the snapshot while it goes on, and kill it."""
    with source.running() as runner:
        deploy_workload(source)  # not before: `eager` starts at once, and its tasks need the API server
        until("the workload is parsed", lambda: not parsed(source.side.dsn, (*UNPAUSED, "eager"), source.major), 300)
        for dag_id in UNPAUSED:
            source.call(runner, "PATCH", f"/dags/{dag_id}", {"is_paused": False})
        for dag_id in STARTED:
            source.trigger(runner, dag_id)
        until("the state at the cut", lambda: not missing_instances(source.side.dsn, AT_CUT), seconds=600)
        source.trigger(runner, "second_try")
        until("a retry is waited for", lambda: not missing_instances(source.side.dsn, RETRYING), 300)
        snapshot_and_copy(cluster, source.side, frozen, SNAPSHOT)
    assert missing_instances(frozen.dsn, AT_CUT + RETRYING) == ""
    assert events_waiting(frozen) == 1


def assert_every_row_is_restored(frozen: Side, target: Side, exactness: Record) -> None:
    """Into a database with rows of its own; before it goes live, when no scheduler has touched it yet."""
    before = compare.canonical(read(target))
    target.restore_state(SNAPSHOT)
    target.restore_history(SNAPSHOT)
    when = Times(datetime.now(UTC), None, frozen.airflow_version)
    expected = compare.merged(before, compare.canonical(read(frozen)), restored(when))
    expected["trigger"] = compare.counted(before)["trigger"]
    found = compare.counted(compare.canonical(read(target)))
    rows = {table: len(there) for table, there in read(frozen).rows.items() if table != "trigger"}
    exactness(frozen.airflow_version, rows, expected, found)
    assert_equal(expected, found)


def go_on(target: LiveAirflow, places: Places, at_cut: dict[InstanceKey, str]) -> None:
    """Fail over into it as the state machine does, and let all that waits go on."""
    last_minute = max(run_id for dag_id, run_id, *_ in at_cut if dag_id == "every_minute")
    side = target.side
    target.hide()
    deploy_workload(target)
    with target.running() as runner:
        needed = ("continuity_restore", "continuity_go_live")
        until("the metadata DAGs are parsed", lambda: not parsed(side.dsn, needed, target.major), 300)
        restore = target.trigger(runner, "continuity_restore", snapshot_id=SNAPSHOT)
        target.wait_for_task("continuity_restore", restore, "state")
        target.wait_for_task("continuity_restore", restore, "history")
        target.ignore_file.unlink()
        live = target.trigger(runner, "continuity_go_live", snapshot_id=SNAPSHOT, parse_deadline_seconds=300)
        target.wait_for_task("continuity_go_live", live, "go_live")

        places.signal("work_is_done")
        places.signal("external_job_is_done")
        until("what was in flight is done", lambda: not missing_instances(side.dsn, AFTER), seconds=600)
        assert events_waiting(side) == 1, "the event that came before the cut is still waited with"
        assert runs(side, "both") == []
        for dag_id in ("right", "half_done"):
            target.trigger(runner, dag_id)
        until("both events", lambda: runs(side, "both") == ["success"], 300)
        until("a later run of the same DAG", lambda: runs(side, "half_done") == ["success"] * 2, 300)
        until(
            "the schedule's next run",
            lambda: any(
                key[0] == "every_minute" and key[1] > last_minute and key[2] == "second" and state == "success"
                for key, state in instances(side).items()
            ),
            300,
        )
        assert events_waiting(side) == 0


def assert_nothing_is_done_twice(before: list[Effect], after: list[Effect], at_cut: dict[InstanceKey, str]) -> None:
    """What had ended at the cut is left alone, and whatever began, began once an attempt."""
    started = [effect.key for effect in after if effect.kind == "start"]
    ended = {key for key, state in at_cut.items() if state in ENDED}
    assert ended >= {effect.key for effect in before if effect.kind == "end" and effect.key[0] == "eager"} != set()
    assert not ended & set(started)
    assert "eager" not in {dag_id for dag_id, *_ in started}, "it has caught up"
    for effects in (before, after):
        assert [attempt for where in {e.where for e in effects} for attempt in started_twice(effects, where)] == []


def assert_each_goes_on_as_it_should(after: list[Effect]) -> None:
    """By what the tasks themselves told, outside Airflow."""
    told: dict[str, list[tuple[str, str, int]]] = {}
    for effect in after:
        told.setdefault(effect.key[0], []).append((effect.key[2], effect.kind, effect.try_number))
    assert told["second_try"] == [("work", "start", 2), ("work", "end", 2)], "retries keep their count"
    assert [kind for _, kind, _ in told["external_job"]] == ["resumed"], "it woke up, and was not submitted again"
    (woken,) = [effect for effect in after if effect.kind == "resumed"]
    assert woken.detail["job"] == "job-4711\n\\N"
    assert Counter(task for task, kind, _ in told["long_task"] if kind == "end") == {"work": 1, "after": 1}
    # `push` had ended: `pull` finds its XCom. The later run does both.
    assert Counter(task for task, kind, _ in told["half_done"] if kind == "end") == {"pull": 2, "push": 1}
    assert Counter(task for task, kind, _ in told["both"] if kind == "end") == {"consume": 1}


# -- what is there -----------------------------------------------------------------------------------------------------


def instances(side: Side) -> dict[InstanceKey, str]:
    """State of each task instance of users."""
    query = """SELECT dag_id, run_id, task_id, map_index, COALESCE(state, '') FROM task_instance
        WHERE NOT starts_with(dag_id, 'continuity_')"""
    return {(row[0], row[1], row[2], row[3]): row[4] for row in ask(side, query)}


def runs(side: Side, dag_id: str) -> list[Any]:
    """States of the DAG's runs."""
    return [state for (state,) in ask(side, "SELECT state FROM dag_run WHERE dag_id = %s", dag_id)]


def events_waiting(side: Side) -> int:
    """How many of the two events that `both` waits for have come."""
    table = "dataset_dag_run_queue" if side.airflow_version.startswith("2.") else "asset_dag_run_queue"
    query = f"SELECT count(*) FROM {table} WHERE target_dag_id = 'both'"  # noqa: S608  (a constant)
    return int(ask(side, query)[0][0])
