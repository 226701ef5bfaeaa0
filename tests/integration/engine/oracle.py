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
from tests.integration.engine.worker import Side

PARSED_AT = "2100-01-01 00:00:00+00"
EXECUTING = ("running", "queued", "scheduled", "restarting")
HOLDING = (*EXECUTING, "deferred", "up_for_retry", "up_for_reschedule")
FORGOTTEN = ("job_id", "queued_by_job_id", "pid", "external_executor_id", "queued_dttm")


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
    """When a target was restored, and by how much going live moved what is timed (None: it is not live)."""

    restored_at: datetime
    moved: timedelta | None = None


def times(source: Side, target: Side, live: bool) -> Times:
    """Read off a few rows; that all others agree is for the comparison to say."""
    ((restored_at,),) = ask(target, "SELECT end_date FROM dag_run WHERE run_type = 'backfill' AND dag_id = 'dag_5'")
    timed = "SELECT dag_id, run_id, start_date FROM dag_run WHERE state = 'running' AND start_date IS NOT NULL"
    before = {row[:2]: row[2] for row in ask(source, timed + " AND run_type <> 'backfill'")}
    moved = {row[2] - before[row[:2]] for row in ask(target, timed) if row[:2] in before}
    assert len(moved) == 1, moved
    return Times(restored_at.astimezone(UTC), moved.pop() if live else None)


def printed(moment: datetime) -> str:
    """As PostgreSQL prints a time in UTC."""
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}{'+00' if moment.tzinfo else ''}"


def restored(when: Times) -> Callable[[str, Row], Row]:
    """The declared transformations, written down a second time."""
    live = when.moved is not None

    def moved(value: str | None) -> str | None:
        return printed(datetime.fromisoformat(value) + when.moved) if value and when.moved is not None else value

    def change(table: str, row: Row) -> Row:
        row = dict(row)
        if table == "dag":
            row.update(is_active="false", last_parsed_time=None, scheduler_lock=None, pickle_id=None)
            if live and row["dag_id"] != "dag_4":
                row.update(is_active="true", last_parsed_time=PARSED_AT)
            if not live:
                row["is_paused"] = "true"
        if table == "job" and row["state"] in ("running", "restarting"):
            row.update(state="failed", end_date=row["end_date"] or row["latest_heartbeat"])
        if table == "dag_run" and row["end_date"] is None:
            if row["run_type"] == "backfill":
                row.update(state="failed", end_date=printed(when.restored_at))
            elif row["state"] == "running":
                row["start_date"] = moved(row["start_date"])
        if table == "task_instance":
            change_instance(row)
        if table == "task_instance_history" and not live and row["trigger_id"]:
            row["trigger_id"] = "dangling"
        return row

    def change_instance(row: Row) -> None:
        if (row["run_id"] or "").startswith("backfill__") and row["state"] in HOLDING:
            row.update(dict.fromkeys(FORGOTTEN), hostname="", state="failed", end_date=printed(when.restored_at))
            row.update(trigger_id=None, duration=None)
            if row["start_date"]:
                lasted = when.restored_at - datetime.fromisoformat(row["start_date"])
                row["duration"] = repr(lasted.total_seconds()).removesuffix(".0")
        if row["state"] in EXECUTING:
            if row["state"] != "restarting":
                row["try_number"] = str(int(row["try_number"] or 0) - 1)
            again = printed(when.restored_at) if row["next_method"] else None
            row.update(dict.fromkeys((*FORGOTTEN, "state", "end_date", "duration")), hostname="", start_date=again)
        if row["state"] == "deferred":
            row["trigger_timeout"] = moved(row["trigger_timeout"]) if live else None
        if not live:
            row["trigger_id"] = None

    return change


def pretend_parsed(target: Side, source: compare.Database, but: tuple[str, ...] = ()) -> None:
    """Do what Airflow's parser does to the rows of the restored DAGs that still have a file."""
    dag_ids = [row["dag_id"] for row in source.rows["dag"] if row["is_active"] == "true" and row["dag_id"] not in but]
    with cursor_on(target) as cursor:
        cursor.execute(
            "UPDATE dag SET is_active = true, last_parsed_time = %s WHERE dag_id = ANY (%s)", (PARSED_AT, dag_ids)
        )
        cursor.execute(
            "INSERT INTO serialized_dag (dag_id, fileloc, fileloc_hash, data, last_updated, dag_hash)"
            " SELECT unnest(%s), 'x', 1, %s, now(), 'x'",
            (dag_ids, json.dumps({})),
        )


def assert_sequences_are_beyond(side: Side) -> None:
    """The next id of every table is one that nobody has."""
    with cursor_on(side) as cursor:
        cursor.execute(
            "SELECT table_name, pg_get_serial_sequence(table_name, 'id') FROM information_schema.columns"
            " WHERE column_name = 'id' AND table_schema = 'public' AND data_type = 'integer'"
        )
        for table, sequence in cursor.fetchall():
            highest_and_next = sql.SQL("SELECT COALESCE(max(id), 0), nextval({}) FROM {}")
            cursor.execute(highest_and_next.format(sql.Literal(sequence), sql.Identifier(table)))
            highest, following = cursor.fetchone()
            assert following > highest, table
