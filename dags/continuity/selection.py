"""Which rows of a table go into which object of a snapshot, as SQL.

The state and the history object of a table are exact complements: the condition of one is the negation of the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg2 import sql

from continuity.catalog import Catalog, Table
from continuity.chosen import StateIds, assets_of, listed
from continuity.policy import DAG_COLUMNS, EXECUTING, OWN_PREFIX, PARENTS_OF_RUN
from continuity.rest import RestApi
from continuity.rules import Rule

NAMED = {"connection": "conn_id", "variable": "key"}
#: Airflow's audit log holds values of variables and of a connection's `extra` in clear text, as they were sent to the
#: REST API or the command line: the details of such events stay behind, since a COPY object is not sealed.
TELLING_EVENTS = "(variable|connection)"


def rows_of(
    table: Table,
    catalog: Catalog,
    rule: Rule,
    phase: str,
    ids: StateIds,
    *,
    as_text: bool = False,
    pages: Sequence[tuple[int, int]] | None = None,
) -> sql.Composed:
    """`SELECT` of the rows of one object; `phase` is `state` or `history`, `as_text` casts every column to text.

    pages: [first, end) of the pages to read, None for all.
    """
    names = [_value(table, column.name) for column in table.columns]
    columns = [sql.SQL("{}::text").format(name) for name in names] if as_text else names
    condition = history_rows(table, catalog, rule, ids)
    if phase == "state":
        condition = selected_rows(table, catalog)
        if rule.phase == "split":
            condition = sql.SQL("{} AND {}").format(condition, _of_state(table, catalog, ids))
    rows: sql.Composable = sql.SQL("{} t").format(sql.Identifier(table.name))
    if pages is not None and len(pages) == 1:
        condition = sql.SQL("t.ctid >= {}::tid AND t.ctid < {}::tid AND {}").format(
            *(sql.Literal(f"({page},0)") for page in pages[0]), condition
        )
    elif pages is not None:
        rows = _in_pages(table, pages)
    return sql.SQL("SELECT {} FROM {} WHERE {}").format(sql.SQL(", ").join(columns), rows, condition)


def in_order(query: sql.Composable) -> sql.Composed:
    """The same rows (of `rows_of`, not of several ranges of pages) as they lie in the table."""
    return sql.SQL("{} ORDER BY t.ctid").format(query)


def state_rows_by_range(table: Table, catalog: Catalog, ids: StateIds, range_pages: int) -> sql.Composed:
    """`SELECT` of (number of a range of pages, how many rows of the state lie in it)."""
    state = sql.SQL("{} AND {}").format(selected_rows(table, catalog), _of_state(table, catalog, ids))
    return _few_by_range(table, state, range_pages)


def history_rows(table: Table, catalog: Catalog, rule: Rule, ids: StateIds) -> sql.Composable:
    """Condition on a row `t`: a snapshot would select it, and it is no state."""
    selected = selected_rows(table, catalog)
    if rule.phase != "split":
        return selected
    return sql.SQL("{} AND ({}) IS NOT TRUE").format(selected, _of_state(table, catalog, ids))


def others_by_range(table: Table, catalog: Catalog, range_pages: int) -> sql.Composed:
    """`SELECT` of (number of a range of pages, how many rows that no snapshot selects lie in it)."""
    return _few_by_range(table, sql.SQL("({}) IS NOT TRUE").format(selected_rows(table, catalog)), range_pages)


def _few_by_range(table: Table, condition: sql.Composable, range_pages: int) -> sql.Composed:
    """The number of a row's page is costly to get: this is for conditions that few rows meet."""
    return sql.SQL("SELECT (t.ctid::text::point)[0]::bigint / {}, count(*) FROM {} t WHERE {} GROUP BY 1").format(
        sql.Literal(range_pages), sql.Identifier(table.name), condition
    )


def count_in(table: Table, catalog: Catalog, pages: Sequence[tuple[int, int]]) -> sql.Composed:
    """`SELECT` of how many rows that a snapshot selects lie in these pages."""
    return sql.SQL("SELECT count(*) FROM {} WHERE {}").format(_in_pages(table, pages), selected_rows(table, catalog))


