"""Run history of several months, and what is to be said of it, told from the database itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import fmean
from typing import Any

from psycopg2 import sql

from tests.integration.engine.oracle import ask, cursor_on, dated
from tests.integration.engine.rows import NASTY, Rows
from tests.integration.engine.worker import Side

DAYS = 150
#: Columns of the lake that have other names in the database.
NAMES = {
    "logical_date": ("logical_date", "execution_date"),
    "schedule": ("timetable_summary", "schedule_interval"),
    "queued_at": ("queued_at", "queued_dttm"),
}


def fill_months(side: Side, seed: int, runs: int = 60) -> None:
    """Runs of three DAGs over five months until now, with attempts that failed and were made again."""
    with cursor_on(side) as cursor:
        rows = Rows(cursor, seed)
        for dag in range(3):
            for nth in range(runs):
                ago = timedelta(days=DAYS * (1 - nth / runs), seconds=rows.random.random() * 9e4)
                # As exact as Athena's columns are.
                moment = (datetime.now(UTC) - ago).replace(microsecond=1000 * rows.random.randrange(1000))
                _run(rows, f"dag {dag} \u2603", f"run {nth} {NASTY[nth % len(NASTY)][:60]}", moment)


def _run(rows: Rows, dag_id: str, run_id: str, moment: datetime) -> None:
    state = rows.random.choice(["success", "success", "success", "failed", "running"])
    took = timedelta(milliseconds=rows.random.randrange(4_000_000))
    rows.insert(
        "dag_run",
        dag_id=dag_id,
        run_id=run_id,
        run_type="manual",
        state=state,
        clear_number=0,
        start_date=moment,
        end_date=None if state == "running" else moment + took,
        updated_at=moment + took,
        **dated(moment - timedelta(hours=1)),
    )
    for task in range(3):
        _task(rows, {"dag_id": dag_id, "run_id": run_id, "task_id": f'task "{task}"', "map_index": -1}, moment)


def _task(rows: Rows, key: dict[str, Any], moment: datetime) -> None:
    """A task instance with up to two attempts before its last."""
    attempts = rows.random.choice([1, 1, 1, 2, 3])
    last = rows.random.choice(["success", "success", "failed"])
    dates = [moment + timedelta(minutes=20 * nth, milliseconds=rows.random.randrange(1000)) for nth in range(attempts)]
    values = {"pool": "p", "pool_slots": 1, "max_tries": 3, "operator": rows.text(500)}

    def attempt(nth: int) -> dict[str, Any]:
        took = rows.random.randrange(1, 900)
        ended = dates[nth] + timedelta(seconds=took)
        return {"start_date": dates[nth], "end_date": ended, "duration": took, "updated_at": ended}

    *earlier, latest = [attempt(nth) for nth in range(attempts)]
    rows.insert("task_instance", **key, **values, **latest, state=last, try_number=attempts)
    for number, one in enumerate(earlier, start=1):
        rows.insert("task_instance_history", **key, **values, **one, state="failed", try_number=number)
    for one in [*earlier, *([latest] if last == "failed" else [])]:
        rows.insert("task_fail", **key, **{name: one[name] for name in ("start_date", "end_date", "duration")})


# -- what the lake must hold -----------------------------------------------------------------------------------------


def rows_of(side: Side, table: str, columns: Iterable[str]) -> list[tuple[Any, ...]]:
    """The rows of a table of users' DAGs, by the columns of the lake; what this version lacks is None."""
    asked = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
    present = {name for (name,) in ask(side, asked, table)}
    if not present:
        return []
    columns = tuple(columns)
    sources = [next((name for name in NAMES.get(column, (column,)) if name in present), None) for column in columns]
    values = [sql.Identifier(name) if name else sql.SQL("NULL") for name in sources]
    query = sql.SQL("SELECT {} FROM {} WHERE dag_id IS NULL OR dag_id NOT LIKE 'continuity\\_%%'")
    return [
        tuple(_plain(column, value) for column, value in zip(columns, row, strict=True))
        for row in ask(side, query.format(sql.SQL(", ").join(values), sql.Identifier(table)))
    ]


def _plain(column: str, value: Any) -> Any:
    if column == "duration" and value is not None:
        return float(value)  # of `task_fail` it is a whole number
    if not isinstance(value, datetime):
        return value
    if value.year in (1, 9999):
        return None  # infinity, which JSON has no word for
    return value.astimezone(UTC).replace(tzinfo=None)


# -- what queries must answer ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    """One attempt of a task instance."""

    dag_id: str
    task_id: str
    state: str
    start: datetime
    end: datetime
    seconds: float
    is_latest: bool


def attempts_of(side: Side) -> list[Attempt]:
    """Every attempt, from wherever this version keeps it; as `_task` made them, none is told twice."""
    columns = ("dag_id", "task_id", "run_id", "state", "start_date", "end_date", "duration")
    found = [(*row, True) for row in rows_of(side, "task_instance", columns)]
    earlier = [(*row, False) for row in rows_of(side, "task_instance_history", columns)]
    if not earlier:
        starts = {(row[0], row[1], row[2], row[4]) for row in found}
        failed = [(*row[:3], "failed", *row[4:], False) for row in rows_of(side, "task_fail", columns)]
        earlier = [row for row in failed if (row[0], row[1], row[2], row[4]) not in starts]
    return [
        Attempt(dag_id, task_id, state, start, end, float(seconds), latest)
        for dag_id, task_id, _, state, start, end, seconds, latest in [*found, *earlier]
    ]


