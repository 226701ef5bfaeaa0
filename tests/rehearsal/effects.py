"""What ran, as counted outside Airflow, and what a failover must therefore run again. Pure functions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: dag_id, run_id, task_id, map_index
InstanceKey = tuple[str, str, str, int]
IN_FLIGHT = frozenset({"running", "queued", "scheduled", "restarting"})


@dataclass(frozen=True)
class Effect:
    """One line that a task left."""

    kind: str
    region: str
    key: InstanceKey
    try_number: int
    at: float
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Schedule:
    """How a scheduled DAG of the workload makes runs: seconds between two, and whether it makes up for missed ones."""

    seconds: float
    catchup: bool = False


SCHEDULES: Mapping[str, Schedule] = {
    "every_minute": Schedule(60),
    "every_two_minutes": Schedule(120),
    "every_three_minutes": Schedule(180),
    "hourly": Schedule(3600),
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
    #: Waiting at the cut for a trigger, a retry or the next poke: these go on, which is no replay.
    waiting: frozenset[InstanceKey]

    @classmethod
    def of(cls, at: float, runs: Iterable[Mapping[str, Any]], instances: Iterable[Mapping[str, Any]]) -> Cut:
        """From the rows of a dump."""
        states = {
            (row["dag_id"], row["run_id"], row["task_id"], int(row["map_index"])): row["state"] or ""
            for row in instances
        }
        waiting = frozenset(
            key for key, state in states.items() if state in ("deferred", "up_for_retry", "up_for_reschedule")
        )
        return cls(at, {(row["dag_id"], row["run_id"]): row["state"] for row in runs}, states, waiting)

    def in_flight(self) -> set[InstanceKey]:
        """Task instances that were executing."""
        return {key for key, state in self.instances.items() if state in IN_FLIGHT}

    def finished(self) -> set[InstanceKey]:
        """Task instances that had ended, well or not."""
        ended = ("success", "failed", "skipped", "upstream_failed", "removed")
        return {key for key, state in self.instances.items() if state in ended}


def due_again(run_id: str, schedule: Schedule, live_at: float) -> bool:
    """Whether a schedule makes a run, which was made after the cut, once more: all if it catches up, else the latest.

    A run of the interval that begins at its logical date is due when that ends; without catch-up it is made only as
    long as the next one is not due.
    """
    if schedule.catchup:
        return True
    return logical_date(run_id) + 2 * schedule.seconds > live_at


def logical_date(run_id: str) -> float:
    """Epoch seconds of a run id such as scheduled__2026-01-01T00:00:00+00:00."""
    from datetime import datetime

    return datetime.fromisoformat(run_id.split("__", 1)[1]).timestamp()


def computed_replay(
    cut: Cut, effects: Iterable[Effect], primary: str, live_at: float, fail_dags: Collection[str]
) -> set[InstanceKey]:
    """The task instances a failover runs again: in flight at the cut, or run after it by a run that is made again."""
    ran_after = {
        effect.key
        for effect in effects
        if effect.region == primary and effect.kind in ("start", "end", "failed") and effect.at > cut.at
    }
    again = {key for key in ran_after | started_in_flight(cut, effects, primary) if key not in cut.waiting}
    return {
        key
        for key in again - cut.finished()
        if key[0] not in fail_dags
        and (key[:2] in cut.runs or _scheduled_again(key, live_at) or _queued_at_the_cut(key, cut))
    }


def started_in_flight(cut: Cut, effects: Iterable[Effect], primary: str) -> set[InstanceKey]:
    """In flight at the cut and begun before it: running them again is a replay, else it is their first time."""
    begun = {effect.key for effect in effects if effect.region == primary and effect.kind == "start"}
    return cut.in_flight() & begun


def _scheduled_again(key: InstanceKey, live_at: float) -> bool:
    schedule = SCHEDULES.get(key[0])
    return schedule is not None and key[1].startswith("scheduled__") and due_again(key[1], schedule, live_at)


def _queued_at_the_cut(key: InstanceKey, cut: Cut) -> bool:
    """Whether a dataset-triggered run, named after its last event, was still to be made: the event was queued."""
    return key[1].startswith("dataset_triggered__") and logical_date(key[1]) <= cut.at


def actual_replay(cut: Cut, effects: Iterable[Effect], primary: str, secondary: str) -> set[InstanceKey]:
    """The task instances that began in both Regions, other than by going on with what they waited for."""
    begun = {
        region: {e.key for e in effects if e.region == region and e.kind == "start"} for region in (primary, secondary)
    }
    return (begun[primary] & begun[secondary]) - cut.waiting


def started_twice(effects: Iterable[Effect], region: str) -> list[tuple[InstanceKey, int]]:
    """Attempts that began more than once in one Region."""
    starts = Counter((e.key, e.try_number) for e in effects if e.region == region and e.kind == "start")
    return sorted(attempt for attempt, count in starts.items() if count > 1)
