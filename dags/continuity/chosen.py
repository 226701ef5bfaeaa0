"""Which runs, events and DAG versions belong to the state: what scheduling looks at, whatever the length of history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from continuity.catalog import Catalog
from continuity.policy import FINISHED_RUN, HOLDING, OWN_PREFIX

#: States in which a callback has nothing more to do.
FINISHED_CALLBACK = ("success", "failed")


@dataclass(frozen=True)
class StateIds:
    """Ids of the state runs, of the asset (dataset) events that a run may still consume, and of the DAG versions that
    are current or that state runs point to."""

    runs: tuple[int, ...]
    events: tuple[int, ...]
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assets:
    """Names of data-aware scheduling: what Airflow 2 calls dataset is an asset since Airflow 3."""

    word: str

    @property
    def event(self) -> str:
        return f"{self.word}_event"

    @property
    def alias_event(self) -> str:
        return f"{self.word}_alias_{self.word}_event"

    @property
    def consumed(self) -> str:
        return f"dagrun_{self.word}_event"

    @property
    def queue(self) -> str:
        return f"{self.word}_dag_run_queue"

    @property
    def schedule(self) -> str:
        return f"dag_schedule_{self.word}_reference"

    @property
    def alias_schedule(self) -> str:
        return f"dag_schedule_{self.word}_alias_reference"

    @property
    def id(self) -> str:
        return f"{self.word}_id"

    @property
    def run_type(self) -> str:
        return f"{self.word}_triggered"


def assets_of(catalog: Catalog) -> Assets:
    return Assets("asset" if "asset_event" in catalog else "dataset")


def run_date(catalog: Catalog) -> str:
    """Name of the column that orders a DAG's runs; since Airflow 3 it may be NULL."""
    return "execution_date" if catalog["dag_run"].has("execution_date") else "logical_date"


def run_after(catalog: Catalog) -> str:
    """Name of the column that says when a run was due."""
    return "run_after" if catalog["dag_run"].has("run_after") else run_date(catalog)


def find_state_ids(cursor: Any, catalog: Catalog) -> StateIds:
    """Choose the state runs: unfinished ones, the run before each of them, and the latest of every DAG and run type.

    Two of each type are kept (`depends_on_past`, asset-triggered runs count from the one before), or as many as
    `max_consecutive_failed_dag_runs` looks back on. "Latest" is meant by each of the dates that Airflow orders by.
    """
    orders = [name for name in (run_date(catalog), "run_after", "partition_date") if catalog["dag_run"].has(name)]
    parts = [_latest_of_type(catalog, order) for order in orders]
    if catalog["dag"].has("max_consecutive_failed_dag_runs"):
        parts += [_looked_back_on(catalog, order) for order in orders]
    statement = sql.SQL(
        """
WITH kinds AS (
  SELECT dag_id, run_type FROM dag_run WHERE starts_with(dag_id, {own}) IS NOT TRUE GROUP BY 1, 2
), unfinished AS (
  SELECT id, dag_id, {date} AS due FROM dag_run
  WHERE (state IS NULL OR state <> ALL ({finished})) AND starts_with(dag_id, {own}) IS NOT TRUE
  UNION
  SELECT r.id, r.dag_id, r.{date} FROM task_instance i JOIN dag_run r USING (dag_id, run_id)
  WHERE i.state = ANY ({holding}) AND starts_with(r.dag_id, {own}) IS NOT TRUE
)
{latest}
UNION SELECT id FROM unfinished
UNION SELECT before.id FROM unfinished u CROSS JOIN LATERAL (
  SELECT r.id FROM dag_run r WHERE r.dag_id = u.dag_id AND r.{date} < u.due ORDER BY r.{date} DESC LIMIT 1) before
UNION SELECT before.id FROM unfinished u CROSS JOIN LATERAL (
  SELECT r.id FROM dag_run r WHERE r.dag_id = u.dag_id AND r.{date} < u.due AND r.run_type <> 'manual'
  ORDER BY r.{date} DESC LIMIT 1) before
{awaited}
ORDER BY 1"""
    ).format(
        date=sql.Identifier(run_date(catalog)),
        own=sql.Literal(OWN_PREFIX),
        finished=sql.Literal(list(FINISHED_RUN)),
        holding=sql.Literal(list(HOLDING)),
        latest=sql.SQL("\nUNION ").join(parts),
        awaited=_with_open_deadline(catalog),
    )
    cursor.execute(statement)
    runs = tuple(row[0] for row in cursor.fetchall())
    return StateIds(runs, _state_events(cursor, catalog, runs), _state_versions(cursor, catalog, runs))


def _latest_of_type(catalog: Catalog, order: str) -> sql.Composed:
    """`SELECT` of the ids of the last two runs of each DAG and run type, by one of the dates."""
    return sql.SQL(
        """SELECT latest.id FROM kinds k CROSS JOIN LATERAL (
  SELECT r.id FROM dag_run r WHERE r.dag_id = k.dag_id AND r.run_type = k.run_type ORDER BY {} LIMIT 2) latest"""
    ).format(_newest_first(catalog, order))