def _in_pages(table: Table, pages: Sequence[tuple[int, int]]) -> sql.Composed:
    """The table, read in these pages alone. OFFSET keeps the planner from making a join of it that reads all pages."""
    first, end = (sql.Literal([f"({span[side]},0)" for span in pages]) for side in (0, 1))
    return sql.SQL(
        """unnest({}::tid[], {}::tid[]) AS p (first_row, end_row) CROSS JOIN LATERAL (
        SELECT * FROM {} r WHERE r.ctid >= p.first_row AND r.ctid < p.end_row OFFSET 0) t"""
    ).format(first, end, sql.Identifier(table.name))


def _value(table: Table, column: str) -> sql.Composable:
    """The column as it is stored, unless it may hold a secret in clear text."""
    if (table.name, column) == ("log", "extra"):
        hidden = sql.SQL("t.extra IS NOT NULL AND t.event ~* {}").format(sql.Literal(TELLING_EVENTS))
        return sql.SQL("CASE WHEN {} THEN NULL ELSE t.extra END").format(hidden)
    return sql.SQL("t.{}").format(sql.Identifier(column))


def in_flight(cursor: Any, states: Sequence[str] = EXECUTING) -> list[list[Any]]:
    """[dag_id, run_id, task_id, map_index, state] of every task instance that is executing: in one of these states."""
    cursor.execute(
        """SELECT dag_id, run_id, task_id, map_index, state FROM task_instance
        WHERE state = ANY (%s) AND starts_with(dag_id, %s) IS NOT TRUE ORDER BY 1, 2, 3, 4""",
        (list(states), OWN_PREFIX),
    )
    return [list(row) for row in cursor.fetchall()]


def in_flight_by_rest(api: RestApi, states: Sequence[str] = EXECUTING) -> list[list[Any]]:
    """The same without the database."""
    return [entry for entry in api.task_instances(states) if not entry[0].startswith(OWN_PREFIX)]


def selected_rows(table: Table, catalog: Catalog, alias: str = "t", deep: bool = True) -> sql.Composable:
    """Condition: the row belongs to no metadata DAG (itself or by what it points to), and is not the project's own."""
    columns = [name for name in (*DAG_COLUMNS, NAMED.get(table.name, "")) if table.has(name)]
    row = sql.Identifier(alias)
    own = sql.Literal(OWN_PREFIX)
    found: list[sql.Composable] = [
        sql.SQL("starts_with({}.{}, {}) IS NOT TRUE").format(row, sql.Identifier(name), own) for name in columns
    ]
    # What belongs to a DAG by itself points to rows of the same DAG.
    for key in table.foreign_keys if deep and not columns else ():
        parent = catalog[key.table]
        if len(key.columns) == 1 and key.target_columns[0] not in DAG_COLUMNS and _names_a_dag(parent):
            found.append(
                sql.SQL("NOT EXISTS (SELECT 1 FROM {} p WHERE p.{} = {}.{} AND NOT ({}))").format(
                    sql.Identifier(parent.name),
                    sql.Identifier(key.target_columns[0]),
                    row,
                    sql.Identifier(key.columns[0]),
                    selected_rows(parent, catalog, "p", deep=False),
                )
            )
    found += [condition.format(row=row, own=own) for condition in _left_out(table.name, catalog)]
    return sql.SQL(" AND ").join(found) if found else sql.SQL("TRUE")


def selects_itself(table: Table, catalog: Catalog) -> bool:
    """Whether a row's own columns decide if it is selected, so that it is as long as it is not written."""
    asks = any(table.has(name) for name in DAG_COLUMNS) or not any(
        _names_a_dag(catalog[key.table]) for key in table.foreign_keys
    )
    return asks and not _left_out(table.name, catalog)


def _names_a_dag(table: Table) -> bool:
    return any(table.has(name) for name in DAG_COLUMNS)


