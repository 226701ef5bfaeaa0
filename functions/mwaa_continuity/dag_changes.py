"""What people changed in the DAG bucket of the other Region while that was active, carried over into this one.

The primary's bucket is replicated onto the secondary's, never the other way. A version that lies in the secondary and
is no replica was written there: by a person, by Terraform (the metadata DAGs) or by `hide`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from mwaa_continuity import visibility
from mwaa_continuity.snapshot_copy import Place

#: Metadata of what was carried over: the version that it is a copy of.
COPIED_FROM: Final = "mwaa-continuity-copy-of"

#: What a copy keeps of an object beside its content and metadata.
KEPT: Final = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType")


@dataclass(frozen=True)
class Latest:
    """What a bucket holds under a key now."""

    version: str
    deleted: bool
    modified: datetime
    known: frozenset[str] = frozenset()  #: every version of the key, deletions too


@dataclass
class Plan:
    """What is to be done in this Region's bucket."""

    copies: dict[str, Mapping[str, Any]] = field(default_factory=dict)  #: key -> what S3 says of the object there
    deletions: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)  #: copies that an earlier call made


def plan(there: Place, here: Place, dag_folder: str, since: datetime) -> Plan:
    """What was changed in the other Region since a moment, and what of it goes over."""
    own_paths = f"{dag_folder.strip('/')}/{visibility.VISIBLE}".lstrip("/")
    changed = {
        key: latest
        for key, latest in latest_of(there).items()
        if latest.modified >= since and not key.startswith(own_paths)
    }
    here_now = latest_of(here) if changed else {}
    found = Plan()
    for key, latest in sorted(changed.items()):
        mine = here_now.get(key)
        if latest.deleted:
            if mine and not mine.deleted:
                (found.conflicts if unseen(mine, latest, since) else found.deletions).append(key)
            continue
        head = visibility.head(there.s3, there.bucket, key)
        if head is None or head.get("ReplicationStatus") == "REPLICA" or visibility.is_managed(head):
            continue
        copied_from = source_of(here, key) if mine and not mine.deleted else None
        if mine and copied_from is None and unseen(mine, latest, since):
            found.conflicts.append(key)
            continue
        found.copies[key] = head
        if copied_from == head["VersionId"]:
            found.done.add(key)
    return found


def unseen(mine: Latest, latest: Latest, since: datetime) -> bool:
    """Whether this Region's change of a key, since the lease moved, never came under the other Region's change."""
    if mine.modified < since or mine.version in latest.known:
        return False
    return not mine.deleted or mine.modified > latest.modified


def source_of(here: Place, key: str) -> str | None:
    """The version that an object of this Region is a copy of, or none."""
    head = visibility.head(here.s3, here.bucket, key)
    return None if head is None else head["Metadata"].get(COPIED_FROM)


def latest_of(place: Place) -> dict[str, Latest]:
    """What a bucket holds under each key now."""
    versions: dict[str, set[str]] = {}
    latest: dict[str, tuple[str, bool, datetime]] = {}
    for page in place.s3.get_paginator("list_object_versions").paginate(Bucket=place.bucket):
        for name, deleted in (("Versions", False), ("DeleteMarkers", True)):
            for entry in page.get(name, []):
                versions.setdefault(entry["Key"], set()).add(entry["VersionId"])
                if entry["IsLatest"]:
                    latest[entry["Key"]] = (entry["VersionId"], deleted, entry["LastModified"].astimezone(UTC))
    return {key: Latest(*values, frozenset(versions[key])) for key, values in latest.items()}


def carry_out(there: Place, here: Place, plan: Plan, deadline: float) -> bool:
    """Copy and delete, until a moment of the monotonic clock. False where time ran out."""
    for key, head in plan.copies.items():
        if key in plan.done:
            continue
        if time.monotonic() >= deadline:
            return False
        here.s3.copy_object(
            Bucket=here.bucket,
            Key=key,
            CopySource={"Bucket": there.bucket, "Key": key},
            CopySourceIfMatch=head["ETag"],
            MetadataDirective="REPLACE",
            Metadata={**head["Metadata"], COPIED_FROM: head["VersionId"]},
            TaggingDirective="REPLACE",
            **{name: head[name] for name in KEPT if name in head},
        )
    for key in plan.deletions:
        here.s3.delete_object(Bucket=here.bucket, Key=key)
    return True
