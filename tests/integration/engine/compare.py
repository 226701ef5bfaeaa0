"""Compare two metadata databases row by row. Imports nothing of the engine, so that they cannot be wrong together.

Ids mean nothing across databases: each is replaced by what it identifies (a run's DAG and run id, a user's name,
...). Cipher texts are replaced by what they decrypt to. What is left must be equal.
"""

from __future__ import annotations

import json
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
    "alembic_version_fab",
    "session",
    "callback_request",
    "connection_test_request",
    "dag_priority_parsing_request",
    "ab_register_user",
    "revoked_token",
    "dag_tag",
    "dag_owner_attributes",
    "dag_warning",
    "import_error",
    "dag_pickle",
    "dag_schedule_dataset_reference",
    "dag_schedule_dataset_alias_reference",
    "task_outlet_dataset_reference",
    "asset_trigger",
    "asset_watcher",
}
#: Left out where DAGs have no versions.
PARSED = {"serialized_dag", "dag_code"}

OF_TASK = {"job_id": "job", "queued_by_job_id": "job", "trigger_id": "trigger"}
#: Column -> the table whose id it holds, a number or digits in a text.
POINTERS = {
    "dag_run": {
        "creating_job_id": "job",
        "scheduled_by_job_id": "job",
        "log_template_id": "log_template",
        "backfill_id": "backfill",
    },
    "task_instance": OF_TASK,
    "task_instance_history": OF_TASK,
    "trigger": {"triggerer_id": "job"},
    "callback": {"trigger_id": "trigger"},
    "deadline": {"dagrun_id": "dag_run"},
    "xcom": {"dag_run_id": "dag_run"},
    "task_state_store": {"dag_run_id": "dag_run"},
    "backfill_dag_run": {"dag_run_id": "dag_run", "backfill_id": "backfill"},
    "dag_run_note": {"dag_run_id": "dag_run", "user_id": "ab_user"},
    "task_instance_note": {"user_id": "ab_user"},
    "dag_favorite": {"user_id": "ab_user"},
    "dagrun_dataset_event": {"dag_run_id": "dag_run", "event_id": "dataset_event"},
    "dataset_event": {"dataset_id": "dataset"},
    "dataset_dag_run_queue": {"dataset_id": "dataset"},
    "dataset_alias_dataset": {"dataset_id": "dataset", "alias_id": "dataset_alias"},
    "dataset_alias_dataset_event": {"alias_id": "dataset_alias", "event_id": "dataset_event"},
    "dagrun_asset_event": {"dag_run_id": "dag_run", "event_id": "asset_event"},
    "asset_event": {"asset_id": "asset"},
    "asset_dag_run_queue": {"asset_id": "asset"},
    "asset_alias_asset": {"asset_id": "asset", "alias_id": "asset_alias"},
    "asset_alias_asset_event": {"alias_id": "asset_alias", "event_id": "asset_event"},
    "asset_partition_dag_run": {"created_dag_run_id": "dag_run"},
    "partitioned_asset_key_log": {
        "asset_id": "asset",
        "asset_event_id": "asset_event",
        "asset_partition_dag_run_id": "asset_partition_dag_run",
    },
    "asset_state_store": {"asset_id": "asset"},
    "dag_schedule_asset_reference": {"asset_id": "asset"},
    "dag_schedule_asset_alias_reference": {"alias_id": "asset_alias"},
    "task_outlet_asset_reference": {"asset_id": "asset"},
    "task_inlet_asset_reference": {"asset_id": "asset"},
    "ab_permission_view": {"permission_id": "ab_permission", "view_menu_id": "ab_view_menu"},
    "ab_permission_view_role": {"permission_view_id": "ab_permission_view", "role_id": "ab_role"},
    "ab_user": {"created_by_fk": "ab_user", "changed_by_fk": "ab_user"},
    "ab_user_role": {"user_id": "ab_user", "role_id": "ab_role"},
    "ab_group_role": {"group_id": "ab_group", "role_id": "ab_role"},
    "ab_user_group": {"group_id": "ab_group", "user_id": "ab_user"},
}
#: JSON column -> the member of its objects that holds an id in digits, and of which table.
INSIDE = {
    "callback": {"data": ("dag_run_id", "dag_run")},
    "hitl_detail": {"assignees": ("id", "ab_user"), "responded_by": ("id", "ab_user")},
    "hitl_detail_history": {"assignees": ("id", "ab_user"), "responded_by": ("id", "ab_user")},
}

#: What identifies a row that others point to.
IDENTITY = {
    "dag_run": ("dag_id", "run_id"),
    "job": ("job_type", "start_date", "latest_heartbeat", "hostname"),
    "log_template": ("filename", "elasticsearch_id"),
    "trigger": ("classpath", "kwargs", "created_date"),
    "backfill": ("dag_id", "created_at", "updated_at"),
    "ab_user": ("username",),
    "ab_role": ("name",),
    "ab_group": ("name",),
    "ab_permission": ("name",),
    "ab_view_menu": ("name",),
    "ab_permission_view": ("permission_id", "view_menu_id"),
    "dataset": ("uri",),
    "dataset_alias": ("name",),
    "dataset_event": ("dataset_id", "timestamp", "source_run_id"),
    "asset": ("name", "uri"),
    "asset_alias": ("name",),
    "asset_event": ("asset_id", "timestamp", "source_run_id"),
    "asset_partition_dag_run": ("target_dag_id", "partition_key"),
}