def month_of(moment: datetime) -> date:
    return date(moment.year, moment.month, 1)


def month_before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def monthly_runs(sides: Mapping[str, Side]) -> list[dict[str, Any]]:
    """What the saved query of this name must say."""
    months: dict[tuple[str, str, date], list[tuple[str, float]]] = defaultdict(list)
    for environment, side in sides.items():
        for dag_id, state, start, end in rows_of(side, "dag_run", ("dag_id", "state", "start_date", "end_date")):
            if state in ("success", "failed") and start and end:
                seconds = ((end - start) // timedelta(milliseconds=1)) / 1000
                months[environment, dag_id, month_of(start)].append((state, seconds))
    told = {key: _told_of_month(runs) for key, runs in months.items()}
    return [
        {
            "environment": environment,
            "dag_id": dag_id,
            "month": month,
            **one,
            **_change(one, told.get((environment, dag_id, month_before(month)))),
        }
        for (environment, dag_id, month), one in sorted(told.items())
    ]


def _told_of_month(runs: Sequence[tuple[str, float]]) -> dict[str, Any]:
    seconds = [one for _, one in runs]
    succeeded = sum(state == "success" for state, _ in runs)
    return {
        "runs": len(runs),
        "succeeded": succeeded,
        "success_rate": succeeded / len(runs),
        "shortest_seconds": min(seconds),
        "longest_seconds": max(seconds),
        "average_seconds": fmean(seconds),
    }


def _change(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    names = {"runs_change": "runs", "success_rate_change": "success_rate", "average_seconds_change": "average_seconds"}
    return {name: now[of] - before[of] if before else None for name, of in names.items()}


def slowest_tasks(sides: Mapping[str, Side], now: datetime) -> list[dict[str, Any]]:
    since = (now - timedelta(days=90)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    tasks: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for environment, side in sides.items():
        for one in attempts_of(side):
            if one.start >= since:
                tasks[environment, one.dag_id, one.task_id].append(one.seconds)
    rows = [
        {
            "environment": environment,
            "dag_id": dag_id,
            "task_id": task_id,
            "attempts": len(seconds),
            "total_seconds": sum(seconds),
            "average_seconds": fmean(seconds),
            "longest_seconds": max(seconds),
        }
        for (environment, dag_id, task_id), seconds in tasks.items()
    ]
    return sorted(rows, key=lambda row: (-row["total_seconds"], row["environment"], row["dag_id"], row["task_id"]))


def failures_by_hour(sides: Mapping[str, Side], now: datetime) -> list[dict[str, Any]]:
    since = (now - timedelta(days=90)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    hours: dict[tuple[str, int], list[str]] = defaultdict(list)
    for environment, side in sides.items():
        for one in attempts_of(side):
            if one.end >= since and one.state in ("success", "failed"):
                hours[environment, one.end.hour].append(one.state)
    return [
        {
            "environment": environment,
            "hour_of_day": hour,
            "attempts": len(states),
            "failed": states.count("failed"),
            "failure_rate": states.count("failed") / len(states),
        }
        for (environment, hour), states in sorted(hours.items())
    ]


def cost_of_retries(sides: Mapping[str, Side]) -> list[dict[str, Any]]:
    months: dict[tuple[str, str, date], list[Attempt]] = defaultdict(list)
    for environment, side in sides.items():
        for one in attempts_of(side):
            months[environment, one.dag_id, month_of(one.start)].append(one)
    rows = [
        {
            "environment": environment,
            "dag_id": dag_id,
            "month": month,
            "attempts": len(found),
            "repeated": sum(not one.is_latest for one in found),
            "repeated_seconds": (repeated := sum(one.seconds for one in found if not one.is_latest)),
            "repeated_share": repeated / sum(one.seconds for one in found),
        }
        for (environment, dag_id, month), found in months.items()
        if any(not one.is_latest for one in found)
    ]
    return sorted(rows, key=lambda row: (-row["repeated_seconds"], row["environment"], row["dag_id"], row["month"]))


def runs_by_region(sides: Mapping[str, Side]) -> list[dict[str, Any]]:
    months: dict[tuple[date, str, str], list[tuple[str, float]]] = defaultdict(list)
    for environment, side in sides.items():
        for state, start, end in rows_of(side, "dag_run", ("state", "start_date", "end_date")):
            if state in ("success", "failed") and start and end:
                seconds = ((end - start) // timedelta(milliseconds=1)) / 1000
                months[month_of(start), environment, side.region].append((state, seconds))
    return [
        {
            "month": month,
            "environment": environment,
            "region": region,
            "runs": len(runs),
            "success_rate": sum(state == "success" for state, _ in runs) / len(runs),
            "total_seconds": sum(seconds for _, seconds in runs),
        }
        for (month, environment, region), runs in sorted(months.items())
    ]
