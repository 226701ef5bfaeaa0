"""Restore a snapshot beside a live scheduler: state in one transaction, history object by object.

Nothing here truncates, drops an index or locks a table. A restore that fails or is killed leaves the rows as they were.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2 import sql

from continuity import lanes, policy, portable, prepare, recent, secrets, verify
from continuity import ledger as ledgers
from continuity import replace as replacing
from continuity.carry import Carrier
from continuity.catalog import Catalog, alembic_heads, independent, insert_order, read_catalog
from continuity.errors import RestoreRefused
from continuity.ledger import Ledger
from continuity.manifest import Manifest, TableEntry, read_manifest
from continuity.schema import fitting, losses
from continuity.settings import FULL, InFlight, Settings
from continuity.staging import Stager
from continuity.storage import SnapshotStore
from continuity.transactions import patiently, transaction

log = logging.getLogger(__name__)

#: How to do without what a refusal names.
ACCEPT = (
    'To go without that, restore with "mode": "portable": connections, variables, pools, users and roles, paused flags '
    "and the last run of each schedule"
)
#: Inserted when the environment goes live, parents first: triggerers run, and deadlines pass, whatever is paused.
AT_GO_LIVE = ("trigger", "callback", "deadline")
#: Carried right before the commit: the scheduler locks every pool whenever it queues something, and gives up where a
#: row is locked already. Until then beats and fencing go on, however long the state takes. No table points to it.
LAST = ("slot_pool",)
#: As many new rows change how a table is best read.
TELLING_ROWS = 1000


#: Raises what speaks against refreshing a standby now.
StandbyCheck = Callable[[], None]


@dataclass(frozen=True)
class Target:
    """The environment a snapshot is restored into: a psycopg2 connection of our own, its secrets' keys, and how to get
    one more connection (None: one has to do)."""

    connection: Any
    fernet: secrets.FernetKeys
    connect: lanes.Connect | None = None


@dataclass(frozen=True)
class Snapshot:
    """A snapshot to restore: where it lies, what its manifest says, and its data key."""

    store: SnapshotStore
    manifest: Manifest
    data_key: secrets.DataKey


def open_snapshot(store: SnapshotStore, kms: Any, settings: Settings, snapshot_id: str) -> Snapshot:
    """Read the manifest and open the data key. Raises SnapshotDamaged, or KeyRefused."""
    manifest = read_manifest(store, snapshot_id)
    key = secrets.open_data_key(kms, settings.kms_key, manifest.encrypted_data_key, manifest.key_context)
    return Snapshot(store, manifest, key)


def check_objects(snapshot: Snapshot) -> None:
    """Raises SnapshotDamaged naming the object that is missing, altered or truncated, now or when it was read back.

    State objects are read whole, and sealed ones opened: also those that are not needed before the environment goes
    live. History objects are checked for presence and size here, and for content when they are restored: reading them
    now would make the time to go live grow with history.
    """
    store, snapshot_id = snapshot.store, snapshot.manifest.snapshot_id
    for known in filter(None, (snapshot_id, snapshot.manifest.base)):
        verify.refuse_known_bad(store, known)
    for table in snapshot.manifest.tables:
        for entry in table.objects:
            if entry.phase == "state":
                verify.read_object(store, snapshot_id, table, entry, snapshot.data_key)
            else:
                store.check_size(snapshot_id, entry)


def restore_state(
    target: Target,
    snapshot: Snapshot,
    settings: Settings,
    in_flight: InFlight,
    *,
    replace: bool = False,
    standby: StandbyCheck | None = None,
) -> tuple[Ledger, bool]:
    """Carry the state over in one transaction; returns the ledger, and whether it had been restored already.

    What never went live gives way to it; `replace`: so does what did. `standby`, for a refresh: called whenever no
    other restore can begin, it raises where this Region is no standby any more; a newer snapshot that is there stays.
    Raises ContinuityError with the state that was there unchanged.
    """
    manifest = snapshot.manifest
    refuse_portable(manifest)
    check_objects(snapshot)
    begun = ledgers.begun(manifest, FULL)

    def stays(done: Ledger | None) -> bool:
        return ledgers.is_done(done, begun) or (standby is not None and ledgers.is_newer(done, begun))

    with transaction(target.connection) as cursor:
        done = ledgers.read(cursor)
        if done and stays(done):
            return done, True
        ledgers.must_replace(done, begun, replace=replace)
        catalog = read_catalog(cursor)
        plan = policy.make_plan(catalog, settings.tables)
        same_schema = alembic_heads(cursor, catalog) == dict(manifest.alembic_heads)
    refuse_losses(manifest, catalog, plan)
    highest = {
        entry.name: entry.max_id or 0
        for entry in manifest.tables
        if fitting(entry, catalog, plan) and catalog[entry.name].sequence
    }
    former = replacing.make_room(target.connection, catalog, plan, begun, replace=replace, stays=stays, check=standby)
    offsets = replacing.reserve(target.connection, catalog, plan, highest, former)

    def carry(cursor: Any) -> tuple[Ledger, bool]:
        ledgers.take_turn(cursor, ledgers.STATE_LOCK)
        done = ledgers.read(cursor, lock=True)
        if done and stays(done):
            return done, True
        if standby:
            standby()
        ledger = ledgers.begun(manifest, FULL)
        ledger.offsets, ledger.history_days = offsets, settings.history_days
        ledger.replaced = ledgers.must_replace(done, begun, replace=replace)
        if ledger.replaced:
            replacing.clear_state(cursor, catalog, plan, settings, [entry.name for entry in manifest.tables])
        carrier = Carrier(cursor, catalog, plan, offsets, same_schema=same_schema)
        stager = Stager(cursor, snapshot.store, manifest.snapshot_id, snapshot.data_key, target.fernet)
        _carry_state(carrier, stager, manifest, settings, in_flight=in_flight, ledger=ledger)
        if ledger.replaced:
            replacing.end_watching(cursor, catalog)
        ledgers.write(cursor, ledger)
        log.info("state of snapshot %s restored: %d rows", manifest.snapshot_id, ledger.rows)
        return ledger, False

    return patiently(target.connection, carry)


def restore_history(target: Target, snapshot: Snapshot, settings: Settings) -> int:
    """Carry what the ledger does not list as done, one transaction per table, parents first; returns the rows of this
    call. Tables that no foreign key connects are carried side by side."""
    manifest = snapshot.manifest
    with transaction(target.connection) as cursor:
        there = ledgers.read(cursor)
        if there and there.snapshot_id != manifest.snapshot_id and (there.replaced or not there.state_at):
            log.warning("snapshot %s gave way to %s: no history follows", manifest.snapshot_id, there.snapshot_id)
            return 0
        ledger = ledgers.read_for(cursor, manifest.snapshot_id)
        if ledger and ledger.mode != FULL:
            log.info("snapshot %s was restored in %s mode: no history follows", manifest.snapshot_id, ledger.mode)
            return 0
        catalog = read_catalog(cursor)
        plan = policy.make_plan(catalog, settings.tables)
    entries = {entry.name: entry for entry in tables_in_order(manifest, catalog, plan) if entry.history}
    cut_at = datetime.fromisoformat(manifest.cut_at)

    def carry(session: Any, names: Sequence[str]) -> int:
        rows = 0
        for name in names:
            with transaction(session) as cursor:
                ledgers.take_turn(cursor, ledgers.history_lock(name))
                stager = Stager(cursor, snapshot.store, manifest.snapshot_id, snapshot.data_key, target.fernet)
                rows += _carry_history_of(stager, catalog, plan, entries[name], cut_at)
        return rows

    families = independent(catalog, entries)
    largest_first = sorted(families, key=lambda names: -sum(entries[name].history_rows for name in names))
    with lanes.sessions(target.connection, target.connect) as sessions:
        return sum(lanes.shared_out(largest_first, sessions, carry))


def tables_in_order(manifest: Manifest, catalog: Catalog, plan: policy.Plan) -> list[TableEntry]:
    """The tables of a snapshot that have a place here, parents first."""
    entries = {entry.name: entry for entry in manifest.tables if fitting(entry, catalog, plan)}
    return [entries[name] for name in insert_order(catalog, entries)]


def refuse_losses(manifest: Manifest, catalog: Catalog, plan: policy.Plan) -> None:
    found = losses(manifest, catalog, plan)
    if found:
        raise RestoreRefused(
            f"this database has another schema, and a restore would lose: {'; '.join(found)}. {ACCEPT}"
        )


def refuse_portable(manifest: Manifest) -> None:
    """Raises RestoreRefused for a snapshot that a full restore would find incomplete."""
    if manifest.mode != FULL:
        lacking = "; ".join(portable.listed(portable.not_taken(manifest)))
        raise RestoreRefused(f"snapshot {manifest.snapshot_id} is {manifest.mode}; it lacks: {lacking}. {ACCEPT}")


def _carry_state(
    carrier: Carrier, stager: Stager, manifest: Manifest, settings: Settings, *, in_flight: InFlight, ledger: Ledger
) -> None:
    """Carry every state object over; the ledger learns what became of it."""
    cursor = carrier.cursor
    in_order = tables_in_order(manifest, carrier.catalog, carrier.plan)
    for entry in sorted(in_order, key=lambda entry: entry.name in LAST):
        stored = entry.state
        if not stored or entry.name in AT_GO_LIVE:
            continue
        stager.load(entry, stored)
        if entry.name == "dag":
            ledger.inactive = prepare.inactive_dags(cursor, entry)
        prepare.stage_state(cursor, entry, manifest, settings, in_flight)
        prepare.refuse_collisions(cursor, entry, carrier.catalog)
        prepare.make_room_for_versions(cursor, entry)
        current = prepare.current_log_template(cursor) if entry.name == "log_template" else None
        others = None
        if ledger.replaced and carrier.plan.rules[entry.name].gives_way:
            others = replacing.going(cursor, carrier.catalog[entry.name], carrier.catalog, settings)
        carrier.carry(entry, others)
        if current is not None:
            prepare.keep_log_template_current(cursor, current)
        ledger.rows += stored.rows
        ledger.done.append(stored.name)
    ledger.maps = {
        name: known for name, known in carrier.maps.items() if known and name in still_needed(manifest, carrier)
    }
    ledger.history = [entry.history_name for entry in in_order if entry.history]
    ledger.state_at = datetime.now(UTC).isoformat()


def still_needed(manifest: Manifest, carrier: Carrier) -> set[str]:
    """Tables that history objects point to: the ledger remembers what became of their ids."""
    entries = [entry for entry in tables_in_order(manifest, carrier.catalog, carrier.plan) if entry.history]
    targets = [
        policy.references(carrier.catalog[entry.name], carrier.plan.rules[entry.name]).values() for entry in entries
    ]
    return {name for found in targets for name in found}


def _carry_history_of(stager: Stager, catalog: Catalog, plan: policy.Plan, entry: TableEntry, cut_at: datetime) -> int:
    """Carry a table's history within the caller's transaction, unless that is done; returns its rows."""
    cursor = stager.cursor
    ledger = _ledger(cursor, stager.snapshot_id)
    if entry.history_name in ledger.done:
        return 0
    stager.load_history(entry, catalog[entry.name])
    rows = entry.history_rows
    if ledger.history_days:
        since = cut_at - timedelta(days=ledger.history_days)
        rows -= recent.leave_out_older(cursor, catalog[entry.name], plan, ledger.offsets, since)
    prepare.stage_history(cursor, entry)
    Carrier(cursor, catalog, plan, ledger.offsets, ledger.maps).carry(entry)
    if rows >= TELLING_ROWS:
        # What the planner knows of the table is of a time when it held next to nothing: checking a foreign key to it
        # may then read all rows of a DAG for each row that points there, and so may the scheduler.
        cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(entry.name)))
    # Read again and locked, as late as possible: going live may have written it meanwhile.
    ledger = _ledger(cursor, stager.snapshot_id, lock=True)
    ledger.done.append(entry.history_name)
    ledgers.write(cursor, ledger)
    log.info("history of %s restored: %d of %d rows", entry.name, rows, entry.history_rows)
    return rows


def _ledger(cursor: Any, snapshot_id: str, lock: bool = False) -> Ledger:
    """The ledger of this snapshot. Raises RestoreRefused where its state is not there."""
    ledger = ledgers.read_for(cursor, snapshot_id, lock)
    if not ledger:
        raise RestoreRefused(f"the state of snapshot {snapshot_id} has not been restored; its history comes after")
    return ledger
