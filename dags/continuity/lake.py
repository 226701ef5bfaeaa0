"""Export run history to the lake: what changed since the last export, as of one instant, streamed to S3.

What changed is told as deltas tell it, by the transaction that wrote a row: all that is not older than the oldest one
that was open at the last export's cut. So what was committed late is exported by the next one, whatever its time stamps
say, and some rows are exported again; the lake's tables take the newest version of each.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from continuity import layout
from continuity import ledger as ledgers
from continuity.aws import client
from continuity.catalog import read_catalog
from continuity.cut import Cut, consistent_cut
from continuity.delta import Base
from continuity.errors import ContinuityError, ExportRefused
from continuity.lake_rows import Export, Since, copy_of, has_rows
from continuity.lake_store import Found, LakeStore, Mark
from continuity.lake_tables import lake_tables
from continuity.settings import Lake, Settings

log = logging.getLogger(__name__)

DAG_ID = "continuity_lake"
#: How far back to look where only time stamps tell what changed: transactions and clocks are behind by less.
OVERLAP: Final = timedelta(days=1)


@dataclass(frozen=True)
class Outcome:
    """What an export did. by: how it told what changed (`transactions`, `time`, or `nothing`: it took all rows)."""

    mark: Mark
    by: str
    bytes: int

    def as_answer(self) -> dict[str, Any]:
        return {
            "version": self.mark.version,
            "cut_at": self.mark.cut_at,
            "by": self.by,
            "rows": dict(self.mark.rows),
            "bytes": self.bytes,
        }


def export(connection: Any, store: LakeStore, settings: Settings, *, full: bool = False) -> Outcome:
    """Export what changed since the last export, or with `full` everything.

    Raises ExportRefused where a restore is not done, or another export of this environment ended meanwhile. What a
    failed export has written stays, and does no harm: the next one writes the same rows in a newer version.
    """
    with consistent_cut(connection) as cut:
        _refuse_half_restored(cut.cursor)
        before = store.read_mark()
        database = layout.database_of(cut.cursor) if layout.can_tell(cut.cursor) else ""
        horizon, following = layout.transactions(cut.cursor)
        since, by = _since(cut.cursor, None if full else before, database, following)
        version = max(int(cut.at.timestamp() * 1_000_000), before.mark.version + 1 if before else 0)
        rows, stored = _write_all(cut, store, since, Export(settings.region, version, cut.at))
        mark = Mark(settings.environment, settings.region, version, cut.at.isoformat(), database, horizon, rows)
        time.sleep(layout.seconds_until_lasting(cut.cursor, cut.at))
    store.write_mark(mark, before)
    log.info("exported %d rows, %d bytes, told by %s", sum(rows.values()), stored, by)
    return Outcome(mark, by, stored)


def _refuse_half_restored(cursor: Any) -> None:
    """Later the rows would be taken for new ones."""
    try:
        ledgers.refuse_half_restored(ledgers.read(cursor))
    except ContinuityError as refusal:
        raise ExportRefused(f"nothing was exported: {refusal}") from None


def _since(cursor: Any, before: Found | None, database: str, following: int) -> tuple[Since, str]:
    """Which rows to take, and how that is told.

    A database that was restored knows nothing of the transactions of the one before: there only time stamps tell,
    which a restore leaves as they were.
    """
    if before is None:
        return Since(), "nothing"
    mark = before.mark
    if database and database == mark.database and 0 <= following - mark.horizon < layout.COMPARABLE:
        cursor.execute("SELECT age(%s::xid)", (str(mark.horizon % 2**32),))
        return Since(age=cursor.fetchone()[0]), "transactions"
    return Since(time=datetime.fromisoformat(mark.cut_at) - OVERLAP), "time"


def _write_all(cut: Cut, store: LakeStore, since: Since, export_: Export) -> tuple[dict[str, int], int]:
    """Write an object for each table that has rows to export; returns how many, by table, and bytes of all objects."""
    catalog = read_catalog(cut.cursor)
    rows: dict[str, int] = {}
    stored = 0
    for name, table in lake_tables().items():
        if not has_rows(table, catalog):
            continue
        with store.upload(store.key(name, export_.version, export_.cut_at)) as draft:
            cut.cursor.copy_expert(copy_of(table, catalog, since, export_), draft.file, size=1 << 18)
            rows[name] = int(cut.cursor.rowcount)
            draft.kept = rows[name] > 0
        stored += draft.bytes if draft.kept else 0
        log.info("%s: %d rows", name, rows[name])
    return rows, stored


def held_back(cursor: Any, base: Base, store: LakeStore) -> Base:
    """A base for pruning, by which nothing counts as held that the lake has not got.

    Raises ExportRefused where nothing says what of this database the lake has.
    """
    found = store.read_mark()
    if found is None or not found.mark.database or found.mark.database != layout.database_of(cursor):
        raise ExportRefused(f"the lake has not got this database's history yet: {DAG_ID} has to run first")
    return replace(base, layout=replace(base.layout, horizon=min(base.layout.horizon, found.mark.horizon)))


def store_of(lake: Lake, settings: Settings) -> LakeStore:
    """The part of the lake that is this environment's; its bucket may be in another Region."""
    return LakeStore(client("s3", lake.region), lake.bucket, lake.prefix, settings.environment)
