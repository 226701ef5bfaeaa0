"""What is measured is what happened: the folder stands for S3, parts are timed, processes are counted whole."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from continuity.errors import SnapshotDamaged
from continuity.manifest import ObjectEntry
from continuity.storage import PART_BYTES, SnapshotStore
from tests.bench import measure
from tests.bench.parts import Parts
from tests.bench.sink import FolderS3

OLDER, NEWER = "20260131T235959Z-0a1b2c3d", "20260201T235959Z-0a1b2c3d"


def test_a_folder_does_for_the_engine_what_s3_does(tmp_path: Path) -> None:
    store = SnapshotStore(FolderS3(tmp_path), "bucket", "env")
    contents = {"small": b"x", "large": bytes(range(256)) * (PART_BYTES // 100)}
    for name, content in contents.items():
        with store.upload(NEWER, name) as upload:
            upload.write(content[: len(content) // 2])
            upload.write(content[len(content) // 2 :])
        entry = ObjectEntry(name, "state", 0, upload.bytes, upload.sha256)
        assert b"".join(store.open(NEWER, entry).chunks()) == content
        store.check_size(NEWER, entry)
    store.put(OLDER, "manifest.json", b"{}")
    assert store.snapshot_ids() == [NEWER, OLDER]
    assert store.snapshot_ids(datetime(2026, 2, 1, tzinfo=UTC)) == [NEWER]
    assert store.abort_leftovers() == []
    with pytest.raises(SnapshotDamaged, match="it is missing"):
        store.open(OLDER, ObjectEntry("small", "state", 0, 1, ""))


def test_an_upload_that_fails_leaves_nothing_in_the_folder(tmp_path: Path) -> None:
    store = SnapshotStore(FolderS3(tmp_path), "bucket", "env")

    def fail() -> None:
        with store.upload(NEWER, "object") as upload:
            upload.write(bytes(PART_BYTES))
            raise ConnectionError("half-way")

    with pytest.raises(ConnectionError):
        fail()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_parts_are_told_by_name_and_come_to_the_sum_of_calls() -> None:
    parts = Parts()
    encode = json.dumps
    try:
        parts.watch({("json", "dumps"): "encode"})
        assert json.dumps([1]) == "[1]"
        once = parts.seconds["encode"]
        json.dumps([1])
        assert parts.seconds["encode"] > once > 0
    finally:
        json.dumps = encode


def test_memory_and_cpu_are_those_of_the_whole_tree() -> None:
    """A process that has 64 MiB in a child of its own, and has made that work."""
    child = "x = bytearray(64 << 20); sum(range(5_000_000)); print('ready', flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        assert len(list(measure.descendants(process.pid))) == 2
        assert measure.peak_rss_mib(process.pid) > 64
        assert measure.cpu_seconds(process.pid) > 0
    finally:
        process.communicate("\n")


def test_a_program_that_fails_is_told_with_what_it_said() -> None:
    with pytest.raises(measure.WorkFailedError, match="no such thing"):
        measure.run_program([sys.executable, "-c", "raise SystemExit('no such thing')"])
    assert measure.run_program([sys.executable, "-c", "pass"])["seconds"] > 0
