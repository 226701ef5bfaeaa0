"""Take a snapshot: every carried table as of one instant, streamed to S3, manifest last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from continuity import delta, drain, guard, lanes, layout, manifest, policy, secrets
from continuity import ledger as ledgers
from continuity.catalog import alembic_heads, read_catalog
from continuity.chosen import find_state_ids
from continuity.cut import OF_CUT, Cut, consistent_cut
from continuity.delta import Changes
from continuity.errors import ContinuityError, NoBase
from continuity.layout import Survey
from continuity.manifest import Manifest
from continuity.selection import in_flight
from continuity.settings import Settings
from continuity.storage import SnapshotStore
from continuity.writing import Reading, Writer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """The environment a snapshot is taken of: a psycopg2 connection of our own, its secrets' keys, its version, and how
    to get one more connection (None: one has to do)."""

    connection: Any
    fernet: secrets.FernetKeys
    airflow_version: str
    connect: lanes.Connect | None = None


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
            paused=drain.flags_before(paused_flags(cut.cursor), record, guard.recorded(cut.cursor)),
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
