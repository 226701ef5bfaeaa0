"""Which base a snapshot can complete, and what of that base still holds.

A delta is taken of its own accord wherever it can be: it restores to exactly what a base taken at the same cut would.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from continuity import layout as layouts
from continuity import manifest as manifests
from continuity import verify
from continuity.errors import NoBase, SnapshotDamaged
from continuity.layout import Counted, Layout, Ranges, Survey
from continuity.manifest import Manifest, ObjectEntry, read_manifest
from continuity.settings import FULL, Settings
from continuity.storage import SnapshotStore

log = logging.getLogger(__name__)

#: How far back to look first: a listing costs what it lists.
RECENTLY = timedelta(hours=1)
#: How many snapshots to look at for one that leads to a base.
LOOKED_AT = 10
#: Where more rows than that are in ranges that changed, another base costs little more.
WORTHWHILE = 0.5

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Base:
    """A snapshot that stands by itself, and where its rows lay."""

    manifest: Manifest
    layout: Layout


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

    base_id: str
    tables: Mapping[str, TableChanges]


def find_base(cursor: Any, store: SnapshotStore, settings: Settings, now: datetime, fits: Mapping[str, Any]) -> Base:
    """The newest base of this very database. `fits`: what its manifest must say. Raises NoBase with the reason."""
    if not layouts.can_tell(cursor):
        raise NoBase("this database cannot tell what changed: it is before PostgreSQL 14, or does not say which it is")
    found = _newest(store, now - timedelta(hours=settings.base_interval_hours), now)
    base_id = found.snapshot_id
    for name, value in {**fits, "mode": FULL, "region": settings.region}.items():
        if getattr(found, name) != value:
            raise NoBase(f"base {base_id} has another {name}")
    if now - datetime.fromisoformat(found.cut_at) >= timedelta(hours=settings.base_interval_hours):
        raise NoBase(f"base {base_id} is {settings.base_interval_hours} hours old")
    if found.layout is None:
        raise NoBase(f"base {base_id} has no layout")
    try:
        faults = verify.recorded(store, base_id)
        body = b"".join(store.open(base_id, manifests.plain_object(found.layout)).chunks())
        layout = Layout.from_bytes(body)
    except SnapshotDamaged as damage:
        raise NoBase(f"base {base_id} is damaged: {damage.name}: {damage.why}") from None
    if faults is None:
        raise NoBase(f"base {base_id} was not read back")
    if faults:
        raise NoBase(f"base {base_id} was found damaged when it was read back")
    _, following = layouts.transactions(cursor)
    if layout.database != layouts.database_of(cursor) or layout.range_pages != layouts.RANGE_PAGES:
        raise NoBase(f"base {base_id} is of another database, or of before its server was started")
    if not 0 <= following - layout.horizon < layouts.COMPARABLE:
        raise NoBase(f"too many transactions have passed since base {base_id}")
    return Base(found, layout)


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
    return Changes(base.manifest.snapshot_id, tables)


def _newest(store: SnapshotStore, earliest: datetime, now: datetime) -> Manifest:
    """The newest base that a complete snapshot since then leads to. Raises NoBase."""
    for since in (max(earliest, now - RECENTLY), earliest):
        for snapshot_id in store.snapshot_ids(since)[:LOOKED_AT]:
            try:
                found = read_manifest(store, snapshot_id)
                return read_manifest(store, found.base) if found.base else found
            except SnapshotDamaged as damage:
                log.warning("snapshot %s leads to no base: %s: %s", snapshot_id, damage.name, damage.why)
    raise NoBase("there is no recent one")


def _changed(before: Ranges, now: Counted) -> list[bool]:
    """For each range of pages, of now or before, whether it holds other rows than before."""
    ranges = max(len(before.present), len(now.old))
    was = [*before.present, *[0] * (ranges - len(before.present))]
    old = [*now.old, *[0] * (ranges - len(now.old))]
    new = [*now.new, *[0] * (ranges - len(now.new))]
    return [bool(new[at]) or old[at] != was[at] for at in range(ranges)]


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
