"""Snapshots in the snapshot bucket: list them, and prove one complete and unaltered in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws, manifest
from mwaa_continuity.errors import SnapshotIncomplete, SnapshotRefused, SnapshotUnreadable
from mwaa_continuity.events import SNAPSHOT_ID
from mwaa_continuity.manifest import Manifest, ObjectClaim
from mwaa_continuity.verification import NAMED_FAULTS, was_read_back

CHUNK_BYTES: Final = 1024 * 1024
READERS: Final = 4

#: What is wrong with each object, or none.
Faults = dict[ObjectClaim, str | None]


def prefix(environment: str, snapshot_id: str = "") -> str:
    """Where the snapshots of an environment are, or the objects of one of them."""
    return f"snapshots/{environment}/" + (f"{snapshot_id}/" if snapshot_id else "")


def newest_first(s3: Any, bucket: str, environment: str) -> list[str]:
    """The ids of all snapshots, complete or not, newest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix(environment), Delimiter="/")
    names = [found["Prefix"].split("/")[-2] for page in pages for found in page.get("CommonPrefixes", [])]
    return sorted((name for name in names if SNAPSHOT_ID.fullmatch(name)), reverse=True)


def taken_at(snapshot_id: str) -> datetime:
    """The instant that a snapshot's id names."""
    return datetime.strptime(snapshot_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def prove(
    s3: Any, kms: Any, bucket: str, environment: str, snapshot_id: str, *, found: Faults | None = None
) -> Manifest:
    """The manifest of a snapshot whose every object, those of its base too, is present and right here and now.

    Its data key is one that KMS decrypts. `found` keeps what was found of each object, so that many deltas of one
    base have it read once. Raises `SnapshotRefused`, naming what is wrong now, or was when the snapshot or its base
    was read back. Not having been read back is no reason: the Region that would have may be lost. What may be a
    passing trouble is raised as it came.
    """
    found = {} if found is None else found
    claimed = read_manifest(s3, bucket, environment, snapshot_id)
    for needed in needed_ids(claimed):
        was_read_back(s3, bucket, prefix(environment, needed), needed)
    refuse(claimed, {claim: found.get(claim) for claim in claimed.objects})
    for claims in (claimed.own, claimed.of_base):  # its own first: they are few where there is a base
        found |= faults_of(s3, bucket, environment, [claim for claim in claims if claim not in found])
        refuse(claimed, {claim: found[claim] for claim in claims})
    prove_key(kms, claimed)
    return claimed


def prove_new(s3: Any, kms: Any, bucket: str, environment: str, snapshot_id: str) -> Manifest:
    """The manifest of a snapshot that was just taken and read back without faults, like its base, if it has one.

    Its own objects are read again. Those of its base were when that was taken: they are there in their sizes, so that
    the cost of a snapshot every minute follows the change. Raises `SnapshotRefused`, as `prove` does, and where the
    snapshot or its base was not read back.
    """
    claimed = read_manifest(s3, bucket, environment, snapshot_id)
    for needed in needed_ids(claimed):
        if not was_read_back(s3, bucket, prefix(environment, needed), needed):
            which = "" if needed == snapshot_id else f": its base {needed}"
            why = "was not read back: the log of task verify of continuity_snapshot says why"
            raise SnapshotRefused(f"snapshot {snapshot_id}{which} {why}")
    refuse(claimed, faults_of(s3, bucket, environment, claimed.own))
    refuse(claimed, faults_of_sizes(s3, bucket, environment, claimed.of_base))
    prove_key(kms, claimed)
    return claimed


def prove_present(s3: Any, bucket: str, environment: str, snapshot_id: str) -> tuple[Manifest, bool]:
    """The manifest of a snapshot whose objects are all there in their sizes, and whether it was read back.

    No object is read. Raises `SnapshotRefused` as `prove` does: `SnapshotIncomplete` where one is not there.
    """
    claimed = read_manifest(s3, bucket, environment, snapshot_id)
    read_back = [was_read_back(s3, bucket, prefix(environment, needed), needed) for needed in needed_ids(claimed)]
    refuse(claimed, faults_of_sizes(s3, bucket, environment, claimed.objects), SnapshotIncomplete)
    return claimed, all(read_back)


def needed_ids(claimed: Manifest) -> list[str]:
    """The snapshots that a snapshot is made of: itself, and its base if it has one."""
    return [claimed.snapshot_id, *([claimed.base] if claimed.base else [])]


def refuse(claimed: Manifest, faults: Faults, error: type[SnapshotRefused] = SnapshotRefused) -> None:
    """Raise the error where an object has a fault."""
    said = [
        fault if claim.snapshot_id == claimed.snapshot_id else f"in its base {claim.snapshot_id} {fault}"
        for claim, fault in faults.items()
        if fault
    ]
    if said:
        raise error(f"snapshot {claimed.snapshot_id}: " + "; ".join(said[:NAMED_FAULTS]))


def faults_of(s3: Any, bucket: str, environment: str, claims: Sequence[ObjectClaim]) -> Faults:
    """What is wrong with each of these objects, or none: every byte is read."""
    with ThreadPoolExecutor(READERS) as readers:
        faults = readers.map(lambda claim: fault_of(s3, bucket, prefix(environment, claim.snapshot_id), claim), claims)
        return dict(zip(claims, faults, strict=True))


def faults_of_sizes(s3: Any, bucket: str, environment: str, claims: Sequence[ObjectClaim]) -> Faults:
    """What is wrong with each of these objects, or none, as far as a list tells: it is there in its size."""
    sizes = {
        folder: sizes_of(s3, bucket, prefix(environment, folder)) for folder in {claim.snapshot_id for claim in claims}
    }
    return {claim: fault_of_size(claim, sizes[claim.snapshot_id].get(claim.name)) for claim in claims}


def sizes_of(s3: Any, bucket: str, folder: str) -> dict[str, int]:
    """The objects of a folder with their sizes in bytes."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
    return {item["Key"].removeprefix(folder): int(item["Size"]) for page in pages for item in page.get("Contents", [])}


def fault_of_size(claim: ObjectClaim, size: int | None) -> str | None:
    """What is wrong with an object that has this size in bytes, or none where it is missing."""
    if size is None:
        return f"{claim.name} is missing"
    return None if size == claim.size else f"{claim.name} has {size} bytes, not {claim.size}"


def read_manifest(s3: Any, bucket: str, environment: str, snapshot_id: str) -> Manifest:
    """The manifest of a snapshot. Raises `SnapshotRefused` where there is none or it cannot be read."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=prefix(environment, snapshot_id) + "manifest.json")
    except ClientError as error:
        if aws.is_absent(error):
            raise SnapshotIncomplete(f"snapshot {snapshot_id}: manifest.json is missing: it is not complete") from None
        if aws.is_transient(error):
            raise
        raise SnapshotUnreadable(f"snapshot {snapshot_id}: manifest.json cannot be read: {aws.code(error)}") from None
    return manifest.parse(answer["Body"].read(), environment, snapshot_id)


def fault_of(s3: Any, bucket: str, folder: str, claim: ObjectClaim) -> str | None:
    """What is wrong with an object, or none: it is streamed, whatever its size."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=folder + claim.name)
    except ClientError as error:
        if aws.is_absent(error):
            return f"{claim.name} is missing"
        if aws.is_transient(error):
            raise
        return f"{claim.name} cannot be read: {aws.code(error)}"
    if wrong_size := fault_of_size(claim, answer["ContentLength"]):
        answer["Body"].close()
        return wrong_size
    digest = hashlib.sha256()
    for chunk in chunks(answer["Body"]):
        digest.update(chunk)
    return None if digest.hexdigest() == claim.sha256 else f"{claim.name} was altered: its SHA-256 differs"


def chunks(body: Any) -> Iterator[bytes]:
    """The body of an object, piece by piece."""
    yield from body.iter_chunks(CHUNK_BYTES)


def prove_key(kms: Any, claimed: Manifest) -> None:
    """Raise `SnapshotRefused` where this Region's key does not decrypt the data key; the plain key is not kept."""
    # Said here, not read from the manifest: a data key of another snapshot must not pass.
    context = {"environment": claimed.environment, "snapshot_id": claimed.snapshot_id}
    try:
        kms.decrypt(CiphertextBlob=claimed.encrypted_data_key, EncryptionContext=context).clear()
    except ClientError as error:
        if aws.is_transient(error):
            raise
        raise SnapshotRefused(
            f"snapshot {claimed.snapshot_id}: KMS does not decrypt its data key: {aws.code(error)}"
        ) from None
