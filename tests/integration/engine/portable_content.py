"""What a portable restore must bring over, read from a database of any Airflow version.

Imports nothing of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
from cryptography.fernet import Fernet
from psycopg2 import sql

Rows = dict[str, tuple[Any, ...]]


@dataclass
class Content:
    """By name, without ids and decrypted. last_runs: of each schedule, (run_id, run_type, date, start and end of its
    interval); last_instances: of these runs, by run, task and map index, their state, attempts and pool; permissions:
    by role."""

    connections: Rows
    variables: Rows
    pools: Rows
    permissions: dict[str, set[tuple[str, str]]]
    users: Rows
    paused: dict[str, bool]
    last_runs: Rows
    last_instances: dict[tuple[Any, ...], tuple[Any, ...]]


def read_content(dsn: str, fernet_key: str) -> Content:
    """Read it all, but for what belongs to the metadata DAGs."""
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            return _read(cursor, Fernet(fernet_key))
    finally:
        connection.close()


def _read(cursor: Any, fernet: Fernet) -> Content:
    def rows(statement: str | sql.Composed) -> list[tuple[Any, ...]]:
        cursor.execute(statement)
        return [row for row in cursor.fetchall() if not str(row[0]).startswith("continuity_")]

    def opened(value: str | None, encrypted: bool | None) -> str | None:
        return fernet.decrypt(value.encode()).decode() if value and encrypted else value

    connections = rows(
        "SELECT conn_id, conn_type, description, host, schema, login, port, password, is_encrypted, extra,"
        " is_extra_encrypted FROM connection"
    )
    variables = rows("SELECT key, description, val, is_encrypted FROM variable")
    permissions: dict[str, set[tuple[str, str]]] = {name: set() for (name,) in rows("SELECT name FROM ab_role")}
    for role, permission, view in rows(
        "SELECT r.name, p.name, v.name FROM ab_permission_view_role x JOIN ab_role r ON r.id = x.role_id"
        " JOIN ab_permission_view w ON w.id = x.permission_view_id JOIN ab_permission p ON p.id = w.permission_id"
        " JOIN ab_view_menu v ON v.id = w.view_menu_id"
    ):
        permissions[role].add((permission, view))
    date = "execution_date" if _has(cursor, "dag_run", "execution_date") else "logical_date"
    users = rows(
        "SELECT u.username, u.first_name, u.last_name, u.password, u.active, u.email, u.last_login, u.login_count,"
        " c.username, ARRAY(SELECT r.name::text FROM ab_user_role x JOIN ab_role r ON r.id = x.role_id"
        " WHERE x.user_id = u.id ORDER BY 1) FROM ab_user u LEFT JOIN ab_user c ON c.id = u.created_by_fk"
    )
    last_runs = rows(
        sql.SQL(
            "SELECT DISTINCT ON (dag_id) dag_id, run_id, run_type, {date}, data_interval_start, data_interval_end"
            " FROM dag_run WHERE run_type IN ('scheduled', 'backfill') ORDER BY dag_id, {date} DESC"
        ).format(date=sql.Identifier(date))
    )
    instances = rows(
        "SELECT dag_id, run_id, task_id, map_index, state, COALESCE(try_number, 0), max_tries, pool, priority_weight,"
        " operator, start_date FROM task_instance"
    )
    kept = {(dag_id, run_id) for dag_id, run_id, *_ in last_runs}
    return Content(
        connections={row[0]: (*row[1:7], opened(row[7], row[8]), opened(row[9], row[10])) for row in connections},
        variables={row[0]: (row[1], opened(row[2], row[3])) for row in variables},
        pools=_named(rows("SELECT pool, slots, description, include_deferred FROM slot_pool")),
        permissions=permissions,
        users=_named(users),
        paused=dict(rows("SELECT dag_id, is_paused FROM dag")),  # type: ignore[arg-type]
        last_runs=_named(last_runs),
        last_instances={row[:4]: row[4:] for row in instances if row[:2] in kept},
    )


def _named(rows: list[tuple[Any, ...]]) -> Rows:
    return {row[0]: row[1:] for row in rows}


def _has(cursor: Any, table: str, column: str) -> bool:
    cursor.execute(
        "SELECT 1 FROM information_schema.columns WHERE table_name = %s AND column_name = %s", (table, column)
    )
    return cursor.fetchone() is not None


def ended(instances: Mapping[tuple[Any, ...], tuple[Any, ...]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Task instances of which those that were not finished have failed."""
    finished = ("success", "failed", "skipped", "upstream_failed", "removed")
    return {key: (state if state in finished else "failed", *others) for key, (state, *others) in instances.items()}


def renamed(permissions: Mapping[str, set[tuple[str, str]]]) -> dict[str, set[tuple[str, str]]]:
    """Permissions of Airflow 2 as Airflow 3 calls them."""
    return {
        role: {(permission, "Assets" if view == "Datasets" else view) for permission, view in found}
        for role, found in permissions.items()
    }
