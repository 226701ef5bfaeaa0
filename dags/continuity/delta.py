"""Which base a snapshot can complete, and what of that base still holds.

A delta is taken of its own accord wherever it can be: it restores to exactly what a base taken at the same cut would.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from continuity import layout as layouts
from continuity import manifest as manifests
from continuity import verify
from continuity.errors import AccessRefused, NoBase, SnapshotDamaged
from continuity.layout import Counted, Layout, Ranges, Survey
from continuity.manifest import Manifest, ObjectEntry, read_manifest
from continuity.settings import FULL, Settings
from continuity.storage import SnapshotStore

log = logging.getLogger(__name__)

#: How far back to look first: a listing costs what it lists.
RECENTLY = timedelta(hours=1)
#: How many complete snapshots to look at for one that leads to a base.
LOOKED_AT = 10
#: Where more rows than that are in ranges that changed, another base costs little more.
WORTHWHILE = 0.5

#: A manifest is read whole by everybody.
MOST_SPANS = 20_000

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Base:
    """A snapshot that stands by itself, where its rows lay, and what its deltas have written of history."""

    manifest: Manifest
    layout: Layout
    history_bytes: int = 0


@dataclass(frozen=True)
class TableChanges:
    """What became of a table since the base.

    holding: objects of the base with the rows that still hold; rows: how many these are; pages: [first, end) of those
    in which something changed.
    """

    holding: tuple[ObjectEntry, ...]
    rows: int
    pages: Spans


@dataclass(frozen=True)
class Changes:
    """What became of the large tables since a base."""

    base: Base
    tables: Mapping[str, TableChanges]

    @property
    def base_id(self) -> str:
        return self.base.manifest.snapshot_id


def find_base(
    cursor: Any,
    store: SnapshotStore,
    settings: Settings,
    now: datetime,
    fits: Mapping[str, Any],
    *,
    but: str | None = None,
) -> Base:
    """The newest base of this very database that was cut before `now`, and can be built upon.

    `fits`: what its manifest must say; `but`: a snapshot to pass over, that which is being taken. Raises NoBase with
    what speaks against the newest.
    """
    if not layouts.can_tell(cursor):
        raise NoBase("this database cannot tell what changed: it is before PostgreSQL 14, or does not say which it is")
    fits = {**fits, "mode": FULL, "region": settings.region}
    against: list[NoBase] = []
    try:
        for found, manifest in _bases(store, now - timedelta(hours=settings.base_interval_hours), now, but):
            try:
                _refuse_unfit(manifest, found, settings, now, fits)
                return _read_layout(cursor, store, manifest, found)
            except NoBase as reason:
                against.append(reason)
    except (AccessRefused, BotoCoreError, ClientError) as error:
        log.warning("snapshots cannot be looked at for a base: %s", error)
        raise NoBase(f"snapshots cannot be read ({type(error).__name__})") from None
    raise against[0] if against else NoBase("there is no recent one")


def _bases(
    store: SnapshotStore, earliest: datetime, now: datetime, but: str | None
) -> Iterator[tuple[Manifest, Manifest]]:
    """Complete snapshots since then, newest first, each with its base; a base with itself. A base comes once."""
    seen: set[str] = set()
    looked_at = 0
    for since in (max(earliest, now - RECENTLY), earliest):
        for snapshot_id in store.snapshot_ids(since):
            if snapshot_id in seen or snapshot_id == but:
                continue
            if looked_at == LOOKED_AT:
                return
            seen.add(snapshot_id)
            try:
                found = read_manifest(store, snapshot_id)
                looked_at += 1
                if found.base is None or found.base not in seen:
                    seen.add(found.base or snapshot_id)
                    yield found, read_manifest(store, found.base) if found.base else found
            except SnapshotDamaged as damage:
                log.debug("snapshot %s leads to no base: %s: %s", snapshot_id, damage.name, damage.why)


def _refuse_unfit(base: Manifest, newest: Manifest, settings: Settings, now: datetime, fits: Mapping[str, Any]) -> None:
    """Raises NoBase for what the manifests say against a base; `newest` is its newest delta, or itself."""
    base_id, age = base.snapshot_id, now - datetime.fromisoformat(base.cut_at)
    for name, value in fits.items():
        if getattr(base, name) != value:
            raise NoBase(f"base {base_id} has another {name}")
    if age <= timedelta(0):
        raise NoBase(f"base {base_id} was cut later")
    if age >= timedelta(hours=settings.base_interval_hours):
        hours = age / timedelta(hours=1)
        raise NoBase(f"base {base_id} is {hours:.1f} hours old, of {settings.base_interval_hours}")
    if newest.base and newest.history_bytes_since_base > base.own_history_bytes:
        raise NoBase(f"deltas of base {base_id} have written as much as it did")


def _read_layout(cursor: Any, store: SnapshotStore, manifest: Manifest, newest: Manifest) -> Base:
    """Raises NoBase where a base is no good, or not of this database."""
    base_id = manifest.snapshot_id
    if manifest.layout is None:
        raise NoBase(f"base {base_id} has no layout")
    try:
        faults = verify.recorded(store, base_id)
        body = b"".join(store.open(base_id, manifests.plain_object(manifest.layout)).chunks())
        layout = Layout.from_bytes(body)
    except SnapshotDamaged as damage:
        raise NoBase(f"base {base_id} is damaged: {damage.name}: {damage.why}") from None
    if faults is None:
        raise NoBase(f"base {base_id} was not read back")
    if faults:
        raise NoBase(f"base {base_id} was found damaged when it was read back")
    if layout.range_pages != layouts.RANGE_PAGES:
        raise NoBase(f"base {base_id} counts other ranges of pages")
    if layout.database != layouts.database_of(cursor):
        raise NoBase(f"base {base_id} is of another database")
    _, following = layouts.transactions(cursor)
    if following < layout.horizon:
        raise NoBase(f"this database has gone back to before base {base_id}")
    if following - layout.horizon >= layouts.COMPARABLE:
        raise NoBase(f"too many transactions have passed since base {base_id}")
    return Base(manifest, layout, newest.history_bytes_since_base if newest.base else 0)


def compare(base: Base, found: Survey) -> Changes:
    """What became of the large tables since the base. Raises NoBase where too much changed."""
    tables = {}
    copied = present = 0
    for name, now in found.tables.items():
        present += sum(now.present)
        before = base.layout.tables.get(name)
        entry = base.manifest.table(name)
        if before is None or entry is None or (before.filenode, before.selection) != (now.filenode, now.selection):
            copied += sum(now.present)
            continue
        changed = _changed(before, now)
        copied += sum(rows for rows, is_changed in zip(now.present, changed, strict=False) if is_changed)
        tables[name] = TableChanges(
            holding=tuple(_holding(base.manifest.snapshot_id, entry, before, changed)),
            rows=sum(rows for rows, is_changed in zip(before.rows, changed, strict=False) if not is_changed),
            pages=tuple(
                (first * layouts.RANGE_PAGES, end * layouts.RANGE_PAGES)
                for first, end in _spans(changed[: len(now.old)])
            ),
        )
    if not any(table.holding for table in tables.values()):
        raise NoBase(f"nothing of base {base.manifest.snapshot_id} still holds")
    if copied > WORTHWHILE * present:
        raise NoBase(f"{copied} of {present} rows lie where something changed since base {base.manifest.snapshot_id}")
    spans = sum(len(entry.take or ()) for table in tables.values() for entry in table.holding)
    if spans > MOST_SPANS:
        raise NoBase(f"what changed since base {base.manifest.snapshot_id} is scattered over {spans} places")
    return Changes(base, tables)


def _changed(before: Ranges, now: Counted) -> list[bool]:
    """For each range of pages, of now or before, whether it holds other rows than before."""
    ranges = max(len(before.present), len(now.old))
    was = [*before.present, *[0] * (ranges - len(before.present))]
    old = [*now.old, *[0] * (ranges - len(now.old))]
    new = [*now.new, *[0] * (ranges - len(now.new))]
    changed = [bool(new[at]) or old[at] != was[at] for at in range(ranges)]
    if now.others is not None:
        unselected = [present - rows for present, rows in zip(before.present, before.rows, strict=True)]
        for at, rows in enumerate(unselected):
            changed[at] |= now.others.get(at, 0) != rows
    return changed


def _holding(base_id: str, entry: Any, before: Ranges, changed: Sequence[bool]) -> Iterator[ObjectEntry]:
    """Objects of a base's table with the numbers of the rows that still hold. Each lists its rows as they lay."""
    if entry.state:
        yield from _taken([entry.state], base_id, before.state, changed)
    history = [rows - state for rows, state in zip(before.rows, before.state, strict=True)]
    yield from _taken(entry.history, base_id, history, changed)


