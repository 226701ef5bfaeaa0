"""Read a snapshot back from where it is stored: every object is there and right, every row counted, every sealed one
opened. The objects of its base that a delta names were read when that was read back: here they are looked for.

The outcome is an object of the snapshot, `verification.json`. Its absence says nothing against a snapshot: the Region
may be lost before it is read back. One with faults says that it is known to be bad, and no restore takes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from continuity import secrets
from continuity.errors import SnapshotDamaged
from continuity.manifest import NAME as MANIFEST
from continuity.manifest import Manifest, ObjectEntry, TableEntry, plain_object, read_manifest
from continuity.storage import GunzipReader, SnapshotStore

NAME = "verification.json"
FORMAT = 1
NAMED_FAULTS = 10


@dataclass(frozen=True)
class Fault:
    """What is wrong with one object."""

    name: str
    why: str


@dataclass(frozen=True)
class Report:
    """What reading a snapshot back came to; a snapshot without faults is sound."""

    manifest: Manifest
    faults: tuple[Fault, ...]

    @property
    def sound(self) -> bool:
        return not self.faults

    @property
    def objects(self) -> int:
        """How many objects the manifest claims, those of its base included."""
        return sum(len(table.objects) for table in self.manifest.tables) + len(self.manifest.plain_objects)

    def fault_of(self, name: str) -> str | None:
        return next((fault.why for fault in self.faults if fault.name == name), None)

    def refuse_faults(self) -> None:
        """Raises SnapshotDamaged naming every object that is wrong, up to ten."""
        if self.faults:
            first, *others = self.faults
            more = [f"{fault.name}: {fault.why}" for fault in others[: NAMED_FAULTS - 1]]
            if len(others) >= NAMED_FAULTS:
                more.append(f"and {len(others) - NAMED_FAULTS + 1} more objects")
            raise SnapshotDamaged(first.name, "; ".join([first.why, *more]))


def read_back(store: SnapshotStore, kms: Any, snapshot_id: str, key_id: str | None = None) -> Report:
    """Read every object of a snapshot itself, those of plain rows in constant memory.

    Raises SnapshotDamaged where there is no manifest to go by; KeyRefused, AccessRefused and errors of the services
    where nothing can be said of the snapshot.
    """
    manifest = read_manifest(store, snapshot_id)
    faults = []
    key = None
    try:
        key = secrets.open_data_key(kms, key_id, manifest.encrypted_data_key, manifest.key_context)
    except SnapshotDamaged as damage:
        faults.append(Fault(damage.name, damage.why))
    for table in manifest.tables:
        for entry in table.objects:
            try:
                if entry.snapshot_id:
                    store.check_size(snapshot_id, entry)
                else:
                    read_object(store, snapshot_id, table, entry, key)
            except SnapshotDamaged as damage:
                name = f"{entry.snapshot_id}/{damage.name}" if entry.snapshot_id else damage.name
                faults.append(Fault(name, damage.why))
        if not _adds_up(table):
            faults.append(Fault(MANIFEST, f"its objects of table {table.name} do not add up to {table.rows} rows"))
    faults += _of_plain_objects(store, manifest)
    faults += _of_base(store, manifest)
    return Report(manifest, tuple(faults))


def record(store: SnapshotStore, report: Report, now: datetime | None = None) -> None:
    """Write `verification.json`; one of an earlier reading is replaced."""
    document = {
        "format": FORMAT,
        "snapshot_id": report.manifest.snapshot_id,
        "verified_at": (now or datetime.now(UTC)).isoformat(),
        "objects": report.objects,
        "rows": report.manifest.rows,
        "faults": [{"name": fault.name, "why": fault.why} for fault in report.faults],
    }
    store.put(report.manifest.snapshot_id, NAME, json.dumps(document, indent=1).encode())


def recorded(store: SnapshotStore, snapshot_id: str) -> tuple[Fault, ...] | None:
    """Faults of the last reading, None where the snapshot was never read back. Raises SnapshotDamaged: it is no such
    document."""
    body = store.read_if_present(snapshot_id, NAME)
    if body is None:
        return None
    try:
        document = json.loads(body)
        if (document["format"], document["snapshot_id"]) != (FORMAT, snapshot_id):
            raise SnapshotDamaged(NAME, f"it is no verification of {snapshot_id} in format {FORMAT}")
        return tuple(Fault(str(fault["name"]), str(fault["why"])) for fault in document["faults"])
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotDamaged(NAME, f"it lacks or garbles something ({error})") from None


def refuse_known_bad(store: SnapshotStore, snapshot_id: str) -> None:
    """Raises SnapshotDamaged for a snapshot that was read back and found damaged."""
    for fault in recorded(store, snapshot_id) or ():
        raise SnapshotDamaged(fault.name, f"{fault.why} (found when the snapshot was read back; see {NAME})")


def unsealed_rows(
    store: SnapshotStore, snapshot_id: str, table: TableEntry, entry: ObjectEntry, key: secrets.DataKey
) -> Iterator[dict[str, Any]]:
    """The rows of a sealed object, secrets in clear text. Raises SnapshotDamaged."""
    names = [column.name for column in table.columns]
    rows = 0
    sealed = b"".join(store.open(snapshot_id, entry).chunks())
    for line in secrets.unseal(sealed, key, f"{snapshot_id}/{table.name}", entry.name):
        row = json.loads(line)
        if list(row) != names:
            raise SnapshotDamaged(entry.name, "a row has other columns than its manifest says")
        rows += 1
        yield row
    _check_rows(entry, rows)


def read_object(
    store: SnapshotStore, snapshot_id: str, table: TableEntry, entry: ObjectEntry, key: secrets.DataKey | None
) -> None:
    """Raises SnapshotDamaged: missing, altered, of other rows than its manifest says, or not to be opened."""
    if table.verdict == "sealed" and key:
        for _ in unsealed_rows(store, snapshot_id, table, entry, key):
            pass
    elif table.verdict == "sealed":
        store.open(snapshot_id, entry).drain()
    else:
        _count_copied(store, snapshot_id, table, entry)


def _count_copied(store: SnapshotStore, snapshot_id: str, table: TableEntry, entry: ObjectEntry) -> None:
    body = store.open(snapshot_id, entry)
    rows = separators = 0
    try:
        reader = GunzipReader(body, entry.name)
        while block := reader.read():
            # COPY's text format writes line ends and tabs within a value as escapes.
            rows += block.count(b"\n")
            separators += block.count(b"\t")
    finally:
        body.drain()  # an altered object is told as that, not as what it no longer unpacks to
    _check_rows(entry, rows)
    if separators != rows * (len(table.columns) - 1):
        raise SnapshotDamaged(entry.name, "its rows have other columns than its manifest says")


def _check_rows(entry: ObjectEntry, rows: int) -> None:
    if rows != entry.rows:
        raise SnapshotDamaged(entry.name, f"it has {rows} rows, its manifest says {entry.rows}")


def _adds_up(table: TableEntry) -> bool:
    """Of a base's rows some are state by now: these are in two objects."""
    twice = sum(entry.taken for entry in table.objects) - table.rows
    from_base = any(entry.snapshot_id for entry in table.objects)
    return 0 <= twice <= (table.state.rows if table.state and from_base else 0)


def _of_plain_objects(store: SnapshotStore, manifest: Manifest) -> Iterator[Fault]:
    """The spec and the layout, where the snapshot has them."""
    for found in manifest.plain_objects:
        try:
            store.open(manifest.snapshot_id, plain_object(found)).drain()
        except SnapshotDamaged as damage:
            yield Fault(damage.name, damage.why)


def _of_base(store: SnapshotStore, manifest: Manifest) -> Iterator[Fault]:
    """A delta is no better than its base."""
    named = {entry.snapshot_id for table in manifest.tables for entry in table.objects} - {None}
    if named - {manifest.base}:
        yield Fault(MANIFEST, f"it names objects of other snapshots than its base {manifest.base}")
    if manifest.base is None:
        return
    try:
        refuse_known_bad(store, manifest.base)
    except SnapshotDamaged as damage:
        yield Fault(f"{manifest.base}/{damage.name}", damage.why)
