"""A long history: DAGs that are gone, whose ended runs the source carries along, as many as asked for.

The comparator holds rows in memory, so these are left out of what it reads, and compared here, by the two databases:
in the order of what identifies a row, one row beside the other, value by value. Airflow never touches them, so the
source's are the same after the cut.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import psycopg2
from psycopg2 import sql

from tests.bench.generate import TASKS_PER_RUN, Size, add_history
from tests.postgres import OWNER, SUPERUSER
from tests.rehearsal import database
from tests.rehearsal.comparator import TableResult

#: Ids of the DAGs that are gone start so.
PREFIX = "history_"
#: The version of Airflow whose schema the rows fit.
AIRFLOW = "2.10.3"
#: One run of each DAG.
AT_LEAST = Size(0).dags * TASKS_PER_RUN
FETCHED = 5000
#: What identifies a row, as text, and its values.
Row = tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """How the rows of one table are told apart and compared. Of columns that hold ids: the table whose ids they are,
    all of which are shifted alike. `instead`: what is compared instead of a column. `only`: no others are carried."""

    key: str
    ids: dict[str, str] = field(default_factory=dict)
    instead: dict[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()


BY_ID = "to_char(id - {shift}, 'FM000000000000')"
BY_INSTANCE = "concat_ws('/', dag_id, run_id, task_id, map_index{more})"
TABLES = {
    "dag": Compared("dag_id", only=("dag_id", "is_paused")),
    "dag_run": Compared(
        BY_ID,
        {"id": "dag_run"},
        {"log_template_id": "(SELECT filename FROM log_template l WHERE l.id = log_template_id)"},
    ),
    "task_instance": Compared(BY_INSTANCE.format(more=""), {"job_id": "job", "queued_by_job_id": "job"}),
    "xcom": Compared(BY_INSTANCE.format(more=", key"), {"dag_run_id": "dag_run"}),
    "job": Compared(BY_ID, {"id": "job"}),
    "log": Compared(BY_ID, {"id": "log"}),
}


def load(database_url: str, task_instances: int) -> None:
    """Put a history of so many task instances into a database of Airflow 2.10 that is in use."""
    superusers = database.dsn(database_url).replace(f"//{OWNER}:", f"//{SUPERUSER}:", 1)
    with closing(psycopg2.connect(superusers)) as connection:
        with connection, connection.cursor() as cursor:
            add_history(cursor, Size(task_instances), PREFIX)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def compare(source_url: str, target_url: str) -> list[TableResult]:
    """One result per table."""
    return [_compared(name, how, source_url, target_url) for name, how in TABLES.items()]


def _compared(name: str, how: Compared, source_url: str, target_url: str) -> TableResult:
    result = TableResult(f"{name} (history)")
    columns = how.only or _columns(source_url, name)
    sources, targets = (_rows(url, name, how, columns) for url in (source_url, target_url))
    source, target = next(sources, None), next(targets, None)
    while source or target:
        if source and target and source[0] == target[0]:
            of_both = zip(columns, source[1:], target[1:], strict=True)
            if wrong := [column for column, was, became in of_both if was != became]:
                result.differs(source[0], f"{', '.join(wrong)} became another")
            result.rows_source += 1
            result.rows_restored += 1
            source, target = next(sources, None), next(targets, None)
        elif source and (not target or source[0] < target[0]):
            result.differs(source[0], "is missing")
            result.rows_source += 1
            source = next(sources, None)
        elif target:
            result.differs(target[0], "is not in the source, but is in the target")
            target = next(targets, None)
    return result


def _rows(url: str, name: str, how: Compared, columns: tuple[str, ...]) -> Iterator[Row]:
    """What identifies each row, and its values, as text; a few rows at a time."""
    first = {table: _first_id(url, table) for table in {name, *how.ids.values()} if "id" in TABLES[table].ids}
    values = [
        sql.SQL(how.instead[column])
        if column in how.instead
        else sql.SQL("({} - {})::text").format(sql.Identifier(column), sql.Literal(first[how.ids[column]]))
        if column in how.ids
        else sql.SQL("{}::text").format(sql.Identifier(column))
        for column in columns
    ]
    query = sql.SQL('SELECT {} COLLATE "C", {} FROM {} WHERE starts_with(dag_id, {}) ORDER BY 1').format(
        sql.SQL(how.key.format(shift=first.get(name, 0))),
        sql.SQL(", ").join(values),
        sql.Identifier(name),
        sql.Literal(PREFIX),
    )
    connected = closing(psycopg2.connect(database.dsn(url)))
    with connected as connection, connection.cursor(name=f"rows_{uuid.uuid4().hex}") as cursor:
        cursor.itersize = FETCHED
        cursor.execute(query)
        yield from cursor


def _first_id(url: str, table: str) -> int:
    """Of the history's rows: how far it is from the other side's says how far all ids are."""
    found = database.query(
        url,
        f"SELECT coalesce(min(id), 0) FROM {table} WHERE starts_with(dag_id, %s)",  # noqa: S608  (a name of our own)
        (PREFIX,),
    )
    return int(found[0][0])


def _columns(url: str, table: str) -> tuple[str, ...]:
    query = """SELECT column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position"""
    return tuple(row[0] for row in database.query(url, query, (table,)))
