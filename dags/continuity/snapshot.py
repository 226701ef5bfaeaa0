"""Take a snapshot: every carried table as of one instant, streamed to S3, manifest last."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import psycopg2
from botocore.exceptions import ClientError
from psycopg2 import extensions, sql

from continuity import delta, drain, lanes, layout, manifest, policy, secrets
from continuity import ledger as ledgers
from continuity.catalog import Catalog, Table, alembic_heads, high_water_mark, read_catalog
from continuity.chosen import StateIds, find_state_ids
from continuity.delta import Changes, TableChanges
from continuity.errors import ContinuityError, NoBase
from continuity.layout import Survey
from continuity.manifest import ColumnEntry, Manifest, ObjectEntry, TableEntry
from continuity.rules import Rule
from continuity.selection import count_in, in_flight, in_order, rows_of
from continuity.settings import Settings
from continuity.storage import GzipUpload, SnapshotStore

log = logging.getLogger(__name__)

#: The transaction holds back vacuum, so it may not last for ever; but a table that someone locks is waited for.
LIMITS = {
    "statement_timeout": "45min",
    "lock_timeout": "15min",
    "idle_in_transaction_session_timeout": "1h",  # one of two sessions may wait for the other's longest statement
}
#: How values are printed must not depend on the session that prints them.
PLAIN_FORMATS = {
    "client_encoding": "UTF8",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
#: Compiling a query takes longer than running any of ours; sorting every run stays in memory, which is given back.
PLANS = {"jit": "off", "work_mem": "32MB"}
#: Rows of a base come as they lie, from the first page on.
AS_THEY_LIE = {"synchronize_seqscans": "off", "max_parallel_workers_per_gather": "0"}
OF_CUT = {**LIMITS, **PLAIN_FORMATS, **PLANS, **AS_THEY_LIE}
SEALED_BATCH = 500


@dataclass(frozen=True)
class Source:
    """The environment a snapshot is taken of: a psycopg2 connection of our own, its secrets' keys, its version, and how
    to get one more connection (None: one has to do)."""

    connection: Any
    fernet: secrets.FernetKeys
    airflow_version: str
    connect: lanes.Connect | None = None


@dataclass(frozen=True)
class Cut:
    """The instant of a snapshot: everything read through `cursor` is as of then."""

    cursor: Any
    exported_snapshot: str | None
    at: datetime


@dataclass(frozen=True)
class Reading:
    """What a cut sees: the tables, what to do with each, which rows are state, the schema's versions.

    sessions: connections that see it.
    """

    cut: Cut
    sessions: Sequence[Any]
    airflow_version: str
    catalog: Catalog
    plan: policy.Plan
    ids: StateIds
    heads: Mapping[str, list[str]]


def take_snapshot(
    source: Source,
    store: SnapshotStore,
    kms: Any,
    settings: Settings,
    snapshot_id: str,
    *,
    check: Callable[[], None] | None = None,
) -> Manifest:
    """Write all objects of a snapshot, its manifest last. Raises ContinuityError; a failed snapshot looks like none.

    `check` is called after the cut and before the manifest, and raises what speaks against this snapshot.
    """
    started_at = datetime.now(UTC)
    context = manifest.key_context(settings.environment, snapshot_id)
    data_key = secrets.new_data_key(kms, settings.kms_key, context)
    with (
        consistent_cut(source.connection) as cut,
        lanes.sessions_of_cut(source.connection, cut.exported_snapshot, source.connect, OF_CUT) as sessions,
    ):
        ledgers.refuse_company(cut.cursor)
        ledgers.refuse_half_restored(ledgers.read(cut.cursor))
        refuse_present(store, snapshot_id)
        tidy(store)
        reading = read(cut, sessions, settings, source.airflow_version)
        plan = reading.plan
        survey, changes = look_back(reading, store, settings, snapshot_id)
        writer = Writer(cut.cursor, reading, store, snapshot_id, source.fernet, data_key, survey, changes)
        tables = writer.write_all()
        skipped = [{"name": name, "why": rule.why} for name, rule in plan.rules.items() if rule.verdict == "skip"]
        record = drain.recorded(cut.cursor)
        done = Manifest(
            snapshot_id=snapshot_id,
            environment=settings.environment,
            region=settings.region,
            airflow_version=source.airflow_version,
            alembic_heads=reading.heads,
            postgres_version=server_version(cut.cursor),
            cut_at=cut.at.isoformat(),
            started_at=started_at.isoformat(),
            completed_at=datetime.now(UTC).isoformat(),
            exported_snapshot=cut.exported_snapshot,
            encryption=data_key.entry(settings.kms_key),
            paused=drain.flags_before(paused_flags(cut.cursor), record),
            in_flight=in_flight(cut.cursor),
            tables=tables,
            skipped=skipped,
            unknown_tables=list(plan.unknown),
            spec=spec_entry(store, snapshot_id),
            base=changes.base_id if changes else None,
            layout=None if changes else writer.write_layout(),
            drained_at=record.drained_at if record else None,
        )
        if changes:
            done = replace(done, history_bytes_since_base=changes.base.history_bytes + done.own_history_bytes)
        refuse_rewritten(cut.cursor, plan)
        if check:
            check()
        store.put(snapshot_id, manifest.NAME, done.to_json())
    kind = f"delta of {done.base}" if done.base else "base"
    log.info("snapshot %s (%s): %d rows, %d bytes written", snapshot_id, kind, done.rows, done.stored_bytes)
    return done


def read(cut: Cut, sessions: Sequence[Any], settings: Settings, airflow_version: str) -> Reading:
    catalog = read_catalog(cut.cursor)
    plan = policy.make_plan(catalog, settings.tables)
    ids = find_state_ids(cut.cursor, catalog)
    return Reading(cut, sessions, airflow_version, catalog, plan, ids, alembic_heads(cut.cursor, catalog))


def look_back(
    reading: Reading, store: SnapshotStore, settings: Settings, snapshot_id: str
) -> tuple[Survey, Changes | None]:
    """How the rows of large tables lie, and what changed since the newest base; None where this becomes a base."""
    cursor, survey = reading.cut.cursor, None
    fits = {"airflow_version": reading.airflow_version, "alembic_heads": reading.heads}
    try:
        base = delta.find_base(cursor, store, settings, reading.cut.at, fits, but=snapshot_id)
        survey = layout.survey(reading.sessions, reading.catalog, reading.plan, base.layout.horizon)
        return survey, delta.compare(base, survey)
    except NoBase as reason:
        log.info("this snapshot becomes a base: %s", reason)
        return survey or layout.survey(reading.sessions, reading.catalog, reading.plan, None), None


def refuse_rewritten(cursor: Any, plan: policy.Plan) -> None:
    """Raises ContinuityError where a table got another file since the cut: its rows may have been read as none.

    Asked as of the cut, the catalog names the file of then; the function names that of now. All tables have been read,
    and none changes its file before this transaction ends ("MVCC Caveats" in PostgreSQL's manual).
    """
    cursor.execute(
        """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname = ANY (%s)
        AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid) ORDER BY 1""",
        (plan.carried(),),
    )
    rewritten = [name for (name,) in cursor.fetchall()]
    if rewritten:
        raise ContinuityError(
            f"while this snapshot was taken, something rewrote {', '.join(rewritten)} (a migration, TRUNCATE or VACUUM "
            "FULL), so that rows may be missing; it is discarded: take another one"
        )


def refuse_present(store: SnapshotStore, snapshot_id: str) -> None:
    """Raises ContinuityError where the snapshot is complete already."""
    if store.read_if_present(snapshot_id, manifest.NAME) is not None:
        raise ContinuityError(f"snapshot {snapshot_id} is already there; a snapshot is never overwritten")


def tidy(store: SnapshotStore) -> None:
    """End what killed runs left half uploaded. A role that may not is no reason to go without a snapshot."""
    try:
        for key in store.abort_leftovers():
            log.warning("ended the unfinished upload of an earlier run: %s", key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise
        log.warning("unfinished uploads of earlier runs are left to the bucket's lifecycle rule: %s", error)


@contextmanager
def consistent_cut(connection: Any) -> Iterator[Cut]:
    """One REPEATABLE READ READ ONLY transaction, exported before the first table is read."""
    connection.rollback()
    connection.set_session(isolation_level=extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True, autocommit=False)
    with connection.cursor() as cursor:
        try:
            cut = _begin(cursor, export=True)
        except psycopg2.Error as error:  # a proxy between us and the database may not allow it
            if connection.closed:
                raise
            log.warning("the database exports no snapshot (%s); only this transaction sees the cut", error.pgcode)
            connection.rollback()
            cut = _begin(cursor, export=False)
        try:
            yield cut
        finally:
            if not connection.closed:  # what ended it is what is to be told
                connection.rollback()


def _begin(cursor: Any, export: bool) -> Cut:
    lanes.set_local(cursor, OF_CUT)
    exported = "pg_export_snapshot()" if export else "NULL"
    cursor.execute(sql.SQL("SELECT {}, statement_timestamp()").format(sql.SQL(exported)))
    exported_snapshot, at = cursor.fetchone()
    return Cut(cursor, exported_snapshot, at.astimezone(UTC))


@dataclass(frozen=True)
class Writer:
    """Writes the objects of one table after the other, read through `cursor`."""

    cursor: Any
    reading: Reading
    store: SnapshotStore
    snapshot_id: str
    fernet: secrets.FernetKeys
    data_key: secrets.DataKey
    survey: Survey
    changes: Changes | None

    def write_all(self) -> tuple[TableEntry, ...]:
        """Write every table, the largest first: whoever of the sessions has it, the others have the rest meanwhile."""
        reading = self.reading
        rows = {name: sum(counted.present) for name, counted in self.survey.tables.items()}
        largest_first = sorted(reading.plan.carried(), key=lambda name: -rows.get(name, 0))

        def write(session: Any, name: str) -> TableEntry:
            with session.cursor() as cursor:
                return replace(self, cursor=cursor).write(reading.catalog[name], reading.plan.rules[name])

        return tuple(sorted(lanes.shared_out(largest_first, reading.sessions, write), key=lambda entry: entry.name))

    def write(self, table: Table, rule: Rule) -> TableEntry:
        rows = None
        changed = self.changes.tables.get(table.name) if self.changes else None
        if rule.verdict == "sealed":
            objects = [self._write_sealed(table, rule)]
        elif changed:
            objects = self._write_changes(table, rule, changed)
            rows = changed.rows + self._count_in(table, changed.pages)
        else:
            phases = ("state", "history") if rule.phase == "split" else (rule.phase,)
            objects = [self._write_copy(table, rule, phase) for phase in phases]
        return TableEntry(
            name=table.name,
            verdict=rule.verdict,
            columns=tuple(ColumnEntry(column.name, column.type) for column in table.columns),
            rows=sum(entry.rows for entry in objects) if rows is None else rows,
            max_id=high_water_mark(self.cursor, table) if table.sequence else None,
            objects=tuple(objects),
        )

    def write_layout(self) -> dict[str, Any]:
        """Say where the rows of this base lie; returns what the manifest says of the object."""
        reading = self.reading
        time.sleep(layout.seconds_until_lasting(self.cursor, reading.cut.at))
        found = layout.described(reading.sessions, self.survey, reading.catalog, reading.plan, reading.ids)
        body = found.to_bytes()
        self.store.put(self.snapshot_id, layout.NAME, body)
        return manifest.plain_entry(layout.NAME, body)

    def _write_changes(self, table: Table, rule: Rule, changed: TableChanges) -> list[ObjectEntry]:
        """The state whole; of the history what lies where something changed."""
        state = [self._write_copy(table, rule, "state")] if rule.phase == "split" else []
        own = [self._write_copy(table, rule, "history", changed.pages)] if changed.pages else []
        return [*state, *changed.holding, *own]

    def _write_copy(
        self, table: Table, rule: Rule, phase: str, pages: Sequence[tuple[int, int]] | None = None
    ) -> ObjectEntry:
        name = f"{table.name}.{phase}.copy.gz"
        rows = rows_of(table, self.reading.catalog, rule, phase, self.reading.ids, pages=pages)
        if table.name in self.survey.tables and pages is None and not self._comes_as_it_lies(rows):
            rows = in_order(rows)
        query = sql.SQL("COPY ({}) TO STDOUT").format(rows)
        with self.store.upload(self.snapshot_id, name) as upload:
            packed = GzipUpload(upload)
            self.cursor.copy_expert(query, packed, size=1 << 18)
            packed.finish()
        return ObjectEntry(name, phase, self.cursor.rowcount, upload.bytes, upload.sha256)

    def _count_in(self, table: Table, pages: Sequence[tuple[int, int]]) -> int:
        self.cursor.execute(count_in(table, self.reading.catalog, pages))
        return int(self.cursor.fetchone()[0])

    def _comes_as_it_lies(self, rows: sql.Composed) -> bool:
        """Whether the rows come from the first page to the last by themselves: a sort of a long history costs."""
        self.cursor.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(rows))
        return bool(self.cursor.fetchone()[0][0]["Plan"]["Node Type"] == "Seq Scan")

    def _write_sealed(self, table: Table, rule: Rule) -> ObjectEntry:
        name = f"{table.name}.sealed"
        rows = 0

        def lines() -> Iterator[bytes]:
            nonlocal rows
            for row in self._text_rows(table, rule):
                where = f"{table.name} {row.get(policy.NAME_OF_ROW.get(table.name, 'id'))!r}"
                secrets.reveal_row(row, rule.secret, self.fernet, where)
                rows += 1
                yield json.dumps(row).encode()

        body = secrets.seal(lines(), self.data_key, f"{self.snapshot_id}/{table.name}")
        with self.store.upload(self.snapshot_id, name) as upload:
            upload.write(body)
        return ObjectEntry(name, "state", rows, upload.bytes, upload.sha256)

    def _text_rows(self, table: Table, rule: Rule) -> Iterator[dict[str, str | None]]:
        """Rows as PostgreSQL prints them, fetched through a cursor of the server."""
        names = [column.name for column in table.columns]
        with self.cursor.connection.cursor(name=f"sealed_{table.name}") as cursor:
            cursor.itersize = SEALED_BATCH
            cursor.execute(rows_of(table, self.reading.catalog, rule, "state", self.reading.ids, as_text=True))
            for row in cursor:
                yield dict(zip(names, row, strict=True))


def paused_flags(cursor: Any) -> dict[str, bool]:
    """Paused flag of every DAG but the metadata DAGs."""
    cursor.execute(
        "SELECT dag_id, COALESCE(is_paused, false) FROM dag WHERE NOT starts_with(dag_id, %s) ORDER BY 1",
        (policy.OWN_PREFIX,),
    )
    return {dag_id: bool(paused) for dag_id, paused in cursor.fetchall()}


def server_version(cursor: Any) -> str:
    cursor.execute("SHOW server_version")
    return str(cursor.fetchone()[0]).split()[0]


def spec_entry(store: SnapshotStore, snapshot_id: str) -> dict[str, Any] | None:
    """The spec that was stored beside the snapshot before it was taken, None if there is none."""
    body = store.read_if_present(snapshot_id, "spec.json")
    if body is None:
        return None
    return manifest.plain_entry("spec.json", body)
