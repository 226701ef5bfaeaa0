"""The workload as the driver sees it: what it starts, and the states in which it takes the cut and looks last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.rehearsal import database

#: dag_id, task_id, state, at least so many task instances
Wanted = tuple[str, str, str, int]

#: The DAGs that are uploaded.
WORKLOAD = Path(__file__).parent / "workload"
#: Never unpaused. `eager` unpauses itself.
STAYS_PAUSED = frozenset({"dormant"})
#: Started by hand before the cut, in this order: what must be waiting at the cut comes last.
STARTED_BY_HAND = (
    "failing",
    "exhausted",
    "left",
    "half_done",
    "mapped_half_done",
    "long_task",
    "not_again",
    "poking",
    "external_job",
)
STARTED_LAST = ("second_try", "alarm_clock")
#: Started by hand in the target.
STARTED_AFTER = ("right", "secrets_reader")
#: What tasks wait for; all are given in the target, at the latest.
SIGNALS = ("work_is_done", "external_job_is_done", "file_has_come")
#: In-flight policy that differs from the default.
FAIL_IN_FLIGHT = frozenset({"not_again"})

#: The state in which the cut is taken.
AT_CUT: tuple[Wanted, ...] = (
    ("every_minute", "second", "success", 1),
    ("every_two_minutes", "work", "success", 1),
    ("every_three_minutes", "work", "success", 1),
    ("hourly", "work", "success", 1),
    ("caught_up", "work", "success", 5),
    ("catching_up", "work", "success", 2),
    ("after_itself", "work", "success", 1),
    ("eager", "work", "success", 6),
    ("nasty_xcoms", "pull", "success", 1),
    ("mapped", "total", "success", 1),
    ("pooled", "work", "success", 1),
    ("tick", "produce", "success", 1),
    ("tock", "consume", "success", 1),
    ("left", "produce", "success", 1),
    ("short_wait", "wait", "success", 1),
    ("failing", "work", "failed", 1),
    ("exhausted", "work", "failed", 1),
    ("stopped", "work", "success", 2),
    ("half_done", "pull", "running", 1),
    ("mapped_half_done", "wait_for_last", "success", 2),
    ("mapped_half_done", "wait_for_last", "running", 1),
    ("long_task", "work", "running", 1),
    ("not_again", "work", "running", 1),
    ("poking", "poke", "up_for_reschedule", 1),
    ("external_job", "wait", "deferred", 1),
)
LAST: tuple[Wanted, ...] = (
    ("second_try", "work", "up_for_retry", 1),
    ("alarm_clock", "wait", "deferred", 1),
)
#: The state in which the target is looked at last, over what it had at the cut.
AFTER: tuple[Wanted, ...] = (
    ("half_done", "pull", "success", 1),
    ("mapped_half_done", "total", "success", 1),
    ("long_task", "after", "success", 1),
    ("poking", "poke", "success", 1),
    ("external_job", "wait", "success", 1),
    ("alarm_clock", "wait", "success", 1),
    ("second_try", "work", "success", 1),
    ("secrets_reader", "read", "success", 1),
    ("both", "consume", "success", 1),
)


def parsed(database_url: str, dag_ids: Iterable[str], major: int) -> str:
    """Which of the DAGs are not parsed yet."""
    active = "NOT is_stale" if major >= 3 else "is_active"
    rows = database.query(
        database_url,
        f"SELECT dag_id FROM serialized_dag JOIN dag USING (dag_id) WHERE {active}",  # noqa: S608
    )
    missing = sorted(set(dag_ids) - {row[0] for row in rows})
    return ", ".join(missing)


def missing_instances(
    database_url: str,
    wanted: Iterable[Wanted],
    before: Mapping[tuple[str, str, str], int] | None = None,
) -> str:
    """Which wanted task instances are not there, beyond those that were there `before`."""
    there = instance_counts(database_url)
    known = before or {}
    return ", ".join(
        f"{dag}.{task} {state}"
        for dag, task, state, count in wanted
        if there.get((dag, task, state), 0) - known.get((dag, task, state), 0) < count
    )


def instance_counts(database_url: str) -> dict[tuple[str, str, str], int]:
    """Number of task instances per DAG, task and state."""
    rows = database.query(
        database_url, "SELECT dag_id, task_id, coalesce(state, ''), count(*) FROM task_instance GROUP BY 1, 2, 3"
    )
    return {(dag, task, state): count for dag, task, state, count in rows}