def _taken(
    objects: Sequence[ObjectEntry], base_id: str, rows: Sequence[int], changed: Sequence[bool]
) -> Iterator[ObjectEntry]:
    """The objects that hold, one after the other, the rows of all ranges."""
    spans = list(_row_spans(rows, changed))
    start = 0
    for stored in objects:
        end = start + stored.rows
        take = tuple((max(a, start) - start, min(b, end) - start) for a, b in spans if a < end and b > start)
        if take:
            yield replace(stored, phase="history", snapshot_id=base_id, take=take)
        start = end
    if start != sum(rows):
        raise NoBase(f"base {base_id} has {start} rows where its layout says {sum(rows)}")


def _row_spans(rows: Sequence[int], changed: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """[first, end) of the rows in ranges that did not change, neighbours joined."""
    first = end = 0
    for count, is_changed in zip(rows, changed, strict=False):
        if is_changed and end > first:
            yield first, end
        if is_changed:
            first = end + count
        end += count
    if end > first:
        yield first, end


def _spans(flags: Iterable[bool]) -> Iterator[tuple[int, int]]:
    """[first, end) of each run of true values."""
    first = None
    at = -1
    for at, flag in enumerate(flags):
        if flag and first is None:
            first = at
        elif not flag and first is not None:
            yield first, at
            first = None
    if first is not None:
        yield first, at + 1
