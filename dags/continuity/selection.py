"""Which rows of a table go into which object of a snapshot, as SQL.

The state and the history object of a table are exact complements: the condition of one is the negation of the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from continuity.catalog import Catalog, Table
from continuity.policy import DAG_COLUMNS, EXECUTING, FINISHED_RUN, HOLDING, OWN_PREFIX, Rule

NAMED = {"connection": "conn_id", "variable": "key"}
#: Airflow's audit log holds values of variables and of a connection's `extra` in clear text, as they were sent to the
#: REST API or the command line: the details of such events stay behind, since a COPY object is not sealed.
TELLING_EVENTS = "(variable|connection)"


@dataclass(frozen=True)
class StateIds:
    """Ids of the state runs, and of the dataset events that a dataset-triggered run may still consume."""

    runs: tuple[int, ...]
    events: tuple[int, ...]


def run_date(catalog: Catalog) -> str:
    """Name of the column that orders a DAG's runs."""
    return "execution_date" if catalog["dag_run"].has("execution_date") else "logical_date"


def find_state_ids(cursor: Any, catalog: Catalog) -> StateIds:
    """Choose the state runs: unfinished ones, the run before each of them, and the latest of every DAG and run type.

    Two of each type are kept (`depends_on_past`, dataset-triggered runs count from the one before), or as many as
    `max_consecutive_failed_dag_runs` looks back on.
    """
    looks_back = catalog["dag"].has("max_consecutive_failed_dag_runs")
    statement = sql.SQL(
        """
WITH runs AS (
  SELECT r.id, r.dag_id, r.run_id, r.run_type, r.state, r.{date} AS due,
         row_number() OVER (PARTITION BY r.dag_id, r.run_type ORDER BY r.{date} DESC NULLS LAST, r.id DESC) AS of_type,
         row_number() OVER (PARTITION BY r.dag_id ORDER BY r.{date} DESC NULLS LAST, r.id DESC) AS of_all
  FROM dag_run r WHERE starts_with(r.dag_id, {own}) IS NOT TRUE
), unfinished AS (
  SELECT id, dag_id, due FROM runs WHERE state IS NULL OR state <> ALL ({finished})
  UNION
  SELECT runs.id, runs.dag_id, runs.due FROM task_instance i JOIN runs USING (dag_id, run_id)
  WHERE i.state = ANY ({holding})
)
SELECT runs.id FROM runs LEFT JOIN dag ON dag.dag_id = runs.dag_id WHERE of_type <= 2 OR of_all <= {looked_back_on}
UNION SELECT id FROM unfinished
UNION SELECT before.id FROM unfinished u CROSS JOIN LATERAL (
  SELECT r.id FROM dag_run r WHERE r.dag_id = u.dag_id AND r.{date} < u.due ORDER BY r.{date} DESC LIMIT 1) before
UNION SELECT before.id FROM unfinished u CROSS JOIN LATERAL (
  SELECT r.id FROM dag_run r WHERE r.dag_id = u.dag_id AND r.{date} < u.due AND r.run_type IN ('scheduled', 'backfill')
  ORDER BY r.{date} DESC LIMIT 1) before
ORDER BY 1"""
    ).format(
        date=sql.Identifier(run_date(catalog)),
        own=sql.Literal(OWN_PREFIX),
        finished=sql.Literal(list(FINISHED_RUN)),
        holding=sql.Literal(list(HOLDING)),
        looked_back_on=sql.SQL("COALESCE(dag.max_consecutive_failed_dag_runs, 0)" if looks_back else "0"),
    )
    cursor.execute(statement)
    runs = tuple(row[0] for row in cursor.fetchall())
    return StateIds(runs, _state_events(cursor, catalog, runs))


def _state_events(cursor: Any, catalog: Catalog, runs: Sequence[int]) -> tuple[int, ...]:
    """Events that state runs consumed, the last two of every dataset, and those their consumers have not consumed
    yet."""
    needed = ("dataset_event", "dagrun_dataset_event", "dag_schedule_dataset_reference", "dataset_dag_run_queue")
    if not all(name in catalog for name in needed):
        return ()
    statement = sql.SQL(
        """
SELECT c.event_id FROM dagrun_dataset_event c WHERE c.dag_run_id IN {runs}
UNION SELECT id FROM
  (SELECT id, row_number() OVER (PARTITION BY dataset_id ORDER BY id DESC) AS nth FROM dataset_event) e WHERE nth <= 2
UNION SELECT e.id FROM dag_schedule_dataset_reference s JOIN dag d ON d.dag_id = s.dag_id
  JOIN dataset_event e ON e.dataset_id = s.dataset_id
  WHERE (d.is_paused IS NOT TRUE OR EXISTS (SELECT 1 FROM dataset_dag_run_queue q WHERE q.target_dag_id = s.dag_id))
  AND e.timestamp > COALESCE(
    (SELECT max(r.{date}) FROM dag_run r WHERE r.dag_id = s.dag_id AND r.run_type = 'dataset_triggered'), '-infinity')
ORDER BY 1"""
    ).format(runs=_listed(runs), date=sql.Identifier(run_date(catalog)))
    cursor.execute(statement)
    return tuple(row[0] for row in cursor.fetchall())


