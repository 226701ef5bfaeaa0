"""What ran, as counted outside Airflow, and what must therefore run again. Pure functions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: dag_id, run_id, task_id, map_index
InstanceKey = tuple[str, str, str, int]
#: Within how many seconds before going live Airflow 3 has looked at a DAG's file last, at a loaded machine's pace.
PARSING_SECONDS = 90
IN_FLIGHT = frozenset({"running", "queued", "scheduled", "restarting"})


@dataclass(frozen=True)
class Effect:
    """One line that a task left."""

    kind: str
    #: Where it ran: a Region, or one of the lives that an environment has in one.
    where: str
    key: InstanceKey
    try_number: int
    at: float
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Schedule:
    """How a scheduled DAG of the workload makes runs: seconds between two, whether it makes up for missed ones, and
    whether by the clock (cron), rather than so long after the run before."""

    seconds: float
    catchup: bool = False
    clock: bool = False


SCHEDULES: Mapping[str, Schedule] = {
    "every_minute": Schedule(60, clock=True),
    "every_two_minutes": Schedule(120),
    "every_three_minutes": Schedule(180, clock=True),
    "hourly": Schedule(3600, clock=True),
    "caught_up": Schedule(86400, catchup=True),
    "catching_up": Schedule(86400, catchup=True),
    "after_itself": Schedule(120),
    "eager": Schedule(86400, catchup=True),
    "nasty_xcoms": Schedule(120),
    "mapped": Schedule(180),
    "pooled": Schedule(180),
    "tick": Schedule(120),
    "short_wait": Schedule(120),
}


def read_effects(folder: Path) -> list[Effect]:
    """Every line of every Region, oldest first; a line cut off by the kill of its writer is the last of its file."""
    found: list[Effect] = []
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                entry = json.loads(line)
                key = (entry["dag_id"], entry["run_id"], entry["task_id"], entry["map_index"])
                found.append(Effect(entry["kind"], entry["region"], key, entry["try_number"], entry["at"], entry))
    return sorted(found, key=lambda effect: effect.at)


@dataclass(frozen=True)
class Cut:
    """What the dump of the cut says: states of runs and task instances, and when it was (epoch seconds)."""

    at: float
    runs: Mapping[tuple[str, str], str]
    instances: Mapping[InstanceKey, str]
    #: Waiting at the cut for a trigger, a retry or the next poke, or about to go on after a trigger: these go on, which
    #: is no replay.
    waiting: frozenset[InstanceKey]
    #: Major version of Airflow.
    major: int = 2

    @classmethod
    def of(
        cls, at: float, runs: Iterable[Mapping[str, Any]], instances: Iterable[Mapping[str, Any]], major: int = 2
    ) -> Cut:
        """From the rows of a dump."""
        rows = {(row["dag_id"], row["run_id"], row["task_id"], int(row["map_index"])): row for row in instances}
        states = {key: row["state"] or "" for key, row in rows.items()}
        waiting = frozenset(
            key
            for key, state in states.items()
            if state in ("deferred", "up_for_retry", "up_for_reschedule")
            or (state in IN_FLIGHT and rows[key].get("next_method"))
        )
        return cls(at, {(row["dag_id"], row["run_id"]): row["state"] for row in runs}, states, waiting, major)

    def in_flight(self) -> set[InstanceKey]:
        """Task instances that were executing."""
        return {key for key, state in self.instances.items() if state in IN_FLIGHT}

    def finished(self) -> set[InstanceKey]:
        """Task instances that had ended, well or not."""
        ended = ("success", "failed", "skipped", "upstream_failed", "removed")
        return {key for key, state in self.instances.items() if state in ended}


def due_again(run_id: str, schedule: Schedule, live_at: float, major: int = 2) -> bool:
    """Whether a schedule makes a run, which was made after the cut, once more: all if it catches up, else the latest.

    In Airflow 2 a run is named after the beginning of its interval, and due when that ends; without catch-up it is made
    only as long as the next one is not due. In Airflow 3 it is named after the moment it is due; without catch-up a
    schedule by the clock makes the latest, and one that counts from the run before begins again when it goes live.
    """
    if schedule.catchup:
        return True
    next_one_due = logical_date(run_id) + (2 if major < 3 else 1) * schedule.seconds
    return next_one_due > live_at and (major < 3 or schedule.clock)


def undecided(run_id: str, schedule: Schedule, live_at: float, major: int) -> bool:
    """Whether nobody can tell if a run is made again: Airflow 3 finds the latest moment when it parses a file, which it
    does every half minute, so that shortly before going live it may still have found this one."""
    next_one_due = logical_date(run_id) + schedule.seconds
    return major >= 3 and schedule.clock and not schedule.catchup and -PARSING_SECONDS < next_one_due - live_at <= 0


def logical_date(run_id: str) -> float:
    """Epoch seconds of a run id such as scheduled__2026-01-01T00:00:00+00:00."""
    from datetime import datetime

    return datetime.fromisoformat(run_id.split("__", 1)[1]).timestamp()


def computed_replay(
    cut: Cut, effects: Iterable[Effect], source: str, live_at: float, fail_dags: Collection[str]
) -> set[InstanceKey]:
    """The task instances to run again: in flight at the cut, or run after it by a run that is made again."""
    ran_after = {
        effect.key
        for effect in effects
        if effect.where == source and effect.kind in ("start", "end", "failed") and effect.at > cut.at
    }
    again = {key for key in ran_after | started_in_flight(cut, effects, source) if key not in cut.waiting}
    return {
        key
        for key in again - cut.finished()
        if key[0] not in fail_dags
        and (key[:2] in cut.runs or _scheduled_again(key, live_at, cut.major) or _queued_at_the_cut(key, cut))
    }


def started_in_flight(cut: Cut, effects: Iterable[Effect], source: str) -> set[InstanceKey]:
    """In flight at the cut and begun before it: running them again is a replay, else it is their first time."""
    begun = {effect.key for effect in effects if effect.where == source and effect.kind == "start"}
    return cut.in_flight() & begun


def _scheduled_again(key: InstanceKey, live_at: float, major: int) -> bool:
    schedule = SCHEDULES.get(key[0])
    return schedule is not None and key[1].startswith("scheduled__") and due_again(key[1], schedule, live_at, major)


def undecided_replay(cut: Cut, effects: Iterable[Effect], live_at: float) -> set[InstanceKey]:
    """The task instances of runs made after the cut, of which nobody can tell whether they are made again."""
    return {
        effect.key
        for effect in effects
        if effect.key[:2] not in cut.runs
        and effect.key[1].startswith("scheduled__")
        and effect.key[0] in SCHEDULES
        and undecided(effect.key[1], SCHEDULES[effect.key[0]], live_at, cut.major)
    }


def _queued_at_the_cut(key: InstanceKey, cut: Cut) -> bool:
    """Whether a dataset-triggered run, named after its last event, was still to be made: the event was queued.

    In Airflow 3 such a run gets another name each time it is made.
    """
    return key[1].startswith("dataset_triggered__") and logical_date(key[1]) <= cut.at


def actual_replay(cut: Cut, effects: Iterable[Effect], source: str, target: str) -> set[InstanceKey]:
    """The task instances that began in both places, other than by going on with what they waited for."""
    begun = {where: {e.key for e in effects if e.where == where and e.kind == "start"} for where in (source, target)}
    return (begun[source] & begun[target]) - cut.waiting


def started_twice(effects: Iterable[Effect], where: str) -> list[tuple[InstanceKey, int]]:
    """Attempts that began more than once in one place."""
    starts = Counter((e.key, e.try_number) for e in effects if e.where == where and e.kind == "start")
    return sorted(attempt for attempt, count in starts.items() if count > 1)
