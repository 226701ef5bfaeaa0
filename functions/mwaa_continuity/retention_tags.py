"""The tag of what is superseded: put on and taken off all objects of a snapshot, in all their versions.

The manifest comes first: no manifest, no snapshot. Where a call is cut off, what is half tagged stops being a snapshot
before it loses its objects, and the tag of the manifest tells the next call to go on. Taken off, it comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws

TAG: Final[Mapping[str, str]] = {"Key": "continuity", "Value": "superseded"}
WRITERS: Final = 8
MANIFEST: Final = "manifest.json"


def is_tagged(s3: Any, bucket: str, folder: str) -> bool:
    """Whether the manifest of a snapshot bears the tag; one that is not there bears none."""
    try:
        tags = s3.get_object_tagging(Bucket=bucket, Key=folder + MANIFEST)["TagSet"]
    except ClientError as error:
        if aws.is_absent(error):
            return False
        raise
    return dict(TAG) in tags


def tag(s3: Any, bucket: str, folder: str) -> int:
    """Tag every version of every object of a snapshot; answers their bytes."""
    manifests, others = versions_of(s3, bucket, folder)
    put = partial(s3.put_object_tagging, Tagging={"TagSet": [TAG]})
    write(put, bucket, manifests)
    write(put, bucket, others)
    return sum(int(version["Size"]) for version in manifests + others)


def untag(s3: Any, bucket: str, folder: str) -> None:
    """Take the tag off."""
    manifests, others = versions_of(s3, bucket, folder)
    write(s3.delete_object_tagging, bucket, others)
    write(s3.delete_object_tagging, bucket, manifests)


def versions_of(s3: Any, bucket: str, folder: str) -> tuple[list[Any], list[Any]]:
    """The versions of the manifest of a snapshot, and those of its other objects."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=folder)
    versions = [version for page in pages for version in page.get("Versions", [])]
    manifests = [version for version in versions if version["Key"] == folder + MANIFEST]
    return manifests, [version for version in versions if version["Key"] != folder + MANIFEST]


def write(call: Callable[..., Any], bucket: str, versions: Iterable[Any]) -> None:
    """Make a call for each of these versions of objects. What has expired meanwhile is left alone."""

    def one(version: Any) -> None:
        try:
            call(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        except ClientError as error:
            if not aws.is_absent(error):
                raise

    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(one, versions))
