"""Metadata DAGs that may run every minute keep their own history small."""

from __future__ import annotations

from typing import Any

from psycopg2 import sql

#: Their own runs are of no interest after an hour; what is kept lets the scheduler go on from the latest run.
KEPT = "1 hour"
#: A snapshot's log is read the next morning, and its task `verify` may be cleared after a repair.
KEPT_OF_SNAPSHOTS = "1 day"
#: Per call, so that a DAG that was held up for long catches up bit by bit.
BATCH = 500


def forget_old_runs(connection: Any, dag_id: str, kept: str = KEPT) -> int:
    """Delete a metadata DAG's finished runs, jobs and log lines that are older than `kept`; returns how many runs."""
    old = sql.SQL(
        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table}"
        " WHERE dag_id = {dag_id} AND {date} < now() - {kept}::interval ORDER BY id LIMIT {batch})"
    )
    deleted = 0
    with connection, connection.cursor() as cursor:
        # Last the runs: what hangs on them goes with them. A run that is not over has no end.
        for table, date in (("log", "dttm"), ("job", "latest_heartbeat"), ("dag_run", "end_date")):
            cursor.execute(
                old.format(
                    table=sql.Identifier(table),
                    dag_id=sql.Literal(dag_id),
                    date=sql.Identifier(date),
                    kept=sql.Literal(kept),
                    batch=sql.Literal(BATCH),
                )
            )
            deleted = int(cursor.rowcount)
    return deleted
