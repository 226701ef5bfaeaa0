"""Objects of the snapshot bucket: streamed up and down in constant memory, hashed on the way."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from continuity.errors import AccessRefused, SnapshotDamaged
from continuity.settings import SNAPSHOT_ID

log = logging.getLogger(__name__)

#: Of two objects that are written at a time, each holds two of these at most; S3 takes no smaller ones.
PART_BYTES = 5 * 1024 * 1024
READ_BYTES = 256 * 1024
#: Large enough that what is done once a block costs nothing, small enough for one a table.
BLOCK_BYTES = 256 * 1024
GZIP = 31  # zlib's window size plus 16: a gzip header, in which zlib writes no time
NOT_THERE = frozenset({"404", "NoSuchKey", "NotFound"})
#: S3 says this of a missing object to who may not list the bucket. We may, so it is never said of one.
REFUSED = frozenset({"403", "AccessDenied", "Forbidden"})


class StoredObject(Protocol):
    """What a manifest says of an object."""

    @property
    def name(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def snapshot_id(self) -> str | None: ...


class Readable(Protocol):
    """A file that is read."""

    def read(self, size: int = ..., /) -> bytes: ...


class Upload:
    """A file to write to that becomes one S3 object; nothing is there before `complete`.

    It goes in parts of 5 MiB or more, one being sent while the next is filled.
    """

    def __init__(self, s3: Any, bucket: str, key: str) -> None:
        self._s3, self._bucket, self._key = s3, bucket, key
        self._filled = bytearray()
        self._digest = hashlib.sha256()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="upload")
        self._sending: Future[None] | None = None
        self._over = False
        self.bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        if not self._over:  # what a writer still held when everything failed goes nowhere
            self._filled += data
            if len(self._filled) >= PART_BYTES:
                self._hand_over()
        return len(data)

    def complete(self) -> None:
        if self._upload_id is None:
            body = bytes(self._filled)
            self._count(body)
            self._s3.put_object(Bucket=self._bucket, Key=self._key, Body=body)
        else:
            if self._filled:
                self._hand_over()
            self._wait()
            self._s3.complete_multipart_upload(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
            )
        self._sender.shutdown()

    def abort(self) -> None:
        """End it. Where even that fails, the next snapshot does: what went wrong before is what is to be told."""
        self._over = True
        self._sender.shutdown()
        if self._upload_id is None:
            return
        try:
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)
        except (BotoCoreError, ClientError) as error:
            log.warning("the unfinished upload of %s is left to the next snapshot: %s", self._key, error)

    def _hand_over(self) -> None:
        """Send what is filled, as soon as the part before it has been sent: no more than two are ever held."""
        self._wait()
        if self._upload_id is None:
            self._upload_id = self._s3.create_multipart_upload(Bucket=self._bucket, Key=self._key)["UploadId"]
        self._sending = self._sender.submit(self._send, self._filled)
        self._filled = bytearray()

    def _wait(self) -> None:
        """Until the last part is sent; raises what sending it came to."""
        sending, self._sending = self._sending, None
        if sending:
            sending.result()

    def _send(self, part: bytearray) -> None:
        number = len(self._parts) + 1
        answer = self._s3.upload_part(
            Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=part
        )
        self._parts.append({"ETag": answer["ETag"], "PartNumber": number})
        self._count(part)

    def _count(self, part: bytes | bytearray) -> None:
        self._digest.update(part)
        self.bytes += len(part)


class Target(Protocol):
    """What compressed bytes are written to."""

    def write(self, data: bytes, /) -> int: ...


class Packer(io.RawIOBase):
    """Compresses what is written (gzip, level 1)."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._packer = zlib.compressobj(1, zlib.DEFLATED, GZIP)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        packed = self._packer.compress(data)
        if packed:
            self._target.write(packed)
        return len(data)

    def finish(self) -> None:
        self._target.write(self._packer.flush())


