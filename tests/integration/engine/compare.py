"""Compare two metadata databases row by row. Imports nothing of the engine, so that they cannot be wrong together.

Ids mean nothing across databases: each is replaced by what it identifies (a run's DAG and run id, a user's name,
...). Cipher texts are replaced by what they decrypt to. What is left must be equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
from cryptography.fernet import Fernet
from psycopg2 import sql

Row = dict[str, str | None]

NEVER_CARRIED = {
    "alembic_version",
    "session",
    "callback_request",
    "dag_priority_parsing_request",
    "ab_register_user",
    "serialized_dag",
    "dag_code",
    "dag_tag",
    "dag_owner_attributes",
    "dag_warning",
    "import_error",
    "dag_pickle",
    "dag_schedule_dataset_reference",
    "dag_schedule_dataset_alias_reference",
    "task_outlet_dataset_reference",
}

#: Column -> the table whose id it holds.
POINTERS = {
    "dag_run": {"creating_job_id": "job", "log_template_id": "log_template"},
    "task_instance": {"job_id": "job", "queued_by_job_id": "job", "trigger_id": "trigger"},
    "task_instance_history": {"job_id": "job", "queued_by_job_id": "job", "trigger_id": "trigger"},
    "trigger": {"triggerer_id": "job"},
    "xcom": {"dag_run_id": "dag_run"},
    "dag_run_note": {"dag_run_id": "dag_run", "user_id": "ab_user"},
    "task_instance_note": {"user_id": "ab_user"},
    "dagrun_dataset_event": {"dag_run_id": "dag_run", "event_id": "dataset_event"},
    "dataset_event": {"dataset_id": "dataset"},
    "dataset_dag_run_queue": {"dataset_id": "dataset"},
    "dataset_alias_dataset": {"dataset_id": "dataset", "alias_id": "dataset_alias"},
    "dataset_alias_dataset_event": {"alias_id": "dataset_alias", "event_id": "dataset_event"},
    "ab_permission_view": {"permission_id": "ab_permission", "view_menu_id": "ab_view_menu"},
    "ab_permission_view_role": {"permission_view_id": "ab_permission_view", "role_id": "ab_role"},
    "ab_user": {"created_by_fk": "ab_user", "changed_by_fk": "ab_user"},
    "ab_user_role": {"user_id": "ab_user", "role_id": "ab_role"},
}

#: What identifies a row that others point to.
IDENTITY = {
    "dag_run": ("dag_id", "run_id"),
    "job": ("job_type", "start_date", "latest_heartbeat", "hostname"),
    "log_template": ("filename", "elasticsearch_id"),
    "trigger": ("classpath", "kwargs", "created_date"),
    "ab_user": ("username",),
    "ab_role": ("name",),
    "ab_permission": ("name",),
    "ab_view_menu": ("name",),
    "ab_permission_view": ("permission_id", "view_menu_id"),
    "dataset": ("uri",),
    "dataset_alias": ("name",),
    "dataset_event": ("dataset_id", "timestamp", "source_run_id"),
}

#: Things both databases may have: the restored one wins.
NAMED = {
    "connection": ("conn_id",),
    "variable": ("key",),
    "slot_pool": ("pool",),
    "dag": ("dag_id",),
    **{
        table: key
        for table, key in IDENTITY.items()
        if table.startswith("ab_") or table in ("dataset", "dataset_alias")
    },
    "log_template": ("filename", "elasticsearch_id"),
    "ab_permission_view_role": ("permission_view_id", "role_id"),
    "ab_user_role": ("user_id", "role_id"),
    "dataset_alias_dataset": ("alias_id", "dataset_id"),
    "dataset_dag_run_queue": ("dataset_id", "target_dag_id"),
}


@dataclass(frozen=True)
class Database:
    """The rows of a database by table, all values as text."""

    rows: Mapping[str, list[Row]]

    def ids(self, table: str) -> set[str]:
        return {row["id"] or "" for row in self.rows[table]}


def read(dsn: str, fernet: Fernet) -> Database:
    """Every row of every table that a snapshot is to carry, metadata DAGs left out."""
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            tables = sorted(name for (name,) in cursor.fetchall() if name not in NEVER_CARRIED)
            rows = {name: _rows(cursor, name) for name in tables}
    finally:
        connection.close()
    for row in rows["connection"]:
        _open(row, "password", "is_encrypted", fernet)
        _open(row, "extra", "is_extra_encrypted", fernet)
    for row in rows["variable"]:
        _open(row, "val", "is_encrypted", fernet)
    for row in rows["trigger"]:
        kwargs = row["kwargs"] or ""
        row["kwargs"] = kwargs if kwargs.startswith("{") else fernet.decrypt(kwargs.encode()).decode()
    return Database(_without_metadata_dags(rows))


def canonical(database: Database) -> dict[str, list[Row]]:
    """Rows without ids: each reference is replaced by what it identifies, or by `dangling` where it points to
    nothing."""
    by_id = {
        table: {row["id"]: row for row in rows} for table, rows in database.rows.items() if rows and "id" in rows[0]
    }

    def identify(table: str, value: str | None) -> str | None:
        if value is None:
            return None
        row = by_id.get(table, {}).get(value)
        if row is None:
            return "dangling"
        pointers = POINTERS.get(table, {})
        return repr([identify(pointers[c], row[c]) if c in pointers else row[c] for c in IDENTITY[table]])

    found = {}
    for table, rows in database.rows.items():
        pointers = POINTERS.get(table, {})
        found[table] = [
            {c: identify(pointers[c], v) if c in pointers else v for c, v in row.items() if c != "id"} for row in rows
        ]
    return found


def merged(
    before: dict[str, list[Row]], source: dict[str, list[Row]], change: Callable[[str, Row], Row]
) -> dict[str, Counter[str]]:
    """What the target must hold after a restore, given what it held before; `change` makes the declared
    transformations."""
    expected = {}
    for table, rows in source.items():
        new = [change(table, row) for row in rows]
        if table in NAMED:
            by_name = {_name(table, row): row for row in before[table]}
            if table == "log_template":
                new = [row for row in new if _name(table, row) not in by_name]
            by_name.update({_name(table, row): row for row in new})
            expected[table] = Counter(map(_shown, by_name.values()))
        else:
            expected[table] = Counter(map(_shown, [*before[table], *new]))
    return expected


def counted(rows: dict[str, list[Row]]) -> dict[str, Counter[str]]:
    """The rows of each table as a multiset; templates may stand twice, the last one being the current."""
    counts = {table: Counter(map(_shown, found)) for table, found in rows.items()}
    counts["log_template"] = Counter(set(counts["log_template"]))
    return counts


def differences(expected: dict[str, Counter[str]], found: dict[str, Counter[str]]) -> list[str]:
    """One line per row that is missing or too many."""
    lines = []
    for table in sorted(set(expected) | set(found)):
        want, have = expected.get(table, Counter()), found.get(table, Counter())
        lines += [f"{table}: missing {row[:1500]}" for row in (want - have)]
        lines += [f"{table}: too many {row[:1500]}" for row in (have - want)]
    return lines


def _rows(cursor: Any, table: str) -> list[Row]:
    cursor.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s ORDER BY 1",
        (table,),
    )
    names = [name for (name,) in cursor.fetchall()]
    columns = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names)
    cursor.execute(sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(table)))
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _open(row: Row, column: str, flag: str, fernet: Fernet) -> None:
    value = row[column]
    if value and row[flag] == "true":
        row[column] = fernet.decrypt(value.encode()).decode()


def _own(value: str | None) -> bool:
    return value is not None and value.startswith("continuity_")


def _without_metadata_dags(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    own_runs = {row["id"] for row in rows["dag_run"] if _own(row["dag_id"])}
    keys = ("dag_id", "target_dag_id", "source_dag_id", "key", "conn_id")
    return {
        table: [
            row
            for row in found
            if not any(_own(row.get(key)) for key in keys if table == "variable" or key != "key")
            and ("dag_run_id" not in row or row["dag_run_id"] not in own_runs)
        ]
        for table, found in rows.items()
    }


def _name(table: str, row: Row) -> tuple[str | None, ...]:
    return tuple(row[column] for column in NAMED[table])


def _shown(row: Row) -> str:
    return repr(sorted(row.items()))
