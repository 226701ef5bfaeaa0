"""Killed, cut off or refused at any point: a snapshot is whole or none, a restore has happened or has not.

Each seed is one journey: snapshot, state, history, go live. Every step is disturbed at points drawn by lot, judged
after each, then done in peace, and what the journey ends with is judged row by row.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from tests.integration.engine import compare
from tests.integration.engine.oracle import (
    ask,
    assert_equal,
    everything,
    pretend_parsed,
    read,
    restored,
    times,
)
from tests.integration.engine.worker import Side
from tests.integration.robustness.conftest import Ended, Worker
from tests.integration.robustness.sabotage import KINDS, Fault

BEFORE = "20260401T000000Z-00000001"
LEARNT = "20260401T000000Z-00000002"
#: Per step; the steps of a journey are four.
FAULTS = 2

Make = Callable[..., Side]


def test_whatever_goes_wrong_nothing_is_restored_wrongly(
    sides: Make, worker: Worker, known_points: dict[tuple[str, str], list[str]], airflow_version: str, seed: int
) -> None:
    """Failures covered: a truncated backup replaces the good one; earlier batches stay committed; a retry restores
    twice."""
    journey = Journey(sides, worker, known_points, random.Random(seed))  # noqa: S311  (the same every time)
    journey.take_snapshot()
    journey.restore_state()
    journey.restore_history()
    journey.go_live()
    journey.judge()


@dataclass
class Journey:
    """One snapshot and its restore, disturbed at every step."""

    sides: Make
    worker: Worker
    known_points: dict[tuple[str, str], list[str]]
    lot: random.Random
    snapshot_id: str = ""
    struck: int = 0
    kind: str = ""

    def __post_init__(self) -> None:
        self.source = self.sides("source")
        self.in_peace("snapshot", self.source, BEFORE)
        self.target = self.sides("target", environment=self.source.environment)
        if ("live", self.source.airflow_version) not in self.known_points:
            self.learn_points(self.sides("target", environment=self.source.environment))
        self.rows = compare.canonical(read(self.target))

    def in_peace(self, action: str, side: Side, snapshot_id: str) -> Ended:
        ended = self.worker.do(action, side, snapshot_id)
        assert ended.well, ended.error
        return ended

    def learn_points(self, target: Side) -> None:
        """What each step passes by when nothing goes wrong."""
        for action, side in (("snapshot", self.source), ("state", target), ("history", target), ("live", target)):
            if action == "live":
                pretend_parsed(target, read(self.source))
            ended = self.in_peace(action, side, LEARNT if action == "snapshot" else BEFORE)
            self.known_points[action, self.source.airflow_version] = ended.points

    def disturbed(self, action: str, side: Side, snapshot_id: str) -> Ended:
        """Do it with a fault; prints which, for whoever has to find out.

        Of a step that was disturbed before, what is left may be over before it comes to the fault.
        """
        points = self.known_points[action, self.source.airflow_version]
        kind = self.lot.choice(list(KINDS))
        name = self.lot.choice(sorted({point for point in points if point.startswith(KINDS[kind])}))
        at = self.lot.choice([nth for nth, point in enumerate(points, start=1) if point == name])
        fault = Fault(kind, at, lasting=self.lot.random() < 0.5)
        ended = self.worker.do(action, side, snapshot_id, fault)
        print(f"{action} {snapshot_id}: {fault.kind} at {at} of {len(points)} ({name}): {ended}")
        self.struck += ended.struck
        self.kind = kind
        assert ended.struck or ended.well
        assert ended.killed == (ended.struck and kind == "kill")
        return ended

    def take_snapshot(self) -> None:
        good = objects_below(self.source, BEFORE)
        for nth in range(FAULTS):
            snapshot_id = f"20260402T00000{nth}Z-{self.lot.randrange(16**8):08x}"
            left_before = uploads(self.source)
            ended = self.disturbed("snapshot", self.source, snapshot_id)
            if self.kind == "disconnect":  # it can still reach S3, so it clears up by itself
                assert set(uploads(self.source)) <= set(left_before)
            there = self.source.store.read_if_present(snapshot_id, "manifest.json") is not None
            assert there or not ended.well
            if there:  # whole, whatever the process said last: the rest of the journey is judged by it
                self.snapshot_id = snapshot_id
            assert objects_below(self.source, BEFORE) == good
        after = f"20260403T000000Z-{self.lot.randrange(16**8):08x}"
        self.in_peace("snapshot", self.source, after)
        assert uploads(self.source) == []
        self.snapshot_id = self.snapshot_id or after

    def restore_state(self) -> None:
        before = everything(self.target)
        for _ in range(FAULTS):
            ended = self.disturbed("state", self.target, self.snapshot_id)
            if self.ledger():
                break
            assert not ended.well
            assert everything(self.target) == before
        self.in_peace("state", self.target, self.snapshot_id)

    def restore_history(self) -> None:
        objects = self.history_objects()
        before = everything(self.target)
        for _ in range(FAULTS):
            self.disturbed("history", self.target, self.snapshot_id)
            done, now = self.ledger()["done"], everything(self.target)
            for (table, name), rows in objects.items():
                there = len(now[table]) - len(before[table])
                assert there == (rows if name in done else 0), f"{name}: {there} of {rows} rows are there"
        self.in_peace("history", self.target, self.snapshot_id)

    def go_live(self) -> None:
        pretend_parsed(self.target, read(self.source))
        waiting = everything(self.target)
        for _ in range(FAULTS):
            self.disturbed("live", self.target, self.snapshot_id)
            if self.ledger()["live"]:
                break
            assert everything(self.target) == waiting
        self.in_peace("live", self.target, self.snapshot_id)

    def judge(self) -> None:
        assert self.struck >= 4, "faults are to strike"
        when = times(self.source, self.target, live=True)
        expected = compare.merged(self.rows, compare.canonical(read(self.source)), restored(when))
        assert_equal(expected, compare.counted(compare.canonical(read(self.target))))
        assert ask(self.target, "SELECT count(*) FROM variable WHERE key = 'continuity_restore'") == [(1,)]

    # -- what is there -------------------------------------------------------------------------------------------------

    def ledger(self) -> dict[str, Any]:
        found = ask(self.target, "SELECT val FROM variable WHERE key = 'continuity_restore'")
        return dict(json.loads(found[0][0])) if found else {}

    def history_objects(self) -> dict[tuple[str, str], int]:
        """(table, object) -> rows, as the manifest says."""
        manifest = self.source.store.read_json(self.snapshot_id, "manifest.json")
        return {
            (table["name"], stored["name"]): stored["rows"]
            for table in manifest["tables"]
            for stored in table["objects"]
            if stored["phase"] == "history"
        }


def objects_below(side: Side, snapshot_id: str) -> dict[str, str]:
    """Objects of a snapshot and what they hold, as S3's ETag says it."""
    found = boto3.client("s3").list_objects_v2(Bucket=side.bucket, Prefix=side.store.key(snapshot_id, ""))
    return {entry["Key"]: entry["ETag"] for entry in found["Contents"]}


def uploads(side: Side) -> list[str]:
    """Keys of the environment's unfinished multipart uploads."""
    prefix = f"snapshots/{side.environment}/"
    found = boto3.client("s3").list_multipart_uploads(Bucket=side.bucket, Prefix=prefix)
    return [entry["Key"] for entry in found.get("Uploads", [])]
