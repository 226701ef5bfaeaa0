"""What goes on while a snapshot is taken: another snapshot, a busy scheduler, a restore that is not done."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
from collections.abc import Callable

import boto3
import pytest

from continuity.errors import ContinuityError
from tests.integration.engine.oracle import (
    ask,
    assert_restores,
    cursor_on,
    pretend_parsed,
    read,
    waiting_for,
)
from tests.integration.engine.worker import Side
from tests.integration.robustness import writer
from tests.integration.robustness.conftest import Worker
from tests.integration.robustness.cut import snapshot_and_copy
from tests.integration.robustness.sabotage import Fault
from tests.postgres import Cluster
from tests.waiting import until

SNAPSHOT = "20260401T000000Z-0000000a"
SECOND = "20260402T000000Z-0000000b"
THIRD = "20260403T000000Z-0000000c"

Make = Callable[..., Side]


def test_of_two_snapshots_at_the_same_time_one_is_refused(sides: Make) -> None:
    """Failure covered: two backups at once end each other's uploads and write over each other's objects."""
    source = sides("source")
    s3 = boto3.client("s3")
    first = threading.Thread(target=source.snapshot, args=(SNAPSHOT,))
    with cursor_on(source) as cursor:
        cursor.execute("LOCK TABLE xcom IN ACCESS EXCLUSIVE MODE")  # the first one gets as far as this table
        first.start()
        until("the first one is at the table", lambda: waiting_for(source, "xcom") or not first.is_alive(), 300)
        assert first.is_alive()
        under_way = s3.create_multipart_upload(Bucket=source.bucket, Key=source.store.key(SNAPSHOT, "under way"))
        for snapshot_id in (SECOND, SNAPSHOT):
            with pytest.raises(ContinuityError, match="another snapshot of this environment is being taken"):
                source.snapshot(snapshot_id)
        found = s3.list_multipart_uploads(Bucket=source.bucket, Prefix=source.store.key(SNAPSHOT, ""))
        assert [upload["UploadId"] for upload in found["Uploads"]] == [under_way["UploadId"]]
    first.join()
    assert "Contents" not in s3.list_objects_v2(Bucket=source.bucket, Prefix=source.store.key(SECOND, ""))
    target = sides("target", environment=source.environment)
    assert_restores(source, target, SNAPSHOT)
    source.snapshot(THIRD)


def test_a_snapshot_ends_what_killed_ones_left_and_nothing_of_others(sides: Make) -> None:
    source = sides("source")
    s3 = boto3.client("s3")
    left = s3.create_multipart_upload(Bucket=source.bucket, Key=source.store.key(SECOND, "log.history.copy.gz"))
    other = s3.create_multipart_upload(Bucket=source.bucket, Key=f"snapshots/{source.environment}-other/x/y")
    source.snapshot(SNAPSHOT)
    found = {upload["UploadId"] for upload in s3.list_multipart_uploads(Bucket=source.bucket).get("Uploads", [])}
    assert left["UploadId"] not in found
    assert other["UploadId"] in found, "uploads of others are not ours to end"
    s3.abort_multipart_upload(Bucket=source.bucket, Key=other["Key"], UploadId=other["UploadId"])


def test_a_snapshot_of_a_busy_database_is_one_cut(sides: Make, cluster: Cluster) -> None:
    """Failure covered: tables are read one after the other, so that a run is there and its task instances are not."""
    source = sides("source")
    frozen = sides("empty", environment=source.environment)
    target = sides("target", environment=source.environment)
    with writer.busy(source) as work:
        began, runs = time.monotonic(), work.runs
        cut = snapshot_and_copy(cluster, source, frozen, SNAPSHOT)
        took, written = time.monotonic() - began, work.runs - runs
    print(f"\n{written} runs written in {took:.1f} s of a snapshot; longest transaction {work.longest:.3f} s")
    assert written > 0
    assert source.store.read_json(SNAPSHOT, "manifest.json")["exported_snapshot"] == cut
    assert ask(frozen, writer.TORN) == []

    assert_restores(dataclasses.replace(source, dsn=frozen.dsn), target, SNAPSHOT)
    assert ask(target, writer.TORN) == []
    assert ask(target, "SELECT count(*) > 50 FROM dag_run WHERE dag_id = %s", writer.DAG_ID) == [(True,)]


def test_what_is_half_restored_is_not_snapshotted(sides: Make, worker: Worker) -> None:
    """Failure covered: a snapshot taken while history is being loaded looks whole, and the history is gone with the
    next failover."""
    source = sides("source")
    manifest = source.snapshot(SNAPSHOT)
    objects = sorted(stored.name for table in manifest.tables for stored in table.objects if stored.phase == "history")
    target = sides("target", environment=source.environment)
    target.restore_state(SNAPSHOT)
    with pytest.raises(ContinuityError, match=f"{SNAPSHOT} was restored .* has not gone live with it: .* no trigger"):
        target.snapshot(SECOND)

    pretend_parsed(target, read(source))
    target.go_live(SNAPSHOT)
    told = f"history of snapshot {SNAPSHOT} is not restored yet: {len(objects)} of {len(objects)} objects are to come"
    with pytest.raises(ContinuityError, match=re.escape(f"{told} ({', '.join(objects)})")):
        target.snapshot(SECOND)

    twin = sides("target", environment=source.environment)
    twin.restore_state(SNAPSHOT)
    points = worker.do("history", twin, SNAPSHOT).points
    last_commit = max(nth for nth, point in enumerate(points, start=1) if point == "before COMMIT")
    assert worker.do("history", target, SNAPSHOT, Fault("kill", last_commit)).killed
    with pytest.raises(ContinuityError, match=f": 1 of {len(objects)} objects are to come .* start continuity_restore"):
        target.snapshot(SECOND)
    assert target.store.read_if_present(SECOND, "manifest.json") is None

    _, already = target.restore_state(SNAPSHOT)  # as starting continuity_restore again does
    assert already
    assert target.restore_history(SNAPSHOT) > 0
    target.snapshot(SECOND)
