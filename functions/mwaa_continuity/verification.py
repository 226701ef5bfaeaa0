"""Reading verification.json (docs/architecture.md): what reading a snapshot back came to where it was taken."""

from __future__ import annotations

import json
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws
from mwaa_continuity.errors import SnapshotRefused, SnapshotUnreadable

NAME: Final = "verification.json"
FORMAT: Final = 1

#: A refusal names so many faults; the object has them all.
NAMED_FAULTS: Final = 5


def was_read_back(s3: Any, bucket: str, folder: str, snapshot_id: str) -> bool:
    """Whether a snapshot was read back. Raises `SnapshotRefused` where that found it damaged, or cannot be told."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=folder + NAME)
    except ClientError as error:
        if aws.is_absent(error):
            return False
        if aws.is_transient(error):
            raise
        raise SnapshotUnreadable(f"snapshot {snapshot_id}: {NAME} cannot be read: {aws.code(error)}") from None
    faults = faults_of(answer["Body"].read(), snapshot_id)
    if faults:
        named = "; ".join(faults[:NAMED_FAULTS])
        raise SnapshotRefused(f"snapshot {snapshot_id} was damaged when it was read back: {named}")
    return True


def faults_of(body: bytes, snapshot_id: str) -> list[str]:
    """What was found wrong, one text per object. Raises `SnapshotRefused`: it is no verification of this snapshot."""
    try:
        document = json.loads(body)
        about = (document["format"], document["snapshot_id"])
        faults = [f"{fault['name']}: {fault['why']}" for fault in document["faults"]]
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotRefused(f"snapshot {snapshot_id}: {NAME} cannot be understood: {error}") from None
    if about != (FORMAT, snapshot_id):
        raise SnapshotRefused(f"snapshot {snapshot_id}: {NAME} is of another snapshot or format")
    return faults