class GzipUpload(io.BufferedWriter):
    """File for `COPY ... TO STDOUT`, which writes row by row: gathers them into blocks, compresses, uploads."""

    def __init__(self, target: Target) -> None:
        self._packer = Packer(target)
        super().__init__(self._packer, BLOCK_BYTES)

    def finish(self) -> None:
        """Write what is still held; what is written later is lost."""
        self.flush()
        self._packer.finish()


class VerifiedBody:
    """The bytes of an object as a stream; raises SnapshotDamaged at its end unless it is what the manifest says."""

    def __init__(self, body: Any, expected: StoredObject) -> None:
        self._body, self._expected = body, expected
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._ended = False

    def chunks(self) -> Iterator[bytes]:
        while not self._ended:
            chunk = self._body.read(READ_BYTES)
            if chunk:
                self._digest.update(chunk)
                self._bytes += len(chunk)
                yield chunk
            else:
                self._ended = True
                self._check()

    def drain(self) -> None:
        """Read what is left, for the check at the end; raises SnapshotDamaged also if that was raised before."""
        for _ in self.chunks():
            pass
        self._check()

    def _check(self) -> None:
        if self._bytes != self._expected.bytes:
            raise SnapshotDamaged(
                self._expected.name, f"it has {self._bytes} bytes, its manifest says {self._expected.bytes}"
            )
        if self._digest.hexdigest() != self._expected.sha256:
            raise SnapshotDamaged(self._expected.name, "its content is not what its manifest says (SHA-256)")


class RowSlices:
    """File for `COPY ... FROM STDIN`: of the rows of another one, those with these numbers, as [first, end) in order.

    COPY's text format writes line breaks within a value as escapes, so that each row is a line.
    """

    def __init__(self, reader: Readable, take: Sequence[tuple[int, int]]) -> None:
        self._reader = reader
        self._left = list(reversed(take))
        self._row = 0

    def read(self, size: int = READ_BYTES) -> bytes:
        while block := self._reader.read(size):
            taken = b"".join(self._of(block))
            if taken:
                return taken
        return b""

    def _of(self, block: bytes) -> Iterator[bytes]:
        """The parts of a block that are taken; `_row` is the number of the row that the next byte belongs to."""
        at = 0
        while at < len(block) and self._left:
            first, end = self._left[-1]
            taken = self._row >= first
            past = self._past(block, at, (end if taken else first) - self._row)
            if taken:
                yield block[at:past]
                if self._row == end:
                    self._left.pop()
            at = past

    def _past(self, block: bytes, at: int, rows: int) -> int:
        """Where the block goes on after that many rows, or its end."""
        present = block.count(b"\n", at)
        if present < rows:
            self._row += present
            return len(block)
        self._row += rows
        for _ in range(rows):
            at = block.index(b"\n", at) + 1
        return at


class GunzipReader:
    """File for `COPY ... FROM STDIN`: decompresses a verified body."""

    def __init__(self, body: VerifiedBody, name: str) -> None:
        self._chunks = body.chunks()
        self._name = name
        self._unpacker = zlib.decompressobj(GZIP)
        self._buffer = b""

    def read(self, size: int = READ_BYTES) -> bytes:
        while not self._buffer:
            pending = self._unpacker.unconsumed_tail or next(self._chunks, b"")
            try:
                # Bounded: a highly compressible chunk must not unfold into memory at once.
                self._buffer = self._unpacker.decompress(pending, READ_BYTES) if pending else self._unpacker.flush()
            except zlib.error as error:
                raise SnapshotDamaged(self._name, f"it is no gzip file ({error})") from None
            if not pending and not self._buffer:
                return b""
        head, self._buffer = self._buffer[:size], self._buffer[size:]
        return head


