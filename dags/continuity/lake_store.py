"""The lake's bucket, as one environment writes to it: objects by table, and the mark of what was exported last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from continuity.errors import AccessRefused, BadInput, ExportRefused
from continuity.storage import NOT_THERE, REFUSED, GzipUpload, Upload

FORMAT = 1
#: What S3 answers where the object is not, or no longer, what the condition says, or another writer is at work.
OVERTAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})


@dataclass(frozen=True)
class Mark:
    """How far an environment has been exported.

    version: the number of that export; cut_at: ISO 8601 UTC; database: which one it was, "" where that could not be
    told; horizon: the oldest transaction open at the cut; rows: how many were exported, by table.
    """

    environment: str
    region: str
    version: int
    cut_at: str
    database: str
    horizon: int
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A mark, and the state of its object by which it is replaced."""

    mark: Mark
    etag: str


class LakeStore:
    """The part of a lake that belongs to one environment."""

    def __init__(self, s3: Any, bucket: str, prefix: str, environment: str) -> None:
        self._s3, self.bucket, self.prefix, self.environment = s3, bucket, prefix, environment

    @property
    def mark_key(self) -> str:
        return f"{self.prefix}marks/{self.environment}.json"

    def key(self, table: str, version: int, cut_at: datetime) -> str:
        """Of an object that no other export writes: a late one must never lie over a newer one."""
        day = f"environment={self.environment}/date={cut_at:%Y-%m-%d}"
        return f"{self.prefix}exports/{table}/{day}/{version}.jsonl.gz"

    @contextmanager
    def upload(self, key: str) -> Iterator[Draft]:
        """An object that is there when the block ends well and kept it, and of which nothing is left otherwise."""
        upload = Upload(self._s3, self.bucket, key)
        draft = Draft(upload)
        try:
            yield draft
            if draft.kept:
                draft.file.finish()
                upload.complete()
            else:
                upload.abort()
        except BaseException:
            upload.abort()
            raise

    def read_mark(self) -> Found | None:
        """The mark, None before the first export. Raises AccessRefused, BadInput where it is no mark."""
        where = f"s3://{self.bucket}/{self.mark_key}"
        try:
            answer = self._s3.get_object(Bucket=self.bucket, Key=self.mark_key)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in NOT_THERE:
                return None
            raise AccessRefused(where, code) if code in REFUSED else error from None
        try:
            document = json.loads(answer["Body"].read())
            found_format = document.pop("format")
            mark = Mark(**document)
            datetime.fromisoformat(mark.cut_at)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(where, f"it is no mark ({error})", "what an export wrote there, or no object") from None
        if found_format != FORMAT:
            raise BadInput(where, f"format {found_format!r} is not known here", f"format {FORMAT}")
        return Found(mark, answer["ETag"])

    def write_mark(self, mark: Mark, before: Found | None) -> None:
        """Replace the mark that was found before. Raises ExportRefused where another export was faster."""
        headers = {"If-Match": before.etag} if before else {"If-None-Match": "*"}
        body = json.dumps({"format": FORMAT, **asdict(mark)}).encode()
        try:
            with _with_headers(self._s3, headers):
                self._s3.put_object(Bucket=self.bucket, Key=self.mark_key, Body=body, ContentType="application/json")
        except ClientError as error:
            if error.response["Error"]["Code"] in OVERTAKEN:
                raise ExportRefused(
                    f"another export of {self.environment} ended first (s3://{self.bucket}/{self.mark_key}); what this "
                    "one wrote does no harm, and the next one goes on from there"
                ) from None
            raise


class Draft:
    """An object that is being written; `kept` says whether it is to stay."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.file = GzipUpload(upload)
        self.kept = True

    @property
    def bytes(self) -> int:
        """How many were sent."""
        return self._upload.bytes


@contextmanager
def _with_headers(s3: Any, headers: Mapping[str, str]) -> Iterator[None]:
    """Conditions of a PutObject, which older images' botocore has no arguments for."""

    def add(params: dict[str, Any], **_: Any) -> None:
        params["headers"].update(headers)

    s3.meta.events.register("before-call.s3.PutObject", add)
    try:
        yield
    finally:
        s3.meta.events.unregister("before-call.s3.PutObject", add)
