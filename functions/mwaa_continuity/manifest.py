"""Reading manifest.json, format 2 (docs/architecture.md): what a snapshot claims to hold."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mwaa_continuity.errors import SnapshotRefused
from mwaa_continuity.events import SNAPSHOT_ID

FORMAT: Final = 2
FULL: Final = "full"
PORTABLE: Final = "portable"
MODES: Final = (FULL, PORTABLE)
SHA256: Final = re.compile(r"[0-9a-f]{64}")
FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class ObjectClaim:
    """One object of a snapshot as the manifest claims it."""

    snapshot_id: str  #: the snapshot in whose folder it lies: its own, or its base
    name: str
    size: int  #: bytes
    sha256: str  #: hex


@dataclass(frozen=True)
class Manifest:
    """What the functions need of a manifest."""

    snapshot_id: str
    environment: str
    region: str
    base: str | None  #: the snapshot that a delta is relative to; none where it stands by itself
    airflow_version: str
    cut_at: datetime
    started_at: datetime
    completed_at: datetime
    objects: tuple[ObjectClaim, ...]
    rows: int
    mode: str  #: full, or portable where the snapshot was taken without the database
    encrypted_data_key: bytes

    @property
    def own(self) -> tuple[ObjectClaim, ...]:
        """The objects in its own folder."""
        return tuple(claim for claim in self.objects if claim.snapshot_id == self.snapshot_id)

    @property
    def of_base(self) -> tuple[ObjectClaim, ...]:
        """The objects of its base that it builds on; empty where it stands by itself."""
        return tuple(claim for claim in self.objects if claim.snapshot_id != self.snapshot_id)

    @property
    def size(self) -> int:
        """Bytes of its own objects: what it adds to the bucket."""
        return sum(claim.size for claim in self.own)


def parse(body: bytes, environment: str, snapshot_id: str) -> Manifest:
    """The manifest of a snapshot. Raises `SnapshotRefused` where it is unreadable or belongs to another snapshot."""
    try:
        document = json.loads(body)
    except ValueError:
        raise SnapshotRefused(f"snapshot {snapshot_id}: manifest.json is no JSON") from None
    try:
        parsed = read(document)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        message = f"snapshot {snapshot_id}: manifest.json is not of format {FORMAT}: {type(error).__name__} {error}"
        raise SnapshotRefused(message) from None
    if (parsed.snapshot_id, parsed.environment) != (snapshot_id, environment):
        raise SnapshotRefused(
            f"snapshot {snapshot_id}: its manifest belongs to snapshot {parsed.snapshot_id} of {parsed.environment}"
        )
    return parsed


def read(document: Mapping[str, Any]) -> Manifest:
    """The manifest from its document; any error of shape is a `KeyError`, `TypeError` or `ValueError`."""
    if document["format"] != FORMAT:
        raise ValueError(f"format is {document['format']!r}")
    snapshot_id, base = str(document["snapshot_id"]), base_of(document)
    claims = [claim_of(item, snapshot_id, base) for table in document["tables"] for item in table["objects"]]
    claims += [claim_of(document[name], snapshot_id) for name in ("spec", "layout") if document[name] is not None]
    if len(claims) != len({(claim.snapshot_id, claim.name) for claim in claims}):
        raise ValueError("an object is named twice")
    if not document["tables"]:
        raise ValueError("tables is empty")
    return Manifest(
        snapshot_id=snapshot_id,
        environment=str(document["environment"]),
        region=str(document["region"]),
        base=base,
        airflow_version=str(document["airflow_version"]),
        cut_at=instant(document["cut_at"]),
        started_at=instant(document["started_at"]),
        completed_at=instant(document["completed_at"]),
        objects=tuple(claims),
        mode=mode_of(document),
        rows=sum(whole(table["rows"]) for table in document["tables"]),
        encrypted_data_key=base64.b64decode(document["encryption"]["encrypted_data_key"], validate=True),
    )


def mode_of(document: Mapping[str, Any]) -> str:
    """What the snapshot holds."""
    mode = document["mode"]
    if mode not in MODES:
        raise ValueError("its mode is not known here")
    return str(mode)


def base_of(document: Mapping[str, Any]) -> str | None:
    """The id of the base, which is another snapshot."""
    base = document["base"]
    if base is not None and (not SNAPSHOT_ID.fullmatch(base) or base == document["snapshot_id"]):
        raise ValueError("its base is no other snapshot")
    return None if base is None else str(base)


def claim_of(item: Mapping[str, Any], snapshot_id: str, base: str | None = None) -> ObjectClaim:
    """One object of a snapshot or of its base; its name must be a plain file name, so that it points nowhere else."""
    name, sha256 = item["name"], item["sha256"]
    folder = item.get("snapshot_id") or snapshot_id
    if folder not in (snapshot_id, base):
        raise ValueError("an object lies neither in its folder nor in its base's")
    if not FILE_NAME.fullmatch(name):
        raise ValueError("an object's name is no file name")
    if not SHA256.fullmatch(sha256):
        raise ValueError(f"sha256 of {name} is no SHA-256")
    return ObjectClaim(snapshot_id=folder, name=name, size=whole(item["bytes"]), sha256=sha256)


def whole(value: Any) -> int:
    """A count."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a count is no whole number")
    return value


def instant(value: str) -> datetime:
    """An instant in UTC."""
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError("an instant has no time zone")
    return parsed.astimezone(UTC)
