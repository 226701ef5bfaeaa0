"""Rows of a snapshot as Python objects: for what has no database to copy them into."""

from __future__ import annotations

import re
from collections.abc import Iterator

from continuity import secrets
from continuity.errors import SnapshotDamaged
from continuity.manifest import ObjectEntry, TableEntry
from continuity.storage import GunzipReader, SnapshotStore
from continuity.verify import unsealed_rows

Row = dict[str, str | None]

#: Escapes of COPY's text format.
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
MEANING = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def state_rows(store: SnapshotStore, snapshot_id: str, table: TableEntry, key: secrets.DataKey) -> Iterator[Row]:
    """The rows of a table's state object, values as PostgreSQL prints them. Raises SnapshotDamaged."""
    stored = table.state
    if stored and table.verdict == "sealed":
        yield from unsealed_rows(store, snapshot_id, table, stored, key)
    elif stored:
        yield from _copied_rows(store, snapshot_id, table, stored)


def _copied_rows(store: SnapshotStore, snapshot_id: str, table: TableEntry, entry: ObjectEntry) -> Iterator[Row]:
    names = [column.name for column in table.columns]
    rows = 0
    for line in _lines(GunzipReader(store.open(snapshot_id, entry), entry.name)):
        values = line.decode().split("\t")
        if len(values) != len(names):
            raise SnapshotDamaged(entry.name, "its rows have other columns than its manifest says")
        rows += 1
        yield dict(zip(names, map(_value, values), strict=True))
    if rows != entry.rows:
        raise SnapshotDamaged(entry.name, f"it has {rows} rows, its manifest says {entry.rows}")


def _lines(reader: GunzipReader) -> Iterator[bytes]:
    left = b""
    while block := reader.read():
        *whole, left = (left + block).split(b"\n")
        yield from whole


def _value(text: str) -> str | None:
    if text == r"\N":
        return None
    return ESCAPE.sub(lambda found: MEANING.get(found[1], found[1]), text)
