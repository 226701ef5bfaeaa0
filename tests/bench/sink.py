"""A folder that answers as much of S3 as the snapshot engine asks for: what storing costs without a network."""

# Arguments are named as in boto3, also those that a folder has no use for.
# ruff: noqa: ARG002

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError


@dataclass
class FolderS3:
    """Client of one folder; every bucket is a folder in it, and every key a path below that."""

    folder: Path
    _uploads: dict[str, Path] = field(default_factory=dict)

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> dict[str, Any]:
        path = self._path(Bucket, Key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Body)
        return {}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        path = self._present(Bucket, Key, "NoSuchKey")
        return {"Body": path.open("rb"), "ContentLength": path.stat().st_size}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"ContentLength": self._present(Bucket, Key, "404").stat().st_size}

    def create_multipart_upload(self, Bucket: str, Key: str) -> dict[str, Any]:
        upload_id = uuid.uuid4().hex
        parts = self.folder / "unfinished" / upload_id
        parts.mkdir(parents=True)
        self._uploads[upload_id] = parts
        return {"UploadId": upload_id}

    def upload_part(self, Bucket: str, Key: str, UploadId: str, PartNumber: int, Body: bytes) -> dict[str, Any]:
        """A part is appended where the one before is there already, so that nothing is copied at the end."""
        with (self._uploads[UploadId] / "whole").open("r+b" if PartNumber > 1 else "wb") as file:
            file.seek(0, 2)
            file.write(Body)
        return {"ETag": str(PartNumber)}

    def complete_multipart_upload(
        self, Bucket: str, Key: str, UploadId: str, MultipartUpload: dict[str, Any]
    ) -> dict[str, Any]:
        numbers = [part["PartNumber"] for part in MultipartUpload["Parts"]]
        assert numbers == list(range(1, len(numbers) + 1)), "parts are stored in the order they come"
        parts = self._uploads.pop(UploadId)
        path = self._path(Bucket, Key)
        path.parent.mkdir(parents=True, exist_ok=True)
        (parts / "whole").rename(path)
        parts.rmdir()
        return {}

    def abort_multipart_upload(self, Bucket: str, Key: str, UploadId: str) -> dict[str, Any]:
        shutil.rmtree(self._uploads.pop(UploadId))
        return {}

    def get_paginator(self, name: str) -> FolderS3:
        self._listing = name
        return self

    def paginate(
        self, Bucket: str, Prefix: str, Delimiter: str | None = None, StartAfter: str = ""
    ) -> Iterator[dict[str, Any]]:
        """What lies below a prefix that ends in `/`; nobody else uploads, so nothing is ever left half uploaded."""
        below = self._path(Bucket, Prefix)
        folders = (
            sorted(path.name for path in below.iterdir() if f"{Prefix}{path.name}" > StartAfter)
            if below.is_dir()
            else []
        )
        if self._listing == "list_multipart_uploads":
            yield {}
        else:
            yield {"CommonPrefixes": [{"Prefix": f"{Prefix}{name}/"} for name in folders]}

    def _path(self, bucket: str, key: str) -> Path:
        return self.folder / bucket / key

    def _present(self, bucket: str, key: str, code: str) -> Path:
        path = self._path(bucket, key)
        if not path.is_file():
            raise ClientError({"Error": {"Code": code, "Message": "there is no such file"}}, "GetObject")
        return path
