"""What Airflow measures against the clock, and whether the time that nobody was there counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from tests.rehearsal import database
from tests.rehearsal.checks import show
from tests.rehearsal.comparator import OWN_PREFIX, Dump
from tests.rehearsal.report import Check

#: What is timed, by (kind, dag_id, run_id, task_id, map_index) -> when its clock began, or runs out (epoch seconds).
Clock = tuple[str, str, str, str, int]
Clocks = Mapping[Clock, float]

RUN, DEFERRED, SENSOR = "dagrun_timeout", "trigger_timeout", "timeout of a sensor"


def read(database_url: str) -> Clocks:
    """The clocks of every running run, of what is deferred with a time-out, and of sensors that are poked again."""
    runs = database.query(database_url, "SELECT dag_id, run_id, start_date FROM dag_run WHERE start_date IS NOT NULL")
    waiting = database.query(
        database_url,
        """SELECT dag_id, run_id, task_id, map_index, trigger_timeout::text FROM task_instance
        WHERE trigger_timeout IS NOT NULL""",
    )
    of_three = "SELECT 1 FROM information_schema.columns WHERE (table_name, column_name) = ('task_reschedule', 'ti_id')"
    by = "ON t.id = r.ti_id" if database.query(database_url, of_three) else "USING (dag_id, run_id, task_id, map_index)"
    poked = database.query(
        database_url,
        f"""SELECT t.dag_id, t.run_id, t.task_id, t.map_index, min(r.start_date)
        FROM task_reschedule r JOIN task_instance t {by} GROUP BY 1, 2, 3, 4""",  # noqa: S608 - constants
    )
    return {
        **{(RUN, dag, run, "", -1): at.timestamp() for dag, run, at in runs},
        **{(DEFERRED, dag, run, task, index): _epoch(at) for dag, run, task, index, at in waiting},
        **{(SENSOR, dag, run, task, index): at.timestamp() for dag, run, task, index, at in poked},
    }


def in_dump(dump: Dump) -> Clocks:
    """The clocks that ran at a cut."""
    instances = list(dump.rows("task_instance"))
    keys = {row.get("id") or _key(row): _key(row) for row in instances}
    poked: dict[tuple[str, str, str, int], float] = {}
    resting = {_key(row) for row in instances if row["state"] == "up_for_reschedule"}
    for row in dump.rows("task_reschedule"):
        key = keys[row["ti_id"] or ""] if "ti_id" in row else _key(row)
        if key in resting:
            poked[key] = min(poked.get(key, float("inf")), _epoch(row["start_date"]))
    running = [row for row in dump.rows("dag_run") if row["state"] == "running" and row["start_date"]]
    waiting = [row for row in instances if row["state"] == "deferred" and row["trigger_timeout"]]
    found: dict[Clock, float] = {
        **{(RUN, row["dag_id"] or "", row["run_id"] or "", "", -1): _epoch(row["start_date"]) for row in running},
        **{(DEFERRED, *_key(row)): _epoch(row["trigger_timeout"]) for row in waiting},
        **{(SENSOR, *key): at for key, at in poked.items()},
    }
    return {clock: at for clock, at in found.items() if not clock[1].startswith(OWN_PREFIX)}


def did_not_run(at_cut: Clocks, live: Clocks, at_least: float, at_most: float) -> Check:
    """Every clock that ran at the cut was moved by the same time, which is what had passed when it went live."""
    moved = {clock: live[clock] - at for clock, at in at_cut.items() if clock in live}
    wrong = {clock: seconds for clock, seconds in moved.items() if not at_least <= seconds <= at_most}
    kinds = {kind: sum(clock[0] == kind for clock in moved) for kind in (RUN, DEFERRED, SENSOR)}
    uneven = max(moved.values(), default=0.0) - min(moved.values(), default=0.0) > 0.001
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    detail = f"{counted}, each moved by {max(moved.values(), default=0):.0f} s"
    if wrong or uneven:
        named = show(f"{clock[0]} of {' '.join(clock[1:4])}: {seconds:.1f} s" for clock, seconds in wrong.items())
        detail = f"not all moved alike, by {at_least:.0f} to {at_most:.0f} s: {named or counted}"
    passed = all(kinds.values()) and not wrong and not uneven
    return Check("what is timed has as much time left as at the cut", passed, detail)


def _key(row: Mapping[str, str | None]) -> tuple[str, str, str, int]:
    return (row["dag_id"] or "", row["run_id"] or "", row["task_id"] or "", int(row["map_index"] or -1))


def _epoch(text: str | None) -> float:
    """Of a time as PostgreSQL prints it; one without a zone is UTC."""
    moment = datetime.fromisoformat(text or "")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
