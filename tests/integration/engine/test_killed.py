"""SIGKILL at any point: a snapshot that was not finished is none, a restore that was not finished did not happen."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable

import boto3
import pytest

from tests.integration.engine import compare
from tests.integration.engine.oracle import ask, assert_equal, everything, pretend_parsed, read, restored, times
from tests.integration.engine.worker import Side, order_of

SNAPSHOT = "20260401T000000Z-0000000e"
RETRIED = "20260402T000000Z-0000000e"
POINTS = 5


def run(action: str, side: Side, snapshot_id: str, die_at: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.integration.engine.worker", order_of(action, side, snapshot_id, die_at)]
    return subprocess.run(command, text=True, capture_output=True, check=False)


def ticks(action: str, side: Side, snapshot_id: str) -> int:
    done = run(action, side, snapshot_id)
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout.splitlines()[-1])["ticks"])


def chosen(count: int) -> list[int]:
    """Some points in between, and always the very last one."""
    between = random.Random(count).sample(range(1, count), POINTS - 1)  # noqa: S311  (the same every time)
    return [*sorted(between), count]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    root = pytestconfig.rootpath
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'dags'}")


def test_a_killed_snapshot_is_none_and_the_one_before_still_restores(sides: Callable[..., Side]) -> None:
    """Failure covered: an upload that fails half-way still completes the object: a truncated backup replaces the good
    one."""
    source = sides("source")
    last = ticks("snapshot", source, SNAPSHOT)
    for point in chosen(last):
        killed = f"20260402T000000Z-{point:08x}"
        assert run("snapshot", source, killed, point).returncode == -signal.SIGKILL
        assert source.store.read_if_present(killed, "manifest.json") is None
    s3 = boto3.client("s3")
    leftover = s3.create_multipart_upload(Bucket=source.bucket, Key=source.store.key(RETRIED, "log.history.copy.gz"))
    foreign = s3.create_multipart_upload(Bucket=source.bucket, Key=f"snapshots/{source.environment}-other/x/y")
    source.snapshot("20260403T000000Z-0000000f")
    left = {upload["UploadId"] for upload in s3.list_multipart_uploads(Bucket=source.bucket).get("Uploads", [])}
    assert leftover["UploadId"] not in left
    assert foreign["UploadId"] in left, "uploads of others are not ours to end"
    s3.abort_multipart_upload(Bucket=source.bucket, Key=foreign["Key"], UploadId=foreign["UploadId"])
    sides("empty", environment=source.environment).restore_state(SNAPSHOT)


def test_a_killed_restore_leaves_the_target_as_it_was_and_a_retry_succeeds(sides: Callable[..., Side]) -> None:
    """Failure covered: earlier batches stay committed."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    last = ticks("state", sides("target", environment=source.environment), SNAPSHOT)
    target = sides("target", environment=source.environment)
    before, rows = everything(target), compare.canonical(read(target))
    for point in chosen(last):
        assert run("state", target, SNAPSHOT, point).returncode == -signal.SIGKILL
        assert everything(target) == before
    target.restore_state(SNAPSHOT)

    for point in (18, 31, 44):  # each run goes on where the one before was killed
        assert run("history", target, SNAPSHOT, point).returncode == -signal.SIGKILL
    target.restore_history(SNAPSHOT)

    pretend_parsed(target, read(source))
    waiting = everything(target)
    for point in range(2, 30, 6):
        if run("live", target, SNAPSHOT, point).returncode == -signal.SIGKILL:
            assert everything(target) == waiting
    target.go_live(SNAPSHOT)
    expected = compare.merged(rows, compare.canonical(read(source)), restored(times(source, target, live=True)))
    assert_equal(expected, compare.counted(compare.canonical(read(target))))
    assert ask(target, "SELECT count(*) FROM variable WHERE key = 'continuity_restore'") == [(1,)]