def rows_of(
    table: Table, catalog: Catalog, rule: Rule, phase: str, ids: StateIds, *, as_text: bool = False
) -> sql.Composed:
    """`SELECT` of the rows of one object; `phase` is `state` or `history`, `as_text` casts every column to text."""
    names = [_value(table, column.name) for column in table.columns]
    columns = [sql.SQL("{}::text").format(name) for name in names] if as_text else names
    conditions = [_foreign(table, catalog)]
    if rule.phase == "split":
        of_state = _of_state(table, catalog, ids)
        conditions.append(of_state if phase == "state" else sql.SQL("({}) IS NOT TRUE").format(of_state))
    return sql.SQL("SELECT {} FROM {} t WHERE {}").format(
        sql.SQL(", ").join(columns), sql.Identifier(table.name), sql.SQL(" AND ").join(conditions)
    )


def _value(table: Table, column: str) -> sql.Composable:
    """The column as it is stored, unless it may hold a secret in clear text."""
    if (table.name, column) == ("log", "extra"):
        return sql.SQL("CASE WHEN t.event ~* {} THEN NULL ELSE t.extra END").format(sql.Literal(TELLING_EVENTS))
    return sql.SQL("t.{}").format(sql.Identifier(column))


def in_flight(cursor: Any) -> list[list[Any]]:
    """[dag_id, run_id, task_id, map_index, state] of every task instance that is executing."""
    cursor.execute(
        """SELECT dag_id, run_id, task_id, map_index, state FROM task_instance
        WHERE state = ANY (%s) AND starts_with(dag_id, %s) IS NOT TRUE ORDER BY 1, 2, 3, 4""",
        (list(EXECUTING), OWN_PREFIX),
    )
    return [list(row) for row in cursor.fetchall()]


def _listed(ids: Sequence[int]) -> sql.Composed:
    """A set of ids the planner hashes, whatever its size."""
    return sql.SQL("(SELECT unnest({}::bigint[]))").format(sql.Literal("{" + ",".join(map(str, ids)) + "}"))


def _foreign(table: Table, catalog: Catalog, alias: str = "t", deep: bool = True) -> sql.Composable:
    """Condition: the row belongs to no metadata DAG (itself or by what it points to), and is not the project's own."""
    columns = [name for name in (*DAG_COLUMNS, NAMED.get(table.name, "")) if table.has(name)]
    row = sql.Identifier(alias)
    own = sql.Literal(OWN_PREFIX)
    found: list[sql.Composable] = [
        sql.SQL("starts_with({}.{}, {}) IS NOT TRUE").format(row, sql.Identifier(name), own) for name in columns
    ]
    for key in table.foreign_keys if deep else ():
        parent = catalog[key.table]
        if key.target_columns == ("id",) and parent.has("id") and any(parent.has(name) for name in DAG_COLUMNS):
            found.append(
                sql.SQL("NOT EXISTS (SELECT 1 FROM {} p WHERE p.id = {}.{} AND NOT ({}))").format(
                    sql.Identifier(parent.name),
                    row,
                    sql.Identifier(key.columns[0]),
                    _foreign(parent, catalog, "p", deep=False),
                )
            )
    if table.name == "trigger" and catalog["task_instance"].has("trigger_id"):
        found.append(
            sql.SQL(
                "NOT EXISTS (SELECT 1 FROM task_instance i WHERE i.trigger_id = {}.id AND starts_with(i.dag_id, {}))"
            ).format(row, own)
        )
    return sql.SQL(" AND ").join(found) if found else sql.SQL("TRUE")


def _of_state(table: Table, catalog: Catalog, ids: StateIds) -> sql.Composable:
    """Condition: the row goes into the state object."""
    by_name = {
        "dag_run": ("t.id IN {}", ids.runs),
        "dataset_event": ("t.id IN {}", ids.events),
        "dataset_alias_dataset_event": ("t.event_id IN {}", ids.events),
    }
    if table.name in by_name:
        condition, chosen = by_name[table.name]
        return sql.SQL(condition).format(_listed(chosen))
    runs = _listed(ids.runs)
    if table.name == "sla_miss":
        # The scheduler looks for missed deadlines after a task's last success: none before the oldest state run
        # matters.
        same = sql.SQL("r.{0} <= t.{0}").format(sql.Identifier(run_date(catalog)))
    elif table.has("dag_id", "run_id"):
        same = sql.SQL("r.run_id = t.run_id").format()
    elif table.has("dag_run_id"):
        return sql.SQL("t.dag_run_id IN {}").format(runs)
    else:
        return sql.SQL("TRUE")
    return sql.SQL("EXISTS (SELECT 1 FROM dag_run r WHERE r.id IN {} AND r.dag_id = t.dag_id AND {})").format(
        runs, same
    )