#: Things both databases may have: the restored one wins.
NAMED = {
    "connection": ("conn_id",),
    "variable": ("key",),
    "slot_pool": ("pool",),
    "dag": ("dag_id",),
    "dag_bundle": ("name",),
    "dag_bundle_team": ("dag_bundle_name",),
    "team": ("name",),
    "dag_favorite": ("user_id", "dag_id"),
    **{
        table: key
        for table, key in IDENTITY.items()
        if table.startswith("ab_") or table in ("dataset", "dataset_alias", "asset", "asset_alias")
    },
    "log_template": ("filename", "elasticsearch_id"),
    "ab_permission_view_role": ("permission_view_id", "role_id"),
    "ab_user_role": ("user_id", "role_id"),
    "ab_group_role": ("group_id", "role_id"),
    "ab_user_group": ("group_id", "user_id"),
    "dataset_alias_dataset": ("alias_id", "dataset_id"),
    "dataset_dag_run_queue": ("dataset_id", "target_dag_id"),
    "asset_active": ("name", "uri"),
    "asset_alias_asset": ("alias_id", "asset_id"),
    "asset_dag_run_queue": ("asset_id", "target_dag_id"),
    "asset_state_store": ("asset_id", "key"),
    "dag_schedule_asset_reference": ("asset_id", "dag_id"),
    "dag_schedule_asset_alias_reference": ("alias_id", "dag_id"),
    "dag_schedule_asset_name_reference": ("name", "dag_id"),
    "dag_schedule_asset_uri_reference": ("uri", "dag_id"),
    "task_outlet_asset_reference": ("asset_id", "dag_id", "task_id"),
    "task_inlet_asset_reference": ("asset_id", "dag_id", "task_id"),
}
#: Of these the target's own row stays.
TARGET_WINS = ("log_template", "dag_bundle")


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
            tables = {name for (name,) in cursor.fetchall()}
            left_out = NEVER_CARRIED if "dag_version" in tables else NEVER_CARRIED | PARSED
            rows = {name: _rows(cursor, name) for name in sorted(tables - left_out)}
            watching = _watching(cursor, tables)
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
    rows["trigger"] = [row for row in rows["trigger"] if row["id"] not in watching]
    if "callback" in rows:
        rows["callback"] = [row for row in rows["callback"] if row["type"] != "dag_processor"]
    return Database(_without_metadata_dags(rows))


def _watching(cursor: Any, tables: set[str]) -> set[str]:
    """Ids of the triggers that watch assets."""
    found: set[str] = set()
    for name in {"asset_trigger", "asset_watcher"} & tables:
        cursor.execute(sql.SQL("SELECT trigger_id::text FROM {}").format(sql.Identifier(name)))
        found |= {trigger for (trigger,) in cursor.fetchall()}
    return found


def canonical(database: Database) -> dict[str, list[Row]]:
    """Rows without ids: each reference is replaced by what it identifies, or by `dangling` where it points to
    nothing."""
    by_id = {
        table: {row["id"]: row for row in rows} for table, rows in database.rows.items() if rows and "id" in rows[0]
    }

    def identify(table: str, value: str | None) -> str | None:
        if value is None or not value.isdecimal():
            return value
        row = by_id.get(table, {}).get(value)
        if row is None:
            return "dangling"
        pointers = POINTERS.get(table, {})
        return repr([identify(pointers[c], row[c]) if c in pointers else row[c] for c in IDENTITY[table]])

    def open_up(value: str | None, member: str, table: str) -> str | None:
        document = json.loads(value) if value else None
        for part in document if isinstance(document, list) else [document]:
            if isinstance(part, dict) and member in part:
                part[member] = identify(table, part[member])
        return json.dumps(document, sort_keys=True)

    found = {}
    for table, rows in database.rows.items():
        pointers, inside = POINTERS.get(table, {}), INSIDE.get(table, {})
        found[table] = [
            {
                c: open_up(v, *inside[c]) if c in inside else identify(pointers[c], v) if c in pointers else v
                for c, v in row.items()
                if c != "id" or not (v or "").isdecimal()
            }
            for row in rows
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
            if table in TARGET_WINS:
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
    own_instances = {row.get("id") for row in rows["task_instance"] if _own(row["dag_id"])}
    own_serialized = {row.get("id") for row in rows.get("serialized_dag", []) if _own(row["dag_id"])}
    keys = ("dag_id", "target_dag_id", "source_dag_id", "key", "conn_id")
    return {
        table: [
            row
            for row in found
            if not any(_own(row.get(key)) for key in keys if table == "variable" or key != "key")
            and ("dag_run_id" not in row or row["dag_run_id"] not in own_runs)
            and ("ti_id" not in row or row["ti_id"] not in own_instances)
            and ("serialized_dag_id" not in row or row["serialized_dag_id"] not in own_serialized)
        ]
        for table, found in rows.items()
    }


def _name(table: str, row: Row) -> tuple[str | None, ...]:
    return tuple(row[column] for column in NAMED[table])


def _shown(row: Row) -> str:
    return repr(sorted(row.items()))
