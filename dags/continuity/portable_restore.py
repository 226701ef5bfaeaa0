"""Portable restore by way of the database: from a snapshot of any supported version into any other."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from psycopg2 import sql

from continuity import ledger as ledgers
from continuity import policy, portable, prepare, verify
from continuity import replace as replacing
from continuity.carry import Carrier
from continuity.catalog import Catalog, Table, read_catalog
from continuity.chosen import run_date
from continuity.errors import RestoreRefused
from continuity.ledger import Ledger
from continuity.manifest import ColumnEntry, Manifest, TableEntry
from continuity.restore import LAST, Snapshot, Target
from continuity.schema import TEXTS
from continuity.settings import PORTABLE, Settings
from continuity.staging import Stager, naming_table, stage_of
from continuity.transactions import patiently, transaction

log = logging.getLogger(__name__)

SOURCE = "continuity_source_"
#: What the scheduler takes for a schedule's own: the next run comes after the latest of them.
OF_SCHEDULE = ("scheduled", "backfill")


def restore_portable(
    target: Target, snapshot: Snapshot, settings: Settings, *, replace: bool = False
) -> tuple[Ledger, bool]:
    """Carry what is portable over in one transaction; returns the ledger, and whether it had been restored already.

    What is left out is logged before the first row is written, and is in the ledger. What never went live gives way;
    `replace`: so does what did. Raises ContinuityError with the state that was there unchanged.
    """
    manifest = snapshot.manifest
    verify.refuse_known_bad(snapshot.store, manifest.snapshot_id)
    begun = ledgers.begun(manifest, PORTABLE)

    def stays(done: Ledger | None) -> bool:
        return ledgers.is_done(done, begun)

    with transaction(target.connection) as cursor:
        done = ledgers.read(cursor)
        if done and stays(done):
            return done, True
        ledgers.must_replace(done, begun, replace=replace)
        catalog = read_catalog(cursor)
        plan = policy.make_plan(catalog, settings.tables)
    entries = portable.carried(manifest, catalog, plan)
    highest = {entry.name: _highest_id(entry) for entry in entries if catalog[entry.name].sequence}
    former = replacing.make_room(target.connection, catalog, plan, begun, replace=replace, stays=stays)
    offsets = replacing.reserve(target.connection, catalog, plan, highest, former)

    def carry(cursor: Any) -> tuple[Ledger, bool]:
        ledgers.take_turn(cursor, ledgers.STATE_LOCK)
        done = ledgers.read(cursor, lock=True)
        if done and stays(done):
            return done, True
        ledger = ledgers.begun(manifest, PORTABLE)
        ledger.offsets = offsets
        ledger.replaced = ledgers.must_replace(done, begun, replace=replace)
        if ledger.replaced:
            replacing.clear_state(cursor, catalog, plan, settings, [entry.name for entry in entries])
        stager = Stager(cursor, snapshot.store, manifest.snapshot_id, snapshot.data_key, target.fernet)
        mover = Mover(stager, catalog, plan, manifest, settings)
        staged = [mover.stage(entry, ledger) for entry in entries]
        ledger.left_out = portable.left_out_tables(manifest, [entry.name for entry in staged]) + mover.left_out
        tell(ledger.left_out, manifest.snapshot_id)
        carrier = Carrier(cursor, catalog, plan, offsets, same_schema=False)
        for entry in sorted(staged, key=lambda entry: entry.name in LAST):
            others = None
            if ledger.replaced and plan.rules[entry.name].gives_way:
                others = replacing.going(cursor, catalog[entry.name], catalog, settings)
            carrier.carry(entry, others)
            ledger.rows += entry.rows
        if ledger.replaced:
            replacing.end_watching(cursor, catalog)
        ledger.done = [entry.name for entry in staged]
        ledger.state_at = datetime.now(UTC).isoformat()
        ledgers.write(cursor, ledger)
        log.info("portable content of snapshot %s restored: %d rows", manifest.snapshot_id, ledger.rows)
        return ledger, False

    return patiently(target.connection, carry)


def tell(left_out: list[str], snapshot_id: str) -> None:
    """Log what a restore is about to leave out."""
    for line in left_out:
        log.warning("snapshot %s, left out: %s", snapshot_id, line)


def _highest_id(entry: TableEntry) -> int:
    """The highest id the rows of a table have; they are numbered here where the snapshot has none."""
    return entry.max_id or entry.rows


def source_of(table: str) -> sql.Identifier:
    """Name of the temporary table that holds a table's rows as the snapshot's version has them, all as text."""
    return sql.Identifier(f"{SOURCE}{table}")


class Mover:
    """Stages rows of another version as the target's version has them; `left_out` is what that came to."""

    def __init__(
        self, stager: Stager, catalog: Catalog, plan: policy.Plan, manifest: Manifest, settings: Settings
    ) -> None:
        self.stager, self.catalog, self.plan, self.manifest, self.settings = stager, catalog, plan, manifest, settings
        self.cursor = stager.cursor
        self.left_out: list[str] = []

    def stage(self, entry: TableEntry, ledger: Ledger) -> TableEntry:
        """Fill the table's stage; returns the entry that describes it."""
        table = self.catalog[entry.name]
        with naming_table(entry.name, sealed=entry.verdict == "sealed"):
            self._load_source(entry)
            columns = self._convert(entry, table)
            self._note_dropped_columns(entry, table)
        staged = replace(entry, columns=columns)
        if entry.name == "dag":
            ledger.inactive = self._inactive(entry)
        if entry.name == "dag_run":
            self._keep_last_of_schedule(table)
        elif entry.name == "task_instance":
            self._keep_those_of_kept_runs(staged)
        else:
            prepare.stage_state(self.cursor, staged, self.manifest, self.settings, self.settings.in_flight)
        prepare.refuse_collisions(self.cursor, staged, self.catalog)
        return replace(staged, rows=self._count(entry.name))

    def _load_source(self, entry: TableEntry) -> None:
        columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(c.name)) for c in entry.columns)
        source = source_of(entry.name)
        self.cursor.execute(sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(source, columns))
        if entry.state:
            self.stager.fill(source, entry, entry.state)

    def _convert(self, entry: TableEntry, table: Table) -> tuple[ColumnEntry, ...]:
        """Copy the source into a stage of the target's columns, but for rows that the target cannot hold."""
        found = portable.expressions(entry, table)
        values = {column.name: self._expression(entry, column.name, *how) for column, *how in found}
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column, *_ in found)
        needed = [column.name for column, *_ in found if column.not_null and column.name != "id"]
        fits = sql.SQL(" AND ").join(sql.SQL("({}) IS NOT NULL").format(values[name]) for name in needed)
        condition: sql.Composable = fits if needed else sql.SQL("TRUE")
        self.cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                stage_of(entry.name), names, sql.Identifier(entry.name)
            )
        )
        # A text that is too long is an error, not cut: hence no cast to the type of a text column.
        casts = [
            values[column.name] if TEXTS.fullmatch(column.type) else _cast(values[column.name], column.type)
            for column, *_ in found
        ]
        self.cursor.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}").format(
                stage_of(entry.name), names, sql.SQL(", ").join(casts), source_of(entry.name), condition
            )
        )
        self._note_unfit(entry, condition)
        return tuple(ColumnEntry(column.name, column.type) for column, *_ in found)

    def _expression(self, entry: TableEntry, column: str, value: str | None, filler: str | None) -> sql.Composable:
        given: sql.Composable = sql.SQL(value or "NULL")
        if value and policy.driven_from_outside(self.manifest.airflow_version) and "dag_bundle" in self.catalog:
            for old, new in portable.CONTENT[entry.name].renamed.get(column, {}).items():
                given = sql.SQL(
                    "CASE WHEN {column} = {old} AND NOT EXISTS (SELECT 1 FROM {source} o WHERE o.{column} = {new})"
                    " THEN {new} ELSE {given} END"
                ).format(
                    column=sql.Identifier(column),
                    old=sql.Literal(old),
                    new=sql.Literal(new),
                    source=source_of(entry.name),
                    given=given,
                )
        if filler is None:
            return given
        return sql.SQL("COALESCE(({})::text, ({})::text)").format(given, sql.SQL(filler))

    def _note_unfit(self, entry: TableEntry, condition: sql.Composable) -> None:
        name = (self.plan.rules[entry.name].key or ("run_id",))[0]
        self.cursor.execute(
            sql.SQL("SELECT COALESCE({}, '') FROM {} WHERE NOT ({}) ORDER BY 1").format(
                sql.Identifier(name), source_of(entry.name), condition
            )
        )
        self.left_out += portable.listed(
            f"{entry.name} {found!r}: it lacks a value that it must have here" for (found,) in self.cursor.fetchall()
        )

    def _note_dropped_columns(self, entry: TableEntry, table: Table) -> None:
        for name in portable.dropped_columns(entry, table):
            self.cursor.execute(
                sql.SQL("SELECT count(*) FROM {} WHERE {} IS NOT NULL").format(
                    source_of(entry.name), sql.Identifier(name)
                )
            )
            rows = self.cursor.fetchone()[0]
            if rows:
                self.left_out.append(f"column {entry.name}.{name} ({rows} rows)")

    def _inactive(self, entry: TableEntry) -> list[str]:
        """DAGs whose files were gone at the cut: nobody waits for them."""
        there = {column.name for column in entry.columns}
        conditions = {"is_active": "is_active::boolean IS NOT TRUE", "is_stale": "is_stale::boolean IS TRUE"}
        gone = next((condition for name, condition in conditions.items() if name in there), "FALSE")
        self.cursor.execute(
            sql.SQL("SELECT dag_id FROM {} WHERE {} ORDER BY 1").format(source_of(entry.name), sql.SQL(gone))
        )
        return [row[0] for row in self.cursor.fetchall()]

    def _keep_last_of_schedule(self, table: Table) -> None:
        """Delete all staged runs but those that tell the scheduler when the next one is due.

        One that was not finished is restored as failed: without XComs, triggers and the rest it cannot go on.
        """
        stage = stage_of("dag_run")
        date = sql.Identifier(run_date(self.catalog))
        last = sql.SQL(
            "SELECT DISTINCT ON (dag_id) id FROM {} WHERE run_type = ANY ({}) AND {} IS NOT NULL"
            " ORDER BY dag_id, {} DESC, id DESC"
        )
        kept = sql.SQL("({})").format(last.format(stage, sql.Literal(list(OF_SCHEDULE)), date, date))
        if table.has("partition_key", "partition_date") and "partition_key" in self._columns():
            kept += sql.SQL(
                " UNION (SELECT DISTINCT ON (dag_id) id FROM {} WHERE run_type = ANY ({}) AND partition_key IS NOT NULL"
                " ORDER BY dag_id, partition_date DESC NULLS LAST, run_after DESC)"
            ).format(stage, sql.Literal(list(OF_SCHEDULE)))
        finished = sql.Literal(list(policy.FINISHED_RUN))
        unfinished = sql.SQL("(state IS NULL OR state <> ALL ({}))").format(finished)
        self.cursor.execute(
            sql.SQL("SELECT dag_id, run_id, state, id IN ({}) FROM {} WHERE {} ORDER BY 1, 2").format(
                kept, stage, unfinished
            )
        )
        self.left_out += portable.listed(
            f"what was left to do of unfinished run {dag_id} {run_id} ({state}): it is restored as failed"
            if is_kept
            else f"unfinished run {dag_id} {run_id} ({state})"
            for dag_id, run_id, state, is_kept in self.cursor.fetchall()
        )
        self.cursor.execute(sql.SQL("DELETE FROM {} WHERE id NOT IN ({})").format(stage, kept))
        self.cursor.execute(
            sql.SQL("UPDATE {} SET state = 'failed', end_date = COALESCE(end_date, now()) WHERE {}").format(
                stage, unfinished
            )
        )
        self._note_gone("dag_run", "the last run of each schedule")

    def _keep_those_of_kept_runs(self, staged: TableEntry) -> None:
        """Delete all staged task instances but those that the next run may depend on; an unfinished one has failed."""
        self.cursor.execute(
            sql.SQL("DELETE FROM {} WHERE (dag_id, run_id) NOT IN (SELECT dag_id, run_id FROM {})").format(
                stage_of(staged.name), stage_of("dag_run")
            )
        )
        prepare.fail_unfinished(self.cursor, staged)
        self._note_gone(staged.name, "those of the last run of each schedule")

    def _note_gone(self, table: str, kept: str) -> None:
        entry = self.manifest.table(table)
        gone = (entry.rows if entry else 0) - self._count(table)
        if gone:
            self.left_out.append(f"table {table} ({gone} rows): all but {kept}")

    def _columns(self) -> set[str]:
        entry = self.manifest.table("dag_run")
        return {column.name for column in entry.columns} if entry else set()

    def _count(self, table: str) -> int:
        self.cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(stage_of(table)))
        return int(self.cursor.fetchone()[0])


def _cast(value: sql.Composable, kind: str) -> sql.Composed:
    """The value as the type that the catalog of this database prints."""
    if not re.fullmatch(r"[a-z ]+(\(\d+\))?", kind):
        raise RestoreRefused(f"a column here is of type {kind}, which a portable restore does not know")
    return sql.SQL("({})::{}").format(value, sql.SQL(kind))
