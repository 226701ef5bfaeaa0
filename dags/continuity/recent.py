"""Which history a restore leaves in the snapshot, where it is asked for the last days only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg2 import sql

from continuity.catalog import Table
from continuity.policy import Plan
from continuity.staging import stage_of

#: Dates that tell how old a row is by itself, of which the latest counts. What hangs on other rows goes by them.
DATES: Mapping[str, tuple[str, ...]] = {
    "dag_run": ("execution_date", "logical_date", "run_after", "start_date", "end_date"),
    "job": ("start_date", "latest_heartbeat", "end_date"),
    "log": ("dttm",),
    "dataset_event": ("timestamp",),
    "asset_event": ("timestamp",),
    "sla_miss": ("timestamp",),
}


def leave_out_older(cursor: Any, table: Table, plan: Plan, offsets: Mapping[str, int], since: datetime) -> int:
    """Take staged rows of a table's history away that are older than `since`, or hang on rows that were; returns how
    many. The tables that it hangs on have been carried."""
    stage = stage_of(table.name)
    taken = 0
    dates = [sql.SQL("s.{}").format(sql.Identifier(name)) for name in DATES.get(table.name, ()) if table.has(name)]
    if dates:
        cursor.execute(
            sql.SQL("DELETE FROM {} s WHERE greatest({}) < {}").format(
                stage, sql.SQL(", ").join(dates), sql.Literal(since)
            )
        )
        taken += cursor.rowcount
    for key in table.foreign_keys:
        if plan.rules[key.table].phase != "split":
            continue
        # Where a column is empty, nothing is pointed to. Ids were shifted by as much as those of their table.
        shift = offsets.get(key.table, 0) if key.target_columns == ("id",) else 0
        same = sql.SQL(" AND ").join(
            sql.SQL("p.{} = s.{} + {}" if shift else "p.{} = s.{}").format(
                sql.Identifier(target), sql.Identifier(column), *([sql.Literal(shift)] if shift else [])
            )
            for column, target in zip(key.columns, key.target_columns, strict=True)
        )
        filled = sql.SQL(" AND ").join(
            sql.SQL("s.{} IS NOT NULL").format(sql.Identifier(column)) for column in key.columns
        )
        cursor.execute(
            sql.SQL("DELETE FROM {} s WHERE {} AND NOT EXISTS (SELECT FROM {} p WHERE {})").format(
                stage, filled, sql.Identifier(key.table), same
            )
        )
        taken += cursor.rowcount
    return taken
