"""Rows for the lake, as SQL: PostgreSQL itself writes them as JSON, so that none passes through Python objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg2 import sql

from continuity.catalog import Catalog, Table
from continuity.lake_tables import DAY, DIGEST, NO_DAY, LakeColumn, LakeTable
from continuity.policy import OWN_PREFIX

TABLE_SIZE = "table_size"
#: When a run was due, by the names of any version.
DUE = ("logical_date", "execution_date", "run_after")
#: JSON holds no control character, so that with these nothing is ever quoted and each row is one line.
LINES = r"WITH (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01')"

#: How a value `{}` is written, by the type in Glue. JSON knows neither infinity nor NaN.
WRITTEN: Mapping[str, str] = {
    "string": "{}::text",
    "boolean": "{}::boolean",
    "int": "{}::integer",
    "bigint": "{}::bigint",
    "double": "NULLIF(NULLIF(NULLIF({}::double precision, 'NaN'), 'Infinity'), '-Infinity')",
    "timestamp": "CASE WHEN isfinite({0}) THEN {0}::timestamp::text END",
}


@dataclass(frozen=True)
class Since:
    """Which rows are taken: those that a transaction wrote that is no older than so many (`age`, as PostgreSQL counts
    it in this session), else those that changed at this time or later (`time`), else all."""

    age: int | None = None
    time: datetime | None = None


@dataclass(frozen=True)
class Export:
    """What every row of one export carries: where it ran, and a number that is higher in every later export."""

    region: str
    version: int
    cut_at: datetime


def has_rows(table: LakeTable, catalog: Catalog) -> bool:
    """Whether this database has what the table is made of."""
    return table.name == TABLE_SIZE or table.name in catalog


def copy_of(table: LakeTable, catalog: Catalog, since: Since, export: Export) -> sql.Composed:
    """`COPY` of the rows of a table of the lake that changed, as lines of JSON."""
    rows = _sizes(export) if table.name == TABLE_SIZE else _rows(table, catalog, since, export)
    return sql.SQL("COPY (SELECT row_to_json(l) FROM ({}) l) TO STDOUT ").format(rows) + sql.SQL(LINES)


def _rows(table: LakeTable, catalog: Catalog, since: Since, export: Export) -> sql.Composed:
    source = catalog[table.name]
    values = {column.name: _value(column, source) for column in table.columns}
    if DIGEST in table.key:
        raw = [_source(column, source) or sql.SQL("NULL::text") for column in table.columns]
        values[DIGEST] = sql.SQL("md5(ROW({})::text)").format(sql.SQL(", ").join(raw))
    if table.day:
        values[DAY] = _day(table, catalog)
    conditions = [*_changed(table, source, since), *_of_users(source)]
    return sql.SQL("SELECT {} FROM {} t WHERE {}").format(
        _listed({**values, **_of_export(export)}),
        sql.Identifier(source.name),
        sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
    )


def _sizes(export: Export) -> sql.Composed:
    """One row for each table of the database."""
    values: dict[str, sql.Composable] = {
        "table_name": sql.SQL("c.relname::text"),
        "bytes": sql.SQL("pg_total_relation_size(c.oid)"),
        "estimated_rows": sql.SQL("GREATEST(c.reltuples, 0)::bigint"),  # -1 where nobody has counted yet
        DAY: sql.Literal(f"{export.cut_at:%Y-%m-%d}"),
    }
    return sql.SQL(
        """SELECT {} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND c.relkind = 'r'"""
    ).format(_listed({**values, **_of_export(export)}))


def _of_export(export: Export) -> dict[str, sql.Composable]:
    return {"region": sql.Literal(export.region), "version": sql.SQL("{}::bigint").format(sql.Literal(export.version))}


def _listed(values: Mapping[str, sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("{} AS {}").format(value, sql.Identifier(name)) for name, value in values.items())


def _source(column: LakeColumn, source: Table) -> sql.Composable | None:
    """The column of the database behind one of the lake, None where this version has none."""
    name = next((name for name in column.sources if source.has(name)), None)
    return None if name is None else sql.SQL("t.{}").format(sql.Identifier(name))


def _value(column: LakeColumn, source: Table) -> sql.Composable:
    found = _source(column, source)
    return sql.SQL("NULL") if found is None else sql.SQL(WRITTEN[column.type]).format(found)


def _day(table: LakeTable, catalog: Catalog) -> sql.Composable:
    """The day that a row is of. It never changes while the row is called the same."""
    if table.day == "dttm":
        return _date(sql.SQL("t.dttm"))
    alias = "t" if table.day == "run" else "r"
    due = [
        sql.SQL("{}.{}").format(sql.Identifier(alias), sql.Identifier(name))
        for name in DUE
        if catalog["dag_run"].has(name)
    ]
    moment = sql.SQL("COALESCE({})").format(sql.SQL(", ").join(due))
    if table.day == "run":
        return _date(moment)
    # By its key and not by a join: what it costs goes with the rows that changed, not with all runs.
    return sql.SQL("COALESCE((SELECT {} FROM dag_run r WHERE r.dag_id = t.dag_id AND r.run_id = t.run_id), {})").format(
        _date(moment), sql.Literal(NO_DAY)
    )


def _date(moment: sql.Composable) -> sql.Composed:
    return sql.SQL("CASE WHEN isfinite({0}) THEN {0}::date::text ELSE {1} END").format(moment, sql.Literal(NO_DAY))


def _changed(table: LakeTable, source: Table, since: Since) -> list[sql.Composable]:
    if since.age is not None:
        return [sql.SQL("age(t.xmin) <= {}").format(sql.Literal(since.age))]
    dates = [sql.SQL("t.{}").format(sql.Identifier(name)) for name in table.changed if source.has(name)]
    if since.time is None or not dates:
        return []
    latest = sql.SQL("GREATEST({})").format(sql.SQL(", ").join(dates))
    return [sql.SQL("({0} >= {1} OR {0} IS NULL)").format(latest, sql.Literal(since.time))]


def _of_users(source: Table) -> list[sql.Composable]:
    """Rows of the metadata DAGs stay behind, as in a snapshot."""
    if not source.has("dag_id"):
        return []
    return [sql.SQL("NOT starts_with(COALESCE(t.dag_id, ''), {})").format(sql.Literal(OWN_PREFIX))]