class SnapshotStore:
    """The snapshots of one environment in one bucket."""

    def __init__(self, s3: Any, bucket: str, environment: str) -> None:
        self._s3, self.bucket, self.environment = s3, bucket, environment

    def key(self, snapshot_id: str, name: str) -> str:
        return f"snapshots/{self.environment}/{snapshot_id}/{name}"

    @contextmanager
    def upload(self, snapshot_id: str, name: str) -> Iterator[Upload]:
        """An object that is there when the block ends well, and of which nothing is left when it does not."""
        upload = Upload(self._s3, self.bucket, self.key(snapshot_id, name))
        try:
            yield upload
            upload.complete()
        except BaseException:
            upload.abort()
            raise

    def open(self, snapshot_id: str, expected: StoredObject) -> VerifiedBody:
        """The object's bytes, checked while they are read. Raises SnapshotDamaged when it is missing."""
        folder = expected.snapshot_id or snapshot_id
        try:
            answer = self._s3.get_object(Bucket=self.bucket, Key=self.key(folder, expected.name))
        except ClientError as error:
            raise self._told(folder, expected.name, error) from error
        return VerifiedBody(answer["Body"], expected)

    def check_size(self, snapshot_id: str, expected: StoredObject) -> None:
        """Raises SnapshotDamaged when the object is missing or has another size."""
        folder = expected.snapshot_id or snapshot_id
        try:
            answer = self._s3.head_object(Bucket=self.bucket, Key=self.key(folder, expected.name))
        except ClientError as error:
            raise self._told(folder, expected.name, error) from error
        if answer["ContentLength"] != expected.bytes:
            size = answer["ContentLength"]
            raise SnapshotDamaged(expected.name, f"it has {size} bytes, its manifest says {expected.bytes}")

    def read_json(self, snapshot_id: str, name: str) -> Any:
        """A JSON document of the snapshot. Raises SnapshotDamaged when it is missing or no JSON."""
        body = self.read_if_present(snapshot_id, name)
        if body is None:
            raise SnapshotDamaged(name, f"there is no s3://{self.bucket}/{self.key(snapshot_id, name)}")
        try:
            return json.loads(body)
        except ValueError as error:
            raise SnapshotDamaged(name, f"it is no JSON ({error})") from None

    def read_if_present(self, snapshot_id: str, name: str) -> bytes | None:
        """An object's content, None where there is none. Raises AccessRefused where that cannot be told."""
        return read_if_present(self._s3, self.bucket, self.key(snapshot_id, name))

    def put(self, snapshot_id: str, name: str, body: bytes) -> None:
        self._s3.put_object(Bucket=self.bucket, Key=self.key(snapshot_id, name), Body=body)

    def snapshot_ids(self, since: datetime | None = None) -> list[str]:
        """Ids of everything that was begun, complete or not, newest first."""
        prefix = self.key("", "").removesuffix("/")
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket,
            Prefix=prefix,
            Delimiter="/",
            StartAfter=f"{prefix}{since.astimezone(UTC):%Y%m%dT%H%M%SZ}" if since else "",
        )
        names = [found["Prefix"].split("/")[-2] for page in pages for found in page.get("CommonPrefixes", ())]
        return sorted((name for name in names if SNAPSHOT_ID.fullmatch(name)), reverse=True)

    def abort_leftovers(self) -> list[str]:
        """End multipart uploads that killed runs of this environment left behind; returns their keys."""
        aborted = []
        pages = self._s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.bucket, Prefix=f"snapshots/{self.environment}/"
        )
        for page in pages:
            for upload in page.get("Uploads", ()):
                self._s3.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                aborted.append(upload["Key"])
        return aborted

    def _told(self, snapshot_id: str, name: str, error: ClientError) -> Exception:
        """What to raise for an answer of S3: an object that is missing is damage, a refusal is not."""
        code = error.response["Error"]["Code"]
        if code in NOT_THERE:
            return SnapshotDamaged(name, f"it is missing ({code})")
        return AccessRefused(f"s3://{self.bucket}/{self.key(snapshot_id, name)}", code) if code in REFUSED else error


def read_if_present(s3: Any, bucket: str, key: str) -> bytes | None:
    """An object's content, None where there is none. Raises AccessRefused where that cannot be told."""
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in NOT_THERE:
            return None
        if code in REFUSED:
            raise AccessRefused(f"s3://{bucket}/{key}", code) from error
        raise
