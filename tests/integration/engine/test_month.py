"""A snapshot a minute for a month: neither the runs that take it nor their transactions make the database grow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql

from continuity.secrets import FernetKeys
from continuity.snapshot import Source, take_snapshot
from continuity.tidy import KEPT_OF_SNAPSHOTS, forget_old_runs
from tests.conftest import is_long
from tests.integration.engine.oracle import add, ask, dated
from tests.integration.engine.worker import Side
from tests.postgres import SUPERUSER, Cluster

pytestmark = pytest.mark.any_airflow

DAG_ID = "continuity_snapshot"
#: A month, or as much of it as tells a day from the day before.
DAYS, FEW_DAYS, RUNS = 30, 4, 1440
#: Parents first.
TABLES = ("dag_run", "task_instance", "xcom", "log", "job")
SIZE = """SELECT sum(pg_total_relation_size(c.oid))::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind = 'r' AND relname = ANY (%s)"""


def test_a_month_of_snapshots_leaves_the_database_as_large_as_a_day(
    sides: Callable[..., Side], pytestconfig: pytest.Config
) -> None:
    """Failure covered: what keeps the database safe fills it: 43,200 runs a month with all that hangs on them."""
    side = sides("source")
    a_day_of_runs(side)
    sizes = []
    connection = psycopg2.connect(side.dsn)
    try:
        for _ in range(DAYS if is_long(pytestconfig) else FEW_DAYS):
            for table in TABLES:
                ask(side, sql.SQL("INSERT INTO {} SELECT * FROM {}").format(name(table), name(f"a_day_of_{table}")))
            calls = 0
            while forget_old_runs(connection, DAG_ID, KEPT_OF_SNAPSHOTS) or left(side):
                calls += 1
                assert calls < RUNS, "each run tidies once"
            vacuum(side)
            sizes.append(ask(side, SIZE, list(TABLES))[0][0])
    finally:
        connection.close()
    assert sizes[-1] <= sizes[1] * 1.05, sizes


def test_a_snapshot_leaves_no_trace_in_the_database(sides: Callable[..., Side], cluster: Cluster) -> None:
    """Failure covered: a transaction that stays open, or that writes, keeps what is dead from being cleaned up."""
    side = sides("source")
    with side.connection() as connection:

        def numbered() -> bool:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
                return bool(cursor.fetchone()[0])

        seen: list[bool] = []
        source = Source(connection, FernetKeys(side.fernet_key), side.airflow_version)
        snapshot_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-0000000a"
        take_snapshot(
            source, side.store, side.client("kms"), side.parsed(), snapshot_id, check=lambda: seen.append(numbered())
        )
        assert seen == [False], "reading takes no number"
        pid = connection.info.backend_pid
        with psycopg2.connect(cluster.dsn("postgres", SUPERUSER)) as observer, observer.cursor() as cursor:
            cursor.execute("SELECT state, backend_xmin FROM pg_stat_activity WHERE pid = %s", (pid,))
            assert cursor.fetchone() == ("idle", None)
        observer.close()


def a_day_of_runs(side: Side) -> None:
    """Keep the rows of one day of runs beside the tables, ready to be inserted again; there are no others."""
    forget(side)
    ((now,),) = ask(side, "SELECT now() - interval '25 hours'")
    runs: list[dict[str, Any]] = [
        {"dag_id": DAG_ID, "run_id": f"continuity__{n}", "run_type": "manual", "state": "success", "end_date": now}
        | dated(now - timedelta(minutes=n))
        for n in range(RUNS)
    ]
    ids = add(side, "dag_run", *runs)
    once = {"dag_id": DAG_ID, "pool": "p", "pool_slots": 1, "state": "success", "map_index": -1}
    tasks = [
        {**once, "run_id": run["run_id"], "dag_run_id": number, "task_id": task}
        for run, number in zip(runs, ids, strict=True)
        for task in ("snapshot", "verify")
    ]
    add(side, "task_instance", *tasks)
    add(side, "xcom", *({**task, "key": "return_value", "timestamp": now} for task in tasks))
    lines = [{"dag_id": DAG_ID, "event": "running", "dttm": now, "latest_heartbeat": now} for _ in range(4 * RUNS)]
    add(side, "log", *lines)
    add(side, "job", *lines[: 2 * RUNS])
    for table in TABLES:
        own = sql.SQL("CREATE TABLE {} AS SELECT * FROM {} WHERE dag_id = %s")
        ask(side, own.format(name(f"a_day_of_{table}"), name(table)), DAG_ID)
    forget(side)


def forget(side: Side) -> None:
    for table in reversed(TABLES):
        ask(side, sql.SQL("DELETE FROM {} WHERE dag_id = %s").format(name(table)), DAG_ID)


def left(side: Side) -> int:
    """How many rows of the runs there still are."""
    counts = sql.SQL(" + ").join(
        sql.SQL("(SELECT count(*) FROM {} WHERE dag_id = {})").format(name(table), sql.Literal(DAG_ID))
        for table in TABLES
    )
    return int(ask(side, sql.SQL("SELECT {}").format(counts))[0][0])


def vacuum(side: Side) -> None:
    """What autovacuum does by itself once a fifth of a table is dead."""
    connection = psycopg2.connect(side.dsn)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(sql.SQL("VACUUM {}").format(name(table)))
    finally:
        connection.close()


def name(table: str) -> sql.Identifier:
    return sql.Identifier(table)
