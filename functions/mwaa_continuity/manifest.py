"""Reading manifest.json, format 1 (docs/architecture.md): what a snapshot claims to hold."""

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

FORMAT: Final = 1
FULL: Final = "full"
PORTABLE: Final = "portable"
MODES: Final = (FULL, PORTABLE)
SHA256: Final = re.compile(r"[0-9a-f]{64}")
FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class ObjectClaim:
    """One object of a snapshot as the manifest claims it."""

    name: str
    size: int  #: bytes
    sha256: str  #: hex


@dataclass(frozen=True)
class Manifest:
    """What the functions need of a manifest."""

    snapshot_id: str
    environment: str
    region: str
    airflow_version: str
    cut_at: datetime
    started_at: datetime
    completed_at: datetime
    objects: tuple[ObjectClaim, ...]
    rows: int
    mode: str  #: full, or portable where the snapshot was taken without the database
    encrypted_data_key: bytes

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return sum(claim.size for claim in self.objects)


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
    claims = [claim_of(item) for table in document["tables"] for item in table["objects"]]
    if document["spec"] is not None:
        claims.append(claim_of(document["spec"]))
    names = [claim.name for claim in claims]
    if len(names) != len(set(names)):
        raise ValueError("an object is named twice")
    if not document["tables"]:
        raise ValueError("tables is empty")
    return Manifest(
        snapshot_id=str(document["snapshot_id"]),
        environment=str(document["environment"]),
        region=str(document["region"]),
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


def claim_of(item: Mapping[str, Any]) -> ObjectClaim:
    """One object; its name must be a plain file name, so that it cannot point out of the snapshot."""
    name, sha256 = item["name"], item["sha256"]
    if not FILE_NAME.fullmatch(name):
        raise ValueError("an object's name is no file name")
    if not SHA256.fullmatch(sha256):
        raise ValueError(f"sha256 of {name} is no SHA-256")
    return ObjectClaim(name=name, size=whole(item["bytes"]), sha256=sha256)


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
