"""Keep the database small: delete what `airflow db clean` would, as far as a verified base holds it as it is.

A row is held by the base if no transaction has written it since the oldest one that was open at the base's cut
(`layout`). What goes with a row, because a foreign key says so, must be held as well. Nothing of a run that has not
finished is touched. The database is walked through by ranges of pages, one short transaction each, so that a run that
is ended anywhere has done its part.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import psycopg2
from psycopg2 import errors as refusals
from psycopg2 import extensions, sql

from continuity import delta
from continuity.catalog import Catalog, alembic_heads, read_catalog
from continuity.delta import Base
from continuity.policy import FINISHED_RUN, Plan
from continuity.prune_rules import RULES, Clean
from continuity.settings import LONGEST_BASE_INTERVAL, Settings
from continuity.storage import SnapshotStore

log = logging.getLogger(__name__)

DAG_ID = "continuity_prune"
PAGES: Final = 16
#: A run ends in time for the next; what is left is for that one.
LONGEST_SECONDS: Final = 1800.0
#: We give way: whoever holds a row keeps it, and who waits for us waits for one range of pages.
LIMITS: Final = {"lock_timeout": "1s", "statement_timeout": "60s", "idle_in_transaction_session_timeout": "60s"}
#: Another transaction was there first. The next run comes back.
OTHERS_FIRST: Final = (
    refusals.LockNotAvailable,
    refusals.SerializationFailure,
    refusals.DeadlockDetected,
    refusals.QueryCanceled,
)
KEPT: Final = "continuity_prune_kept"

CASCADE, SET_NULL, SET_DEFAULT = "c", "n", "d"


@dataclass(frozen=True)
class Reference:
    """A foreign key, seen from the table it points to; `action` is what PostgreSQL does when a row there goes."""

    table: str
    action: str
    columns: tuple[str, ...]
    target_columns: tuple[str, ...]


@dataclass
class Outcome:
    """What a run did, or would do: rows by table (those that go with them are not counted), and what it left for the
    next one: ranges of pages that others were at work in, and whether it ran out of time."""

    base: str
    before: str
    dry_run: bool
    rows: dict[str, int] = field(default_factory=dict)
    postponed: int = 0
    finished: bool = True

    def as_answer(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Conditions:
    """Which rows may go, as SQL over this database."""

    catalog: Catalog
    plan: Plan
    base: Base
    references: Mapping[str, Sequence[Reference]]

    def of(self, name: str, clean: Clean, before: datetime) -> sql.Composed:
        """The condition on a row `t` of a table."""
        date = sql.Identifier(next(date for date in clean.dates if self.catalog[name].has(date)))
        conditions: list[sql.Composable] = [
            sql.SQL("t.{} < {}").format(date, sql.Literal(before)),
            sql.SQL(clean.only),
            sql.SQL("NOT ({})").format(_any([*self._in_use(name, "t"), *self._with_it(name, "t", (name,))])),
        ]
        if clean.latest_of:
            conditions.append(
                sql.SQL("NOT EXISTS (SELECT FROM {} k WHERE k.of = t.{} AND k.date = t.{})").format(
                    sql.Identifier(KEPT), sql.Identifier(clean.latest_of), date
                )
            )
        return sql.SQL(" AND ").join(conditions)

    def latest(self, name: str, clean: Clean) -> sql.Composed:
        """`SELECT` of the rows that are kept for being the latest."""
        table = self.catalog[name]
        among = next((which for column, which in (clean.among or {}).items() if table.has(column)), "true")
        date = next(date for date in clean.dates if table.has(date))
        return sql.SQL("SELECT {of} AS of, max({date}) AS date FROM {table} WHERE {among} GROUP BY 1").format(
            of=sql.Identifier(str(clean.latest_of)),
            date=sql.Identifier(date),
            table=sql.Identifier(name),
            among=sql.SQL(among),
        )

    def _in_use(self, name: str, alias: str) -> Iterator[sql.Composable]:
        """What speaks against a row by itself: the base lacks it, or its run has not finished."""
        if self.plan.rules[name].verdict != "skip":
            horizon = sql.Literal(str(self.base.layout.horizon % 2**32))
            held = self.base.manifest.table(name) is not None
            written_since = sql.SQL("age({}.xmin) <= age({}::xid)").format(sql.Identifier(alias), horizon)
            yield written_since if held else sql.SQL("true")
        if name == "dag_run":
            yield sql.SQL("COALESCE({}.state, '') <> ALL ({})").format(sql.Identifier(alias), _finished())
        for key in self.catalog[name].foreign_keys:
            if key.table == "dag_run" or (key.table == "task_instance" and name != "dag_run"):
                parent = f"{alias}p"
                yield sql.SQL("EXISTS (SELECT FROM {} {} WHERE {} AND ({}))").format(
                    sql.Identifier(key.table),
                    sql.Identifier(parent),
                    _equal(parent, key.target_columns, alias, key.columns),
                    _any(self._unfinished(key.table, parent)),
                )

    def _unfinished(self, name: str, alias: str) -> Iterator[sql.Composable]:
        """Whether the run of a row of `dag_run` or `task_instance` has not finished."""
        if name == "dag_run":
            yield sql.SQL("COALESCE({}.state, '') <> ALL ({})").format(sql.Identifier(alias), _finished())
        for key in self.catalog[name].foreign_keys if name == "task_instance" else ():
            if key.table == "dag_run":
                run = f"{alias}r"
                yield sql.SQL("EXISTS (SELECT FROM dag_run {} WHERE {} AND ({}))").format(
                    sql.Identifier(run),
                    _equal(run, key.target_columns, alias, key.columns),
                    _any(self._unfinished("dag_run", run)),
                )

    def _with_it(self, name: str, alias: str, path: tuple[str, ...]) -> Iterator[sql.Composable]:
        """What speaks against a row by what points to it: rows that would go with it, or forbid that it goes."""
        for reference in self.references.get(name, ()):
            if reference.action in {SET_NULL, SET_DEFAULT} or reference.table in path:
                continue
            child = f"c{len(path)}"
            against: list[sql.Composable] = [sql.SQL("true")]
            if reference.action == CASCADE:
                deeper = self._with_it(reference.table, child, (*path, reference.table))
                against = [*self._in_use(reference.table, child), *deeper]
            if against:
                yield sql.SQL("EXISTS (SELECT FROM {} {} WHERE {} AND ({}))").format(
                    sql.Identifier(reference.table),
                    sql.Identifier(child),
                    _equal(child, reference.columns, alias, reference.target_columns),
                    _any(against),
                )


def prune(connection: Any, plan: Plan, base: Base, before: datetime, *, dry_run: bool) -> Outcome:
    """Delete what is older than `before` and may go; with `dry_run`, count it."""
    outcome = Outcome(base.manifest.snapshot_id, before.isoformat(), dry_run)
    deadline = time.monotonic() + LONGEST_SECONDS
    connection.rollback()
    connection.set_session(isolation_level=extensions.ISOLATION_LEVEL_REPEATABLE_READ, autocommit=False)
    with connection, connection.cursor() as cursor:
        for name, value in LIMITS.items():
            cursor.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        catalog = read_catalog(cursor)
        conditions = Conditions(catalog, plan, base, _references(catalog))
    for name, clean in sorted(RULES.items()):
        if name not in catalog or not any(catalog[name].has(date) for date in clean.dates):
            continue
        outcome.rows[name] = 0
        if clean.latest_of:
            _note_latest(connection, conditions.latest(name, clean))
        for statement in _statements(connection, name, conditions.of(name, clean, before), dry_run=dry_run):
            if time.monotonic() > deadline:
                outcome.finished = False
                return outcome
            rows = _carry_out(connection, statement, dry_run=dry_run)
            outcome.postponed += rows is None
            outcome.rows[name] += rows or 0
        log.info("%s: %d rows %s", name, outcome.rows[name], "would be deleted" if dry_run else "deleted")
    return outcome


def find_base(cursor: Any, store: SnapshotStore, settings: Settings, now: datetime, airflow_version: str) -> Base:
    """The newest base of this very database and schema, of the last week, read back without faults, with all that it
    holds still there.

    Raises NoBase with the reason, SnapshotDamaged where an object is gone.
    """
    patient = replace(settings, base_interval_hours=LONGEST_BASE_INTERVAL)
    fits = {"airflow_version": airflow_version, "alembic_heads": alembic_heads(cursor, read_catalog(cursor))}
    base = delta.find_base(cursor, store, patient, now, fits)
    for table in base.manifest.tables:
        for entry in table.objects:
            store.check_size(base.manifest.snapshot_id, entry)
    return base


def _references(catalog: Catalog) -> dict[str, list[Reference]]:
    found: dict[str, list[Reference]] = {}
    for name, table in catalog.items():
        for key in table.foreign_keys:
            found.setdefault(key.table, []).append(Reference(name, key.on_delete, key.columns, key.target_columns))
    return found


def _note_latest(connection: Any, query: sql.Composable) -> None:
    """In a table of this session: a later row that comes meanwhile keeps one more."""
    with connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(sql.Identifier(KEPT)))
        cursor.execute(sql.SQL("CREATE TEMPORARY TABLE {} AS {}").format(sql.Identifier(KEPT), query))


def _statements(connection: Any, name: str, condition: sql.Composable, *, dry_run: bool) -> Iterator[sql.Composed]:
    """One for each range of pages of a table."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::bigint",
            (sql.Identifier(name).as_string(cursor),),
        )
        (pages,) = cursor.fetchone()
    shape = (
        "SELECT count(*) FROM {table} t WHERE {inside} AND {condition}"
        if dry_run
        else """DELETE FROM {table} WHERE ctid = ANY (ARRAY(
            SELECT t.ctid FROM {table} t WHERE {inside} AND {condition} FOR UPDATE SKIP LOCKED))"""
    )
    for first in range(0, pages, PAGES):
        inside = sql.SQL("t.ctid >= {}::tid AND t.ctid < {}::tid").format(
            sql.Literal(f"({first},0)"), sql.Literal(f"({first + PAGES},0)")
        )
        yield sql.SQL(shape).format(table=sql.Identifier(name), inside=inside, condition=condition)


def _carry_out(connection: Any, statement: sql.Composable, *, dry_run: bool) -> int | None:
    """How many rows; None where others were there first."""
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return int(cursor.fetchone()[0]) if dry_run else int(cursor.rowcount)
    except OTHERS_FIRST as refusal:
        log.info("a range of pages is left to the next run: %s", type(refusal).__name__)
        return None
    except psycopg2.errors.ForeignKeyViolation:
        log.info("a range of pages is left to the next run: something began to point to a row that was to go")
        return None


def _finished() -> sql.Composed:
    return sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(sql.Literal(state) for state in FINISHED_RUN))


def _equal(left: str, columns: Sequence[str], right: str, others: Sequence[str]) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("{}.{} = {}.{}").format(*(sql.Identifier(part) for part in (left, column, right, other)))
        for column, other in zip(columns, others, strict=True)
    )


def _any(conditions: Sequence[sql.Composable] | Iterator[sql.Composable]) -> sql.Composable:
    return sql.SQL(" OR ").join(conditions) if (conditions := list(conditions)) else sql.SQL("false")
