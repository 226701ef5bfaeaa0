"""Snapshots in the snapshot bucket: list them, and prove one complete and unaltered in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws, manifest
from mwaa_continuity.errors import SnapshotRefused
from mwaa_continuity.events import SNAPSHOT_ID
from mwaa_continuity.manifest import Manifest, ObjectClaim
from mwaa_continuity.verification import was_read_back

CHUNK_BYTES: Final = 1024 * 1024
READERS: Final = 4


def prefix(environment: str, snapshot_id: str = "") -> str:
    """Where the snapshots of an environment are, or the objects of one of them."""
    return f"snapshots/{environment}/" + (f"{snapshot_id}/" if snapshot_id else "")


def newest_first(s3: Any, bucket: str, environment: str) -> list[str]:
    """The ids of all snapshots, complete or not, newest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix(environment), Delimiter="/")
    names = [found["Prefix"].split("/")[-2] for page in pages for found in page.get("CommonPrefixes", [])]
    return sorted((name for name in names if SNAPSHOT_ID.fullmatch(name)), reverse=True)


def prove(s3: Any, kms: Any, bucket: str, environment: str, snapshot_id: str, *, read_back: bool = False) -> Manifest:
    """The manifest of a snapshot whose every object is present and right and whose data key KMS decrypts.

    Raises `SnapshotRefused`, naming what is wrong now, or was when it was read back. Not having been read back is a
    reason only where `read_back` is asked for: the Region that would have may be lost. What may be a passing trouble
    is raised as it came.
    """
    folder = prefix(environment, snapshot_id)
    claimed = read_manifest(s3, bucket, environment, snapshot_id)
    if not was_read_back(s3, bucket, folder, snapshot_id) and read_back:
        raise SnapshotRefused(
            f"snapshot {snapshot_id} was not read back: the log of task verify of continuity_snapshot says why"
        )
    with ThreadPoolExecutor(READERS) as readers:
        faults = [
            fault for fault in readers.map(lambda claim: fault_of(s3, bucket, folder, claim), claimed.objects) if fault
        ]
    if faults:
        raise SnapshotRefused(f"snapshot {snapshot_id}: " + "; ".join(faults[:5]))
    prove_key(kms, claimed)
    return claimed


def read_manifest(s3: Any, bucket: str, environment: str, snapshot_id: str) -> Manifest:
    """The manifest of a snapshot. Raises `SnapshotRefused` where there is none or it cannot be read."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=prefix(environment, snapshot_id) + "manifest.json")
    except ClientError as error:
        if aws.is_absent(error):
            raise SnapshotRefused(f"snapshot {snapshot_id}: manifest.json is missing: it is not complete") from None
        if aws.is_transient(error):
            raise
        raise SnapshotRefused(f"snapshot {snapshot_id}: manifest.json cannot be read: {aws.code(error)}") from None
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
    if answer["ContentLength"] != claim.size:
        answer["Body"].close()
        return f"{claim.name} has {answer['ContentLength']} bytes, not {claim.size}"
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
