"""What a restore must have done, said independently of the engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
from cryptography.fernet import Fernet
from psycopg2 import sql

from tests.integration.engine import compare
from tests.integration.engine.compare import Row
from tests.integration.engine.rows import Rows
from tests.integration.engine.worker import Side

PARSED_AT = "2100-01-01 00:00:00+00"
EXECUTING = ("running", "queued", "scheduled", "restarting")
HOLDING = (*EXECUTING, "deferred", "awaiting_input", "up_for_retry", "up_for_reschedule")
FORGOTTEN = (
    "job_id",
    "queued_by_job_id",
    "pid",
    "external_executor_id",
    "queued_dttm",
    "last_heartbeat_at",
    "scheduled_dttm",
)
WAITING = ("deferred", "awaiting_input")


@contextmanager
def cursor_on(side: Side) -> Iterator[Any]:
    """A cursor in a transaction that is committed at the end of the block."""
    connection = psycopg2.connect(side.dsn)
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def ask(side: Side, query: str | sql.Composable, *values: Any) -> list[tuple[Any, ...]]:
    with cursor_on(side) as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall()) if cursor.description else []


def add(side: Side, table: str, *rows: dict[str, Any]) -> list[Any]:
    """Insert rows, whatever the schema; returns their ids."""
    with cursor_on(side) as cursor:
        return Rows(cursor, seed=0).insert_many(table, list(rows))


def dated(moment: datetime) -> dict[str, Any]:
    """The dates of a run, by the names of any version."""
    return dict.fromkeys(("execution_date", "logical_date", "run_after"), moment)


def is_airflow_2(side: Side) -> bool:
    return side.airflow_version.startswith("2.")


def waiting_for(side: Side, table: str) -> bool:
    """Whether a session waits for a lock on the table."""
    query = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    return ask(side, query, table) == [(True,)]


def everything(side: Side) -> dict[str, list[str]]:
    """Every row of every table, as text in order: two of these are equal only if nothing at all has changed."""
    tables = [name for (name,) in ask(side, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]
    all_of = sql.SQL("SELECT t::text FROM {} t ORDER BY 1")
    return {name: [row for (row,) in ask(side, all_of.format(sql.Identifier(name)))] for name in tables}


def assert_equal(expected: dict[str, Counter[str]], found: dict[str, Counter[str]]) -> None:
    lines = compare.differences(expected, found)
    assert not lines, f"{len(lines)} differences:\n" + "\n".join(lines[:20])


def read(side: Side) -> compare.Database:
    return compare.read(side.dsn, Fernet(side.fernet_key))


@dataclass(frozen=True)
class Times:
    """When a target was restored, by how much going live moved what is timed (None: it is not live), the source's
    Airflow version, and what identifies the task instances of unfinished runs that are not finished."""

    restored_at: datetime
    moved: timedelta | None
    airflow_version: str
    unfinished: frozenset[tuple[str, ...]] = frozenset()

    @property
    def counted(self) -> tuple[str, ...]:
        """States in which the attempt that was cut off is in `try_number`: since 2.10 from being scheduled on."""
        return ("running",) if self.airflow_version.startswith("2.9.") else ("running", "queued", "scheduled")


def times(source: Side, target: Side, live: bool) -> Times:
    """Read off a few rows; that all others agree is for the comparison to say."""
    in_flight = "SELECT dag_id, run_id, task_id, map_index FROM task_instance WHERE next_method IS NOT NULL AND state"
    executing = set(ask(source, in_flight + " = ANY (%s) AND run_id NOT LIKE 'backfill%%'", list(EXECUTING)))
    again = ask(target, in_flight.replace(" FROM", ", start_date FROM") + " IS NULL AND starts_with(dag_id, 'dag_')")
    (restored_at,) = {row[4] for row in again if row[:4] in executing}
    driven = "AND run_id NOT LIKE 'backfill%%'" if is_airflow_2(source) else ""
    timed = f"""SELECT dag_id, run_id, '', start_date AT TIME ZONE 'UTC' FROM dag_run
        WHERE state = 'running' AND start_date IS NOT NULL {driven}
        UNION ALL SELECT dag_id, run_id, task_id || map_index, trigger_timeout::timestamp FROM task_instance
        WHERE state IN ('deferred', 'awaiting_input') AND trigger_timeout IS NOT NULL {driven}"""  # noqa: S608
    before = {row[:3]: row[3] for row in ask(source, timed)}
    moved = {row[3] - before[row[:3]] for row in ask(target, timed) if row[:3] in before}
    if not before:  # then nothing is timed, and nothing moves
        moved = {timedelta()}
    assert len(moved) == 1 or not live, moved
    identity = "dag_id, run_id, task_id, map_index::text" if is_airflow_2(source) else "t.id::text"
    unfinished = f"""SELECT {identity} FROM task_instance t JOIN dag_run r USING (dag_id, run_id)
        WHERE coalesce(t.state, 'none') = ANY (%s) AND r.state IN ('queued', 'running')"""  # noqa: S608
    waiting = frozenset(ask(target, unfinished, ["none", *HOLDING]))
    return Times(restored_at.astimezone(UTC), moved.pop() if live else None, source.airflow_version, waiting)


def printed(moment: datetime) -> str:
    """As PostgreSQL prints a time in UTC."""
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}{'+00' if moment.tzinfo else ''}"


def restored(when: Times) -> Callable[[str, Row], Row]:
    """The declared transformations, written down a second time."""
    changes = {
        "dag": changed_dag,
        "dag_run": changed_run,
        "task_instance": changed_instance,
        "task_instance_history": changed_attempt,
        "task_reschedule": changed_poke,
        "job": changed_job,
        "dag_bundle": changed_bundle,
        "deadline": changed_deadline,
        "callback": changed_callback,
    }

    def change(table: str, row: Row) -> Row:
        row = dict(row)
        if table in changes:
            changes[table](row, when)
        return row

    return change


def moved(value: str | None, when: Times) -> str | None:
    """What is timed, after going live."""
    return printed(datetime.fromisoformat(value) + when.moved) if value and when.moved is not None else value


def continue_span(row: Row) -> None:
    if row.get("span_status") == "active":
        row["span_status"] = "needs_continuance"


def changed_dag(row: Row, when: Times) -> None:
    live = when.moved is not None
    known = live and row["dag_id"] != "dag_4"
    fresh: Row = {"is_active": str(known).lower(), "is_stale": str(not known).lower()}
    fresh |= {"last_parsed_time": PARSED_AT if known else None, "scheduler_lock": None, "pickle_id": None}
    row.update({column: value for column, value in fresh.items() if column in row})
    if not live:
        row["is_paused"] = "true"


def changed_run(row: Row, when: Times) -> None:
    if row["end_date"] is not None:
        return
    if row["run_type"] == "backfill" and "backfill_id" not in row:
        row.update(state="failed", end_date=printed(when.restored_at))
    elif row["state"] == "running":
        row["start_date"] = moved(row["start_date"], when)
    continue_span(row)


def changed_instance(row: Row, when: Times) -> None:
    forgotten: Row = {column: None for column in FORGOTTEN if column in row}
    driven = "dag_version_id" not in row
    if driven and (row["run_id"] or "").startswith("backfill__") and row["state"] in HOLDING:
        row.update(forgotten, hostname="", state="failed", end_date=printed(when.restored_at))
        row.update(trigger_id=None, duration=None)
        if row["start_date"]:
            lasted = when.restored_at - datetime.fromisoformat(row["start_date"])
            row["duration"] = repr(lasted.total_seconds()).removesuffix(".0")
    if row["state"] in EXECUTING:
        if row["state"] in when.counted:
            row["try_number"] = str(int(row["try_number"] or 0) - 1)
        again = printed(when.restored_at) if row["next_method"] else None
        row.update(forgotten, state=None, end_date=None, duration=None, hostname="", start_date=again)
    if row["state"] in (None, *HOLDING):
        continue_span(row)
    if row["state"] in WAITING:
        row["trigger_timeout"] = moved(row["trigger_timeout"], when) if when.moved is not None else None
        row["start_date"] = moved(row["start_date"], when)
    if when.moved is None:
        row["trigger_id"] = None


def changed_attempt(row: Row, when: Times) -> None:
    if when.moved is None and row["trigger_id"]:
        row["trigger_id"] = "dangling"


def changed_poke(row: Row, when: Times) -> None:
    columns = ("ti_id",) if "ti_id" in row else ("dag_id", "run_id", "task_id", "map_index")
    if tuple(row[column] for column in columns) in when.unfinished:
        for column in ("start_date", "end_date", "reschedule_date"):
            row[column] = moved(row[column], when)


def changed_job(row: Row, _when: Times) -> None:
    if row["state"] in ("running", "restarting"):
        row.update(state="failed", end_date=row["end_date"] or row["latest_heartbeat"])


def changed_bundle(row: Row, _when: Times) -> None:
    if "signed_url_template" in row:
        row["signed_url_template"] = None


def changed_deadline(row: Row, when: Times) -> None:
    if row.get("missed") == "false":
        row["deadline_time"] = moved(row["deadline_time"], when)


def changed_callback(row: Row, _when: Times) -> None:
    if row["type"] == "executor" and row["state"] in ("queued", "running"):
        row["state"] = "pending"


def pretend_parsed(target: Side, source: compare.Database, but: tuple[str, ...] = ()) -> None:
    """Do what Airflow's parser does to the rows of the restored DAGs that still have a file."""
    dag_ids = [
        row["dag_id"]
        for row in source.rows["dag"]
        if "true" in (row.get("is_active"), "true" if row.get("is_stale") == "false" else None)
        and row["dag_id"] not in but
    ]
    versioned = "dag_version" in source.rows
    active = sql.SQL("is_stale = false" if versioned else "is_active = true")
    with cursor_on(target) as cursor:
        cursor.execute(
            sql.SQL("UPDATE dag SET {}, last_parsed_time = %s WHERE dag_id = ANY (%s)").format(active),
            (PARSED_AT, dag_ids),
        )
        if versioned:  # the parser finds the version that was restored, and adds nothing
            return
        cursor.execute("DELETE FROM serialized_dag WHERE dag_id = ANY (%s)", (dag_ids,))
        cursor.execute(
            "INSERT INTO serialized_dag (dag_id, fileloc, fileloc_hash, data, last_updated, dag_hash)"
            " SELECT unnest(%s), 'x', 1, %s, now(), 'x'",
            (dag_ids, json.dumps({})),
        )


def assert_restores(source: Side, target: Side, snapshot_id: str) -> None:
    """The snapshot holds what the source does, row by row."""
    before = compare.canonical(read(target))
    target.restore_state(snapshot_id)
    target.restore_history(snapshot_id)
    pretend_parsed(target, read(source))
    target.go_live(snapshot_id)
    expected = compare.merged(before, compare.canonical(read(source)), restored(times(source, target, live=True)))
    assert_equal(expected, compare.counted(compare.canonical(read(target))))


def assert_sequences_are_beyond(side: Side) -> None:
    """The next id of every table is one that nobody has."""
    with cursor_on(side) as cursor:
        cursor.execute(
            "SELECT table_name, COALESCE(pg_get_serial_sequence(table_name, 'id'), table_name || '_id_seq')"
            " FROM information_schema.columns WHERE column_name = 'id' AND table_schema = 'public'"
            " AND data_type IN ('integer', 'bigint')"
        )
        for table, sequence in cursor.fetchall():
            highest_and_next = sql.SQL("SELECT COALESCE(max(id), 0), nextval({}) FROM {}")
            cursor.execute(highest_and_next.format(sql.Literal(sequence), sql.Identifier(table)))
            highest, following = cursor.fetchone()
            assert following > highest, table
