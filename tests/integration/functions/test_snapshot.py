"""The snapshot machine: what counts as a good snapshot, and what does not."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.integration.functions.machines import Region, take_snapshot
from tests.unit.functions.conftest import NAME, PRIMARY, SNAPSHOTS


def test_a_snapshot_is_taken_and_proved(active: Region) -> None:
    active.answer_dags({"continuity_snapshot": lambda: take_snapshot(active)})
    done = active.run("snapshot", scheduled_at="2026-11-21T08:15:00Z")
    assert done["status"] == "SUCCEEDED", done
    output = json.loads(done["output"])
    assert output["verified"]["snapshot_id"].startswith("20261121T081500Z-")
    assert output["verified"]["objects"] == 5


def test_a_schedule_delivered_twice_takes_one_snapshot(active: Region) -> None:
    active.answer_dags({"continuity_snapshot": lambda: take_snapshot(active)})
    at = "2026-11-21T08:15:00Z"
    ends = [
        active.entered(active.run("snapshot", name=name, scheduled_at=at)["executionArn"])[-1] for name in ("a", "b")
    ]
    assert ends == ["Done", "AlreadyTaken"]
    assert len(active.account.mwaa.runs) == 1


def test_a_snapshot_that_is_not_whole_fails(active: Region) -> None:
    """Failure covered: the backup is not checked for completeness."""

    def take_and_lose() -> dict[str, Any]:
        answer = take_snapshot(active)
        active.account.s3.delete_object(
            Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{answer['snapshot_id']}/variable.sealed"
        )
        return answer

    active.answer_dags({"continuity_snapshot": take_and_lose})
    done = active.run("snapshot")
    assert (done["status"], done["error"]) == ("FAILED", "SnapshotRefused")
    assert "variable.sealed is missing" in done["cause"]


def test_a_snapshot_dag_that_fails_or_falls_silent_fails_the_machine(active: Region) -> None:
    """Failure covered: a failing clean-up never sends its task token: 60 minutes of waiting."""

    def fail() -> dict[str, Any]:
        raise RuntimeError("Continuity.SnapshotFailed")

    def fall_silent() -> dict[str, Any]:
        raise TimeoutError

    active.answer_dags({"continuity_snapshot": fail})
    done = active.run("snapshot", name="fails")
    assert (done["status"], done["error"]) == ("FAILED", "Continuity.SnapshotFailed")
    active.answer_dags({"continuity_snapshot": fall_silent})
    done = active.run("snapshot", name="silent")
    assert (done["status"], done["error"]) == ("FAILED", "SnapshotIncomplete")
    assert "manifest.json is missing: it is not complete" in done["cause"]


def test_a_snapshot_that_is_complete_is_good_though_nobody_said_so(active: Region) -> None:
    """Failure covered: a snapshot that is complete counts as failed, because its answer was lost."""

    def take_and_fall_silent() -> dict[str, Any]:
        (run,) = active.account.mwaa.runs.values()
        active.account.snapshot(run["conf"]["snapshot_id"])
        raise TimeoutError

    active.answer_dags({"continuity_snapshot": take_and_fall_silent})
    done = active.run("snapshot", name="silent")
    assert done["status"] == "SUCCEEDED", done
    assert active.entered(done["executionArn"])[-3:] == ["TakeSnapshot", "Verify", "Done"]


def test_a_snapshot_that_nobody_read_back_is_not_counted_as_good(active: Region) -> None:
    """Failure covered: a snapshot is complete by its hashes, and none of its secrets can be opened."""

    def take_and_fall_silent() -> dict[str, Any]:
        (run,) = active.account.mwaa.runs.values()
        active.account.snapshot(run["conf"]["snapshot_id"])
        key = f"snapshots/{NAME}/{run['conf']['snapshot_id']}/verification.json"
        active.account.s3.delete_object(Bucket=SNAPSHOTS, Key=key)
        raise TimeoutError

    active.answer_dags({"continuity_snapshot": take_and_fall_silent})
    done = active.run("snapshot", name="silent")
    assert (done["status"], done["error"]) == ("FAILED", "SnapshotRefused")
    assert "was not read back" in done["cause"]


def test_a_snapshot_dag_run_that_is_over_is_not_waited_for(active: Region) -> None:
    """Failure covered: a failing clean-up never sends its task token: 60 minutes of waiting."""
    active.account.mwaa.runs["continuity_snapshot", "continuity__again"] = {"state": "failed"}
    started = time.monotonic()
    done = active.run("snapshot", name="again")
    assert (done["status"], done["error"]) == ("FAILED", "SnapshotIncomplete")
    failures = [event["taskFailedEventDetails"] for event in active.history(done["executionArn"])
                if "taskFailedEventDetails" in event]  # fmt: skip
    assert [failure["error"] for failure in failures] == ["DagRunIsOver", "SnapshotIncomplete"]
    assert time.monotonic() - started < 30


def test_a_region_without_the_lease_takes_no_snapshot(active: Region) -> None:
    active.account.set_lease(holder=PRIMARY)
    done = active.run("snapshot")
    assert active.entered(done["executionArn"])[-1] == "NotHolder"
    assert not active.account.mwaa.runs


def test_bad_input_to_a_snapshot_names_the_field(active: Region) -> None:
    done = active.run("snapshot", scheduled_at="noon")
    assert (done["status"], done["error"]) == ("FAILED", "BadInput")
    assert "scheduled_at is a string of another form" in done["cause"]
