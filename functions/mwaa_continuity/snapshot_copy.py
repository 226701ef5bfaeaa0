"""Copying a snapshot between the snapshot buckets of two Regions, without a byte passing through here.

What is there in its size is not copied again, and a large object goes in pieces that stay: a call that runs out of time
is asked again. The manifest is copied last, so that what is half copied is no snapshot.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from mwaa_continuity import snapshots

PIECE_BYTES: Final = 256 * 1024 * 1024
MOST_PIECES: Final = 10_000
COPIERS: Final = 8


@dataclass(frozen=True)
class Place:
    """A bucket, and a client of its Region."""

    s3: Any
    bucket: str


@dataclass(frozen=True)
class Stored:
    """An object as a list tells of it."""

    key: str
    size: int  #: bytes
    etag: str
    modified: Any  #: datetime


@dataclass(frozen=True)
class Copied:
    """What has been copied by now."""

    objects: int
    size: int  #: bytes
    whole: bool  #: whether that is all of it


def copy(there: Place, here: Place, environment: str, snapshot_id: str, deadline: float) -> Copied:
    """Copy a snapshot after its base, until a moment of the monotonic clock.

    Raises `SnapshotRefused` where its manifest is not there.
    """
    claimed = snapshots.read_manifest(there.s3, there.bucket, environment, snapshot_id)
    objects, size = 0, 0
    for folder_id in reversed(snapshots.needed_ids(claimed)):
        folder = snapshots.prefix(environment, folder_id)
        known = snapshots.sizes_of(here.s3, here.bucket, folder)
        for stored in manifest_last(listed(there, folder)):
            if known.get(stored.key.removeprefix(folder)) != stored.size and not copy_object(
                there, here, stored, deadline
            ):
                return Copied(objects, size, whole=False)
            objects, size = objects + 1, size + stored.size
    return Copied(objects, size, whole=True)


def listed(place: Place, folder: str) -> list[Stored]:
    """The objects of a folder."""
    pages = place.s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=folder)
    return [
        Stored(item["Key"], int(item["Size"]), item["ETag"], item["LastModified"])
        for page in pages
        for item in page.get("Contents", [])
    ]


def manifest_last(objects: Iterable[Stored]) -> list[Stored]:
    """The order in which objects may become visible."""
    return sorted(objects, key=lambda stored: (stored.key.endswith("/manifest.json"), stored.key))


def copy_object(there: Place, here: Place, stored: Stored, deadline: float) -> bool:
    """Copy an object under the key of the bucket it goes to. False where time ran out before it was done."""
    if time.monotonic() >= deadline:
        return False
    source = {"Bucket": there.bucket, "Key": stored.key}
    if stored.size > PIECE_BYTES:
        return copy_in_pieces(there, here, stored, deadline)
    here.s3.copy_object(
        Bucket=here.bucket,
        Key=stored.key,
        CopySource=source,
        CopySourceIfMatch=stored.etag,
        TaggingDirective="REPLACE",  # tags belong to retention of each Region
    )
    return True


def copy_in_pieces(there: Place, here: Place, stored: Stored, deadline: float) -> bool:
    """Copy a large object, going on with the pieces that an earlier call left. False where time ran out."""
    piece = max(PIECE_BYTES, math.ceil(stored.size / MOST_PIECES))
    numbers = range(1, math.ceil(stored.size / piece) + 1)
    upload_id = unfinished(here, stored) or begin(there, here, stored.key)
    upload = {"Bucket": here.bucket, "Key": stored.key, "UploadId": upload_id}
    tags = pieces_there(here, upload)

    def copy_piece(number: int) -> None:
        if number in tags or time.monotonic() >= deadline:
            return
        last = min(number * piece, stored.size) - 1
        answer = here.s3.upload_part_copy(
            **upload,
            PartNumber=number,
            CopySource={"Bucket": there.bucket, "Key": stored.key},
            CopySourceIfMatch=stored.etag,
            CopySourceRange=f"bytes={(number - 1) * piece}-{last}",
        )
        tags[number] = answer["CopyPartResult"]["ETag"]

    with ThreadPoolExecutor(COPIERS) as copiers:
        list(copiers.map(copy_piece, numbers))
    if len(tags) < len(numbers):
        return False
    parts = [{"PartNumber": number, "ETag": tags[number]} for number in numbers]
    here.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    return True


def unfinished(here: Place, stored: Stored) -> str | None:
    """The id of an upload of this object that an earlier call began after the object was last changed, or none."""
    pages = here.s3.get_paginator("list_multipart_uploads").paginate(Bucket=here.bucket, Prefix=stored.key)
    uploads = [
        (found["Initiated"], found["UploadId"])
        for page in pages
        for found in page.get("Uploads", [])
        if found["Key"] == stored.key and found["Initiated"] > stored.modified
    ]
    return str(max(uploads)[1]) if uploads else None


def begin(there: Place, here: Place, key: str) -> str:
    """Begin an upload with the metadata of the object; its id."""
    head = there.s3.head_object(Bucket=there.bucket, Key=key)
    answer = here.s3.create_multipart_upload(
        Bucket=here.bucket, Key=key, Metadata=head["Metadata"], ContentType=head["ContentType"]
    )
    return str(answer["UploadId"])


def pieces_there(here: Place, upload: dict[str, Any]) -> dict[int, str]:
    """The ETags of the pieces that an upload has, by number."""
    pages = here.s3.get_paginator("list_parts").paginate(**upload)
    return {part["PartNumber"]: part["ETag"] for page in pages for part in page.get("Parts", [])}
