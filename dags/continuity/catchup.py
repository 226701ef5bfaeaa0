"""Runs that fell due while the environment slept, and are not to run.

Airflow counts the next run of a schedule from the latest one there is, again at every parse. So what is skipped is
kept by a placeholder, a run that never ran: state `failed`, no task instances, no callback. It goes as soon as a later
run exists, and leaves the gap that Airflow itself leaves where it does not catch up. Until then tasks that depend on
the past wait.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extras import execute_values

from continuity import ledger as ledgers
from continuity import variables
from continuity.catalog import Catalog, read_catalog
from continuity.chosen import run_date
from continuity.schedules import Due, NoSchedule, Open, Schedule, plain
from continuity.settings import LATEST_RUN

log = logging.getLogger(__name__)

#: Run ids of placeholders start with it.
PLACEHOLDER = "asleep__"
#: Which DAGs have placeholders, so that nobody has to look for them.
VARIABLE = "continuity_asleep"
DESCRIPTION = "DAGs with runs that only stand for what was skipped after a sleep; do not change it"
#: Runs of one DAG that are counted; a schedule that asks for more is left alone.
MOST = 100_000
#: DAGs that an answer names.
NAMED = 50
AUTOMATED = "run_type IN ('scheduled', 'backfill')"


@dataclass(frozen=True)
class Skipped:
    """runs: how many, by DAG; kept: why the runs of other DAGs that were due are all made up for."""

    runs: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """For the answer: how many runs, and at most so many DAGs by name."""
        return {
            "skipped_runs": sum(self.runs.values()),
            "skipped": _named(f"{dag_id}: {runs}" for dag_id, runs in sorted(self.runs.items())),
            "not_skipped": _named(f"{dag_id}: {why}" for dag_id, why in sorted(self.kept.items())),
        }


@dataclass(frozen=True)
class Choice:
    """What is not made up for: what fell due from `since` on, as far as `wanted` says; `open_schedule` asks Airflow."""

    wanted: str
    since: datetime
    open_schedule: Open


@dataclass(frozen=True)
class Missed:
    """skipped: what is not to run, oldest first; following: the run with which the schedule goes on."""

    skipped: tuple[Due, ...]
    following: Due


def missed(schedule: Schedule, last: Due | None, choice: Choice, now: datetime) -> Missed | None:
    """What of a schedule is not made up for; None where that is nothing. Raises NoSchedule, saying why all runs are."""
    due: list[Due] = []
    following = schedule.after(last)
    while following and following.run_after <= now:
        if due and following.start <= due[-1].start:
            raise NoSchedule("its timetable does not go forward")
        if len(due) == MOST:
            raise NoSchedule(f"more than {MOST} of its runs are due")
        due.append(following)
        following = schedule.after(following)
    if not due:
        return None
    if due[0].run_after <= choice.since:
        raise NoSchedule("it was behind before the sleep")
    if choice.wanted == LATEST_RUN:
        following = due.pop()
    if following is None:
        raise NoSchedule("its timetable names no run to go on with")
    return Missed(tuple(due), following) if due else None


def skip(cursor: Any, catalog: Catalog, dag_ids: Iterable[str], choice: Choice) -> Skipped:
    """Mark what is not made up for of these DAGs, within the caller's transaction, and have Airflow go on after it.

    The rows of the DAGs are locked first, as a parse does: one that comes later counts from the placeholders.
    """
    skipped: dict[str, int] = {}
    kept: dict[str, str] = {}
    wanted = list(dag_ids)
    cursor.execute("SELECT 1 FROM dag WHERE dag_id = ANY (%s) ORDER BY dag_id FOR UPDATE", (wanted,))
    now = datetime.now(UTC)  # the clock that timetables ask
    last = _latest(cursor, catalog, wanted)
    unfinished = _unfinished(cursor, wanted)
    for dag_id in wanted:
        try:
            document = _serialized(cursor, catalog, dag_id)
            found = missed(choice.open_schedule(document), last.get(dag_id), choice, now)
        except NoSchedule as why:
            kept[dag_id] = str(why)
            continue
        if found:
            # In Airflow 2 and 3.0 a run that ends has the schedule go on after it, whatever came later: what is there
            # already is passed over, so each run needs its placeholder.
            placeholders = found.skipped if dag_id in unfinished else found.skipped[-1:]
            _insert(cursor, catalog, dag_id, placeholders, now)
            _go_on_with(cursor, dag_id, found.following)
            skipped[dag_id] = len(found.skipped)
    return Skipped(skipped, kept)


def record_placeholders(cursor: Any) -> None:
    """Remember which DAGs have placeholders, those that a snapshot brought along as well."""
    cursor.execute("SELECT DISTINCT dag_id FROM dag_run WHERE starts_with(run_id, %s) ORDER BY 1", (PLACEHOLDER,))
    dag_ids = [row[0] for row in cursor.fetchall()]
    if dag_ids:
        variables.write(cursor, VARIABLE, {"dags": dag_ids}, DESCRIPTION)


def forget_placeholders(connection: Any) -> int:
    """Delete the placeholders that are of no use any more; returns how many.

    One is needed until a later run exists, and while an earlier one is unfinished. One that somebody made a run of
    stays. While history is restored, more may come.
    """
    with connection, connection.cursor() as cursor:
        record = variables.read(cursor, VARIABLE)
        if record is None:
            return 0
        ledger = ledgers.read(cursor)
        if ledger and ledger.to_come:
            return 0
        date = sql.Identifier(run_date(read_catalog(cursor)))
        values = {"dag_ids": record["dags"], "placeholder": PLACEHOLDER}
        cursor.execute(sql.SQL(DELETE).format(date=date, automated=sql.SQL(AUTOMATED)), values)
        forgotten = int(cursor.rowcount)
        cursor.execute(f"SELECT DISTINCT m.dag_id {PLACEHOLDERS} ORDER BY 1", values)
        left = [row[0] for row in cursor.fetchall()]
        if left:
            variables.write(cursor, VARIABLE, {"dags": left}, DESCRIPTION)
        else:
            variables.forget(cursor, VARIABLE)
    return forgotten


PLACEHOLDERS = """FROM dag_run m
    WHERE m.dag_id = ANY (%(dag_ids)s) AND starts_with(m.run_id, %(placeholder)s) AND m.state = 'failed'
    AND NOT EXISTS (SELECT 1 FROM task_instance t WHERE (t.dag_id, t.run_id) = (m.dag_id, m.run_id))"""
DELETE = f"""DELETE {PLACEHOLDERS}
    AND EXISTS (SELECT 1 FROM dag_run r WHERE r.dag_id = m.dag_id AND r.{{automated}}
        AND NOT starts_with(r.run_id, %(placeholder)s) AND r.{{date}} > m.{{date}})
    AND NOT EXISTS (SELECT 1 FROM dag_run u WHERE u.dag_id = m.dag_id AND u.{{automated}}
        AND u.state IN ('queued', 'running') AND u.{{date}} < m.{{date}})"""  # noqa: S608


def _latest(cursor: Any, catalog: Catalog, dag_ids: list[str]) -> dict[str, Due]:
    """The latest run of each schedule."""
    after = "run_after" if catalog["dag_run"].has("run_after") else "data_interval_end"
    cursor.execute(
        sql.SQL(
            """SELECT l.* FROM unnest(%s::text[]) d (dag_id) CROSS JOIN LATERAL (
                SELECT r.dag_id, r.data_interval_start AS starts, r.data_interval_end AS ends, r.{after} AS due
                FROM dag_run r WHERE r.dag_id = d.dag_id AND {automated} AND r.{date} IS NOT NULL
                ORDER BY r.{date} DESC LIMIT 1) l
            WHERE l.starts IS NOT NULL AND l.ends IS NOT NULL"""
        ).format(after=sql.Identifier(after), automated=sql.SQL(AUTOMATED), date=sql.Identifier(run_date(catalog))),
        (dag_ids,),
    )
    return {dag_id: Due(*dates) for dag_id, *dates in cursor.fetchall()}


def _unfinished(cursor: Any, dag_ids: list[str]) -> set[str]:
    """Those of the DAGs of whose schedule a run goes on."""
    cursor.execute(
        f"SELECT DISTINCT dag_id FROM dag_run WHERE dag_id = ANY (%s) AND {AUTOMATED}"  # noqa: S608
        " AND state IN ('queued', 'running')",
        (dag_ids,),
    )
    return {row[0] for row in cursor.fetchall()}


def _serialized(cursor: Any, catalog: Catalog, dag_id: str) -> Any:
    """The newest serialized form of a DAG. Raises NoSchedule where there is none."""
    newest = "created_at" if catalog["serialized_dag"].has("created_at") else "last_updated"
    cursor.execute(
        sql.SQL("SELECT data, data_compressed FROM serialized_dag WHERE dag_id = %s ORDER BY {} DESC LIMIT 1").format(
            sql.Identifier(newest)
        ),
        (dag_id,),
    )
    row = cursor.fetchone()
    if row is None:
        raise NoSchedule("it was not parsed here")
    return plain(*row)


def _insert(cursor: Any, catalog: Catalog, dag_id: str, runs: Iterable[Due], now: datetime) -> None:
    date = run_date(catalog)
    rows = [
        {
            "dag_id": dag_id,
            "run_id": f"{PLACEHOLDER}{run.start.astimezone(UTC).isoformat()}",
            "run_type": "scheduled",
            "state": "failed",
            date: run.start,
            "run_after": run.run_after,
            "data_interval_start": run.start,
            "data_interval_end": run.end,
            "queued_at": now,
            "start_date": now,
            "end_date": now,
            "updated_at": now,
            "created_at": now,
            "external_trigger": False,
            "clear_number": 0,
        }
        for run in runs
    ]
    names = [name for name in rows[0] if catalog["dag_run"].has(name)]
    statement = sql.SQL("INSERT INTO dag_run ({}) VALUES %s").format(sql.SQL(", ").join(map(sql.Identifier, names)))
    execute_values(cursor, statement, [[row[name] for name in names] for row in rows])


def _go_on_with(cursor: Any, dag_id: str, following: Due) -> None:
    """As a parse would; that a DAG waits for one of its runs to end stays so."""
    cursor.execute(
        """UPDATE dag SET next_dagrun = %s, next_dagrun_data_interval_start = %s, next_dagrun_data_interval_end = %s,
            next_dagrun_create_after = CASE WHEN next_dagrun_create_after IS NOT NULL THEN %s END
        WHERE dag_id = %s""",
        (following.start, following.start, following.end, following.run_after, dag_id),
    )


def _named(lines: Iterable[str]) -> list[str]:
    found = list(lines)
    more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    return found[:NAMED] + more
