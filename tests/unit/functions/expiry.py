"""What S3 does by a bucket's lifecycle configuration, once a day, with days that a test counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: The rules of modules/storage/buckets.tf for the snapshot bucket, as the document that S3 takes.
RULES: list[dict[str, Any]] = [
    {
        "ID": "superseded-snapshots",
        "Status": "Enabled",
        "Filter": {"Tag": {"Key": "continuity", "Value": "superseded"}},
        "Expiration": {"Days": 1},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    },
    {
        "ID": "deletion-markers",
        "Status": "Enabled",
        "Filter": {"Prefix": "snapshots/"},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    },
]


@dataclass
class Expiry:
    """The lifecycle of one bucket. What is there is taken to be more than a day old."""

    s3: Any
    bucket: str
    noncurrent_since: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": RULES})

    def run(self, day: int) -> None:
        """What S3 does on a day."""
        for rule in self.s3.get_bucket_lifecycle_configuration(Bucket=self.bucket)["Rules"]:
            tag, prefix = rule["Filter"].get("Tag"), rule["Filter"].get("Prefix", "")
            pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
            found = list(pages)
            versions = [version for page in found for version in page.get("Versions", [])]
            markers = [marker for page in found for marker in page.get("DeleteMarkers", [])]
            if rule["Expiration"].get("ExpiredObjectDeleteMarker"):
                covering = {version["Key"] for version in versions}
                self._delete([marker for marker in markers if marker["Key"] not in covering])
            for version in versions if tag else []:
                if self._tags(version) == [tag]:
                    self._expire(version, day, rule["NoncurrentVersionExpiration"]["NoncurrentDays"])

    def _tags(self, version: dict[str, Any]) -> list[dict[str, str]]:
        where = {"Bucket": self.bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        tags: list[dict[str, str]] = self.s3.get_object_tagging(**where)["TagSet"]
        return tags

    def _expire(self, version: dict[str, Any], day: int, noncurrent_days: int) -> None:
        which = (version["Key"], version["VersionId"])
        if version["IsLatest"]:
            self.s3.delete_object(Bucket=self.bucket, Key=version["Key"])
            self.noncurrent_since[which] = day
        elif day - self.noncurrent_since.setdefault(which, day) >= noncurrent_days:
            self._delete([version])

    def _delete(self, versions: list[dict[str, Any]]) -> None:
        for version in versions:
            self.s3.delete_object(Bucket=self.bucket, Key=version["Key"], VersionId=version["VersionId"])