def _left_out(name: str, catalog: Catalog) -> list[sql.SQL]:
    """Further conditions that keep rows of a table out."""
    if name == "callback":  # some are what the parser of one installation is to do
        return [sql.SQL("{row}.type <> 'dag_processor'")]
    conditions = {
        "task_instance": "NOT EXISTS (SELECT 1 FROM task_instance i"
        " WHERE i.trigger_id = {row}.id AND starts_with(i.dag_id, {own}))",
        # Those that watch assets are made anew, with what points to them, when the DAGs are parsed.
        "asset_trigger": "NOT EXISTS (SELECT 1 FROM asset_trigger w WHERE w.trigger_id = {row}.id)",
        "asset_watcher": "NOT EXISTS (SELECT 1 FROM asset_watcher w WHERE w.trigger_id = {row}.id)",
    }
    return [sql.SQL(text) for table, text in conditions.items() if name == "trigger" and table in catalog]


def _of_state(table: Table, catalog: Catalog, ids: StateIds, alias: str = "t") -> sql.Composable:
    """Condition: the row goes into the state object."""
    row = sql.Identifier(alias)
    runs = listed(ids.runs)
    by_name = _of_state_by_name(table.name, catalog)
    if by_name:
        return sql.SQL(by_name).format(
            row=row, runs=runs, events=listed(ids.events), versions=listed(ids.versions, "uuid")
        )
    if table.has("dag_run_id"):
        return sql.SQL("{}.dag_run_id IN {}").format(row, runs)
    if table.has("dag_id", "run_id"):
        return sql.SQL(
            "EXISTS (SELECT 1 FROM dag_run r WHERE r.id IN {} AND r.dag_id = {row}.dag_id AND r.run_id = {row}.run_id)"
        ).format(runs, row=row)
    for key in table.foreign_keys:
        if key.table in PARENTS_OF_RUN and len(key.columns) == 1:
            return sql.SQL("EXISTS (SELECT 1 FROM {} p WHERE p.{} = {}.{} AND {})").format(
                sql.Identifier(key.table),
                sql.Identifier(key.target_columns[0]),
                row,
                sql.Identifier(key.columns[0]),
                _of_state(catalog[key.table], catalog, ids, "p"),
            )
    return sql.SQL("TRUE")


def _of_state_by_name(name: str, catalog: Catalog) -> str | None:
    """The condition for tables whose columns do not give it away."""
    assets = assets_of(catalog)
    return {
        "dag_run": "{row}.id IN {runs}",
        # The scheduler looks for missed deadlines after a task's last success: none before the oldest state run
        # matters.
        "sla_miss": """EXISTS (SELECT 1 FROM dag_run r WHERE r.id IN {runs} AND r.dag_id = {row}.dag_id
            AND r.execution_date <= {row}.execution_date)""",
        assets.event: "{row}.id IN {events}",
        assets.alias_event: "{row}.event_id IN {events}",
        "asset_partition_dag_run": "{row}.created_dag_run_id IS NULL OR {row}.created_dag_run_id IN {runs}",
        "partitioned_asset_key_log": """EXISTS (SELECT 1 FROM asset_partition_dag_run p
            WHERE p.id = {row}.asset_partition_dag_run_id
            AND (p.created_dag_run_id IS NULL OR p.created_dag_run_id IN {runs}))""",
        "serialized_dag": "{row}.dag_version_id IN {versions}",
        "dag_code": "{row}.dag_version_id IN {versions}",
        "deadline_alert": """EXISTS (SELECT 1 FROM serialized_dag s WHERE s.id = {row}.serialized_dag_id
            AND s.dag_version_id IN {versions})""",
        "deadline": "{row}.dagrun_id IS NULL OR {row}.dagrun_id IN {runs}",
        "callback": """NOT EXISTS (SELECT 1 FROM deadline d WHERE d.callback_id = {row}.id
            AND d.dagrun_id IS NOT NULL AND d.dagrun_id NOT IN {runs})""",
    }.get(name)
