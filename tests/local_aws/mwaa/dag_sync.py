"""Keeps a local folder equal to a folder of a bucket, through S3's API under the execution role."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any


class FolderSync:
    """One folder of a bucket and its copy on disk."""

    def __init__(self, s3: Any, bucket: str, folder: str, target: Path) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = folder.strip("/") + "/"
        self._target = target
        self._known: dict[PurePosixPath, tuple[str, str]] = {}
        # Parts of a file must never be visible below the target; a rename needs the same file system.
        self._arriving = target.with_name(target.name + ".arriving")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        self._arriving.mkdir(parents=True, exist_ok=True)

    def run(self) -> int:
        """Fetch what is new or changed, delete what is gone; returns the number of changes.

        Raises ClientError, BotoCoreError or OSError.
        """
        wanted = self._list()
        changes = 0
        for path, (key, etag) in wanted.items():
            if self._known.get(path) != (key, etag):
                self._fetch(path, key)
                self._known[path] = (key, etag)
                changes += 1
        for path in [path for path in self._known if path not in wanted]:
            self._delete(path)
            del self._known[path]
            changes += 1
        return changes

    def _list(self) -> dict[PurePosixPath, tuple[str, str]]:
        found: dict[PurePosixPath, tuple[str, str]] = {}
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        for page in pages:
            for item in page.get("Contents", []):
                path = PurePosixPath(item["Key"][len(self._prefix) :])
                if item["Key"].endswith("/") or path.is_absolute() or ".." in path.parts:
                    continue  # folders of the console, and names that would leave the target
                found[path] = (item["Key"], f"{item['ETag']} {item['LastModified'].isoformat()}")
        return found

    def _fetch(self, path: PurePosixPath, key: str) -> None:
        destination = self._target / path
        destination.parent.mkdir(parents=True, exist_ok=True)
        body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        with tempfile.NamedTemporaryFile(dir=self._arriving, delete=False) as arriving:
            shutil.copyfileobj(body, arriving)
        Path(arriving.name).replace(destination)
        destination.chmod(0o644)

    def _delete(self, path: PurePosixPath) -> None:
        (self._target / path).unlink(missing_ok=True)
        for folder in list(path.parents)[:-1]:
            local = self._target / folder
            leftovers = [entry for entry in local.iterdir() if entry.name != "__pycache__"] if local.is_dir() else []
            if local.is_dir() and not leftovers:
                shutil.rmtree(local)