def _looked_back_on(catalog: Catalog, order: str) -> sql.Composed:
    """`SELECT` of the ids of the last runs of each DAG that is paused after so many failures."""
    return sql.SQL(
        """SELECT latest.id FROM dag d CROSS JOIN LATERAL (
  SELECT r.id FROM dag_run r WHERE r.dag_id = d.dag_id ORDER BY {} LIMIT d.max_consecutive_failed_dag_runs) latest
WHERE d.max_consecutive_failed_dag_runs > 0 AND starts_with(d.dag_id, {}) IS NOT TRUE"""
    ).format(_newest_first(catalog, order), sql.Literal(OWN_PREFIX))


def _newest_first(catalog: Catalog, order: str) -> sql.Composed:
    """`ORDER BY` of runs. Where a date is always there it is said so that an index serves: it has NULLs first."""
    column = catalog["dag_run"].column(order)
    nulls = sql.SQL("" if column and column.not_null else "NULLS LAST")
    return sql.SQL("r.{} DESC {}, r.id DESC").format(sql.Identifier(order), nulls)


def _with_open_deadline(catalog: Catalog) -> sql.Composable:
    """`UNION` with runs of which a deadline may be missed yet, or the callback of a missed one is at work."""
    if "callback" not in catalog:
        return sql.SQL("")
    return sql.SQL(
        """UNION SELECT r.id FROM deadline d
JOIN callback c ON c.id = d.callback_id JOIN dag_run r ON r.id = d.dagrun_id
WHERE (NOT d.missed OR c.trigger_id IS NOT NULL OR c.state IS NULL OR c.state <> ALL ({}))
AND starts_with(r.dag_id, {}) IS NOT TRUE"""
    ).format(sql.Literal(list(FINISHED_CALLBACK)), sql.Literal(OWN_PREFIX))


def _state_events(cursor: Any, catalog: Catalog, runs: Sequence[int]) -> tuple[int, ...]:
    """Events that state runs consumed, the last two of every asset, and those their consumers have not consumed
    yet."""
    assets = assets_of(catalog)
    if not all(name in catalog for name in (assets.event, assets.consumed, assets.schedule, assets.queue)):
        return ()
    parts = [
        """SELECT c.event_id FROM {consumed} c WHERE c.dag_run_id IN {runs}""",
        """SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY {id} ORDER BY id DESC) AS nth FROM {event}) e
        WHERE nth <= 2""",
        """SELECT e.id FROM {schedule} s JOIN dag d ON d.dag_id = s.dag_id JOIN {event} e ON e.{id} = s.{id}
        WHERE {waited_for}""",
    ]
    if assets.alias_schedule in catalog and assets.alias_event in catalog:
        parts.append(
            """SELECT e.id FROM {alias_schedule} s JOIN dag d ON d.dag_id = s.dag_id
            JOIN {alias_event} a ON a.alias_id = s.alias_id JOIN {event} e ON e.id = a.event_id WHERE {waited_for}"""
        )
    if "partitioned_asset_key_log" in catalog:
        parts.append(
            """SELECT k.asset_event_id FROM partitioned_asset_key_log k JOIN asset_partition_dag_run p
            ON p.id = k.asset_partition_dag_run_id WHERE p.created_dag_run_id IS NULL"""
        )
    waited_for = sql.SQL(
        """(d.is_paused IS NOT TRUE OR EXISTS (SELECT 1 FROM {queue} q WHERE q.target_dag_id = s.dag_id))
        AND e.timestamp > COALESCE((SELECT max(r.{after}) FROM dag_run r
        WHERE r.dag_id = s.dag_id AND r.run_type = {run_type}), '-infinity')"""
    ).format(
        queue=sql.Identifier(assets.queue),
        after=sql.Identifier(run_after(catalog)),
        run_type=sql.Literal(assets.run_type),
    )
    names = ("event", "alias_event", "consumed", "schedule", "alias_schedule", "id")
    statement = sql.SQL(" UNION ".join(parts) + " ORDER BY 1").format(
        **{name: sql.Identifier(getattr(assets, name)) for name in names},
        runs=listed(runs),
        waited_for=waited_for,
    )
    cursor.execute(statement)
    return tuple(row[0] for row in cursor.fetchall())


def _state_versions(cursor: Any, catalog: Catalog, runs: Sequence[int]) -> tuple[str, ...]:
    """The current version of every DAG, and those that state runs, their task instances and deadlines point to."""
    if "dag_version" not in catalog:
        return ()
    parts = [
        "(SELECT DISTINCT ON (dag_id) id FROM dag_version ORDER BY dag_id, version_number DESC)",
        "SELECT created_dag_version_id FROM dag_run WHERE id IN {runs}",
        """SELECT i.dag_version_id FROM task_instance i JOIN dag_run r USING (dag_id, run_id)
        WHERE r.id IN {runs}""",
    ]
    if "deadline_alert" in catalog:
        parts.append(
            """SELECT s.dag_version_id FROM deadline d JOIN deadline_alert a ON a.id = d.deadline_alert_id
            JOIN serialized_dag s ON s.id = a.serialized_dag_id WHERE d.dagrun_id IN {runs}"""
        )
    cursor.execute(sql.SQL(" UNION ".join(parts)).format(runs=listed(runs)))
    return tuple(sorted(str(row[0]) for row in cursor.fetchall() if row[0] is not None))


def listed(ids: Sequence[int] | Sequence[str], kind: str = "bigint") -> sql.Composed:
    """A set of ids the planner hashes, whatever its size."""
    literal = sql.Literal("{" + ",".join(map(str, ids)) + "}")
    return sql.SQL("(SELECT unnest({}::{}[]))").format(literal, sql.SQL(kind))
