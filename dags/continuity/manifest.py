"""The manifest: last object of a snapshot. No manifest, no snapshot."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from continuity.errors import SnapshotDamaged
from continuity.settings import FULL
from continuity.storage import SnapshotStore

NAME = "manifest.json"
FORMAT = 2


@dataclass(frozen=True)
class ObjectEntry:
    """One object of a table: rows, size in bytes and SHA-256 (hex) of what is stored.

    snapshot_id: the base it lies in, None for the snapshot's own; take: numbers of the rows that still hold, as
    [first, end), None for all.
    """

    name: str
    phase: str
    rows: int
    bytes: int
    sha256: str
    snapshot_id: str | None = None
    take: tuple[tuple[int, int], ...] | None = None

    @property
    def taken(self) -> int:
        """How many of its rows still hold."""
        return self.rows if self.take is None else sum(end - first for first, end in self.take)


@dataclass(frozen=True)
class ColumnEntry:
    name: str
    type: str


@dataclass(frozen=True)
class TableEntry:
    """A carried table; `max_id` is the highest id it ever gave away, None for a table without such ids.

    Its state is one object. Its history may be several, of the base and of the snapshot itself, in which rows that are
    state by now stand as well: `rows` counts them once.
    """

    name: str
    verdict: str
    columns: tuple[ColumnEntry, ...]
    rows: int
    max_id: int | None
    objects: tuple[ObjectEntry, ...]

    def has(self, column: str) -> bool:
        return any(one.name == column for one in self.columns)

    @property
    def state(self) -> ObjectEntry | None:
        return next((entry for entry in self.objects if entry.phase == "state"), None)

    @property
    def history(self) -> tuple[ObjectEntry, ...]:
        return tuple(entry for entry in self.objects if entry.phase == "history")

    @property
    def history_name(self) -> str:
        """What the ledger knows the history by, whatever objects it is in."""
        return f"{self.name}.history.copy.gz"

    @property
    def history_rows(self) -> int:
        return self.rows - (self.state.rows if self.state else 0)

    @property
    def own_objects(self) -> tuple[ObjectEntry, ...]:
        """Those that lie in the snapshot itself."""
        return tuple(entry for entry in self.objects if entry.snapshot_id is None)


@dataclass(frozen=True)
class Manifest:
    """See docs/architecture.md, "manifest.json (format 2)".

    drained_at: since when every DAG had been paused for it, None where it was taken of one at work;
    base: id of the snapshot that this one, a delta, completes; layout: object that says where a base's rows lie;
    history_bytes_since_base: what the deltas of a base have written of history up to this one.
    """

    snapshot_id: str
    environment: str
    region: str
    airflow_version: str
    alembic_heads: Mapping[str, list[str]]
    postgres_version: str
    cut_at: str
    started_at: str
    completed_at: str
    exported_snapshot: str | None
    encryption: Mapping[str, Any]
    paused: Mapping[str, bool]
    in_flight: list[list[Any]]
    tables: tuple[TableEntry, ...]
    skipped: list[dict[str, str]]
    unknown_tables: list[str]
    spec: Mapping[str, Any] | None
    mode: str = FULL
    base: str | None = None
    layout: Mapping[str, Any] | None = None
    history_bytes_since_base: int = 0
    drained_at: str | None = None

    @property
    def own_history_bytes(self) -> int:
        return sum(entry.bytes for table in self.tables for entry in table.own_objects if entry.phase == "history")

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def plain_objects(self) -> list[Mapping[str, Any]]:
        """What it says of its objects that are no table's."""
        return [entry for entry in (self.spec, self.layout) if entry is not None]

    @property
    def stored_bytes(self) -> int:
        """Of the snapshot's own objects."""
        return sum(entry.bytes for table in self.tables for entry in table.own_objects)

    @property
    def encrypted_data_key(self) -> bytes:
        """Raises SnapshotDamaged where the manifest holds none."""
        try:
            return base64.b64decode(self.encryption["encrypted_data_key"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise SnapshotDamaged(NAME, "it holds no data key") from None

    @property
    def key_context(self) -> dict[str, str]:
        """What binds the data key to this snapshot. Said here, not read: a key of another snapshot must not pass."""
        return key_context(self.environment, self.snapshot_id)

    def table(self, name: str) -> TableEntry | None:
        return next((table for table in self.tables if table.name == name), None)

    def to_json(self) -> bytes:
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1).encode()

    @classmethod
    def from_document(cls, document: Any) -> Manifest:
        """Raises SnapshotDamaged naming what is wrong with it."""
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            found = document.get("format") if isinstance(document, dict) else type(document).__name__
            raise SnapshotDamaged(NAME, f"format {found!r} is not known here; accepted: {FORMAT}")
        fields = {field.name for field in dataclasses.fields(cls)}
        try:
            # Older snapshots do not say when they were drained.
            values = {name: document[name] for name in fields - {"tables", "drained_at"}}
            return cls(
                **values,
                drained_at=document.get("drained_at"),
                tables=tuple(_table(entry) for entry in document["tables"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotDamaged(NAME, f"it lacks or garbles {error}") from None


def plain_object(entry: Mapping[str, Any]) -> ObjectEntry:
    """An object that is no table's, by what the manifest says of it: name, bytes, SHA-256. Raises SnapshotDamaged."""
    try:
        return ObjectEntry(entry["name"], "", 0, entry["bytes"], entry["sha256"])
    except (KeyError, TypeError):
        raise SnapshotDamaged(NAME, "what it says of an object is none") from None


def plain_entry(name: str, body: bytes) -> dict[str, Any]:
    """What the manifest says of such an object."""
    return {"name": name, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def key_context(environment: str, snapshot_id: str) -> dict[str, str]:
    """Encryption context of a snapshot's data key."""
    return {"environment": environment, "snapshot_id": snapshot_id}


def read_manifest(store: SnapshotStore, snapshot_id: str) -> Manifest:
    """The manifest of a snapshot. Raises SnapshotDamaged: missing, unreadable, or of another snapshot."""
    found = Manifest.from_document(store.read_json(snapshot_id, NAME))
    if (found.snapshot_id, found.environment) != (snapshot_id, store.environment):
        raise SnapshotDamaged(
            NAME,
            f"under {snapshot_id} of {store.environment} it is of snapshot {found.snapshot_id} "
            f"of environment {found.environment}",
        )
    return found


def _table(entry: Mapping[str, Any]) -> TableEntry:
    return TableEntry(
        name=entry["name"],
        verdict=entry["verdict"],
        columns=tuple(ColumnEntry(column["name"], column["type"]) for column in entry["columns"]),
        rows=entry["rows"],
        max_id=entry["max_id"],
        objects=tuple(_object(stored) for stored in entry["objects"]),
    )


def _object(stored: Mapping[str, Any]) -> ObjectEntry:
    take = stored.get("take")
    return ObjectEntry(**{**stored, "take": take if take is None else tuple((first, end) for first, end in take)})
