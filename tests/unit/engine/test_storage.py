"""Objects: streamed in constant memory, complete or not at all, refused by name when they are not what they were."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from continuity.errors import AccessRefused, SnapshotDamaged
from continuity.manifest import ObjectEntry
from continuity.snapshot import tidy
from continuity.storage import PART_BYTES, GunzipReader, GzipUpload, SnapshotStore, Upload, VerifiedBody

ID = "20260131T235959Z-0a1b2c3d"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[SnapshotStore]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="bucket")
        yield SnapshotStore(s3, "bucket", "env")


def put(store: SnapshotStore, name: str, content: bytes) -> ObjectEntry:
    with store.upload(ID, name) as upload:
        for start in range(0, len(content), 100_000):
            upload.write(content[start : start + 100_000])
    return ObjectEntry(name, "state", 0, upload.bytes, upload.sha256)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES * 2 + 17])
def test_what_is_stored_is_what_was_written(store: SnapshotStore, size: int) -> None:
    content = os.urandom(size)
    entry = put(store, "object", content)
    assert (entry.bytes, entry.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert b"".join(store.open(ID, entry).chunks()) == content
    store.check_size(ID, entry)


def test_a_failed_upload_leaves_nothing(store: SnapshotStore) -> None:
    """Failure covered: an upload that fails half-way still completes the object: a truncated backup replaces the good
    one."""
    good = put(store, "object", b"good")

    def fail() -> None:
        with store.upload(ID, "object") as upload:
            upload.write(bytes(PART_BYTES * 2))
            raise ConnectionError("half-way")

    with pytest.raises(ConnectionError):
        fail()
    assert b"".join(store.open(ID, good).chunks()) == b"good"
    assert store.abort_leftovers() == []


def test_a_part_that_is_refused_fails_the_upload_and_leaves_nothing(store: SnapshotStore) -> None:
    """Failure covered: parts are sent beside the reading of the database, and what becomes of them is not asked."""

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "no"}}, "UploadPart")

    def fill() -> None:
        with store.upload(ID, "object") as upload:
            upload._s3 = SimpleNamespace(**calls)
            packed = GzipUpload(upload)
            packed.write(os.urandom(PART_BYTES + 1))
            packed.finish()

    real, ended = store._s3, []
    calls = {
        "create_multipart_upload": real.create_multipart_upload,
        "upload_part": refuse,
        "abort_multipart_upload": lambda **named: ended.append(real.abort_multipart_upload(**named)),
    }
    with pytest.raises(ClientError, match="SlowDown"):
        fill()
    assert len(ended) == 1
    assert store.abort_leftovers() == []


def test_only_leftovers_of_this_environment_are_ended(store: SnapshotStore) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    for key in ("snapshots/env/a/b", "snapshots/env2/a/b", "snapshots/env/c/d"):
        s3.create_multipart_upload(Bucket="bucket", Key=key)
    assert sorted(store.abort_leftovers()) == ["snapshots/env/a/b", "snapshots/env/c/d"]
    left = s3.list_multipart_uploads(Bucket="bucket")["Uploads"]
    assert [upload["Key"] for upload in left] == ["snapshots/env2/a/b"]


class Refusing:
    """A bucket whose multipart uploads cannot be listed."""

    def __init__(self, code: str) -> None:
        self.code = code

    def get_paginator(self, _operation: str) -> Any:
        raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "ListMultipartUploads")


def test_not_being_allowed_to_tidy_is_told_and_costs_no_snapshot(caplog: pytest.LogCaptureFixture) -> None:
    tidy(SnapshotStore(Refusing("AccessDenied"), "bucket", "env"))
    assert "left to the bucket's lifecycle rule" in caplog.text
    with pytest.raises(ClientError, match="SlowDown"):
        tidy(SnapshotStore(Refusing("SlowDown"), "bucket", "env"))


def test_damage_is_told_by_name(store: SnapshotStore) -> None:
    entry = put(store, "table.state.copy.gz", b"content")
    for content, why in ((b"Content", "SHA-256"), (b"conten", "6 bytes")):
        store.put(ID, entry.name, content)
        with pytest.raises(SnapshotDamaged, match=rf"table\.state\.copy\.gz: .*{why}"):
            store.open(ID, entry).drain()
    boto3.client("s3", region_name="us-east-1").delete_object(Bucket="bucket", Key=store.key(ID, entry.name))
    for look in (store.open, store.check_size):
        with pytest.raises(SnapshotDamaged, match=r"table\.state\.copy\.gz: it is missing"):
            look(ID, entry)
    with pytest.raises(SnapshotDamaged, match=r"manifest\.json: there is no s3://bucket/snapshots/env/"):
        store.read_json(ID, "manifest.json")


class Closed:
    """A bucket in which nothing may be looked at."""

    def get_object(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    def head_object(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")


def test_a_refusal_is_not_taken_for_absence() -> None:
    """Failure covered: a role that may not read takes a snapshot for missing, or overwrites one that is there."""
    store = SnapshotStore(Closed(), "bucket", "env")
    entry = ObjectEntry("table.state.copy.gz", "state", 0, 0, "")
    where = f"s3://bucket/snapshots/env/{ID}"
    for look in (store.open, store.check_size):
        with pytest.raises(AccessRefused, match=rf"{where}/table\.state\.copy\.gz cannot be read"):
            look(ID, entry)
    for read in (store.read_json, store.read_if_present):
        with pytest.raises(AccessRefused, match=rf"{where}/manifest\.json cannot be read \(AccessDenied\)"):
            read(ID, "manifest.json")


class Bucket:
    """Takes uploads and keeps nothing but their size: what remains in memory is ours."""

    def __init__(self) -> None:
        self.received = 0

    def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        return {"UploadId": "1"}

    def upload_part(self, Body: bytes, **_: Any) -> dict[str, str]:
        self.received += len(Body)
        return {"ETag": "1"}

    def complete_multipart_upload(self, **_: Any) -> None:
        self.received += 0


def test_memory_does_not_grow_with_rows() -> None:
    """Failure covered: 1.1 GB of memory for 1M task instances; out of memory on large `log` / `xcom`."""
    row = os.urandom(65536)
    peaks = []
    for rows in (300, 2400):
        bucket = Bucket()
        tracemalloc.start()
        upload = Upload(bucket, "bucket", "key")
        packed = GzipUpload(upload)
        for _ in range(rows):
            packed.write(row)
        packed.finish()
        upload.complete()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert bucket.received == upload.bytes > rows * 60_000
    assert peaks[1] < peaks[0] + PART_BYTES


def test_reading_back_does_not_unfold_into_memory() -> None:
    packed = gzip.compress(bytes(200 * 1024 * 1024), 1)
    entry = ObjectEntry("x", "state", 0, len(packed), hashlib.sha256(packed).hexdigest())
    tracemalloc.start()
    reader = GunzipReader(VerifiedBody(io.BytesIO(packed), entry), "x")
    total = sum(len(block) for block in iter(reader.read, b""))
    assert total == 200 * 1024 * 1024
    assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    tracemalloc.stop()


@given(st.lists(st.binary(max_size=5000), max_size=20), st.integers(1, 9000))
def test_gzip_streams_come_back_whole(pieces: list[bytes], size: int) -> None:
    target = io.BytesIO()
    packed = GzipUpload(target)
    for piece in pieces:
        packed.write(piece)
    packed.finish()
    stored = target.getvalue()
    assert stored[4:8] == bytes(4), "no time in the header: equal rows give equal objects"
    entry = ObjectEntry("x", "state", 0, len(stored), hashlib.sha256(stored).hexdigest())
    reader = GunzipReader(VerifiedBody(io.BytesIO(stored), entry), "x")
    assert b"".join(iter(lambda: reader.read(size), b"")) == b"".join(pieces)
