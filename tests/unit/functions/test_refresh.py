"""Which snapshot is restored into a hot standby next, and how old its state is told to be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from mwaa_continuity import refresh, restore
from tests.unit.functions.conftest import NAME, SECONDARY, SNAPSHOTS, Account, environment

OLD, GOOD, NEW = "20261121T074500Z-0000aaaa", "20261121T080000Z-1111bbbb", "20261121T081500Z-2222cccc"
MACHINES = f"arn:aws:states:{SECONDARY}:123456789012:stateMachine:rehearsal-"
EXECUTION = f"{MACHINES}refresh:one".replace("stateMachine", "execution")


@pytest.fixture
def standby(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """A hot standby with two good snapshots, beside machines that run nothing."""
    monkeypatch.setenv("DRILL_ARN", f"{MACHINES}drill")
    account.set_lease()
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.snapshot(OLD)
    account.snapshot(GOOD, cut_at=cut(600))
    states = boto3.client("stepfunctions", SECONDARY)
    for machine in ("drill", "refresh"):
        states.create_state_machine(
            name=f"rehearsal-{machine}",
            definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
            roleArn=f"arn:aws:iam::123456789012:role/rehearsal-{machine}",
        )
    return account


def cut(seconds_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()


def call(action: str = "refresh", **fields: Any) -> dict[str, Any]:
    return restore.handler({"action": action, "request_id": "r-1", "execution": EXECUTION, **fields}, None)


def note_restored(snapshot_id: str = GOOD) -> None:
    call("refreshed", snapshot_id=snapshot_id, cut_at=cut(600))


def test_the_newest_that_was_read_back_is_restored(standby: Account) -> None:
    """Failures covered: a snapshot that nobody read back, a damaged, a portable or an unfinished one is restored."""
    standby.snapshot(NEW)
    standby.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{NEW}/verification.json")
    standby.snapshot("20261121T083000Z-00000001")
    standby.verification("20261121T083000Z-00000001", ("variable.sealed", "it was altered"))
    standby.snapshot("20261121T084500Z-00000002", mode="portable")
    standby.put_json(f"snapshots/{NAME}/20261121T090000Z-00000003/spec.json", {})
    found = call()
    assert (found["outcome"], found["snapshot_id"]) == ("go", GOOD)
    assert datetime.fromisoformat(found["cut_at"])
    assert standby.published("StandbyAgeSeconds") == [], "nothing is known to be there"


def test_what_is_there_is_not_restored_again(standby: Account) -> None:
    note_restored()
    assert call()["outcome"] == "current"
    (sum_of_minute, *more) = standby.published("StandbyAgeSeconds")
    assert sum_of_minute + sum(more) == pytest.approx(1200, abs=20), "told by the refresh, and by the look"
    standby.snapshot(NEW)
    assert (call()["outcome"], call()["snapshot_id"]) == ("go", NEW)


@pytest.mark.parametrize("gone", ["lease", "environment", "drill"])
def test_what_may_be_gone_is_restored_again(standby: Account, gone: str) -> None:
    """Failure covered: a note of what a failover, another environment or a drill has replaced passes for the state."""
    note_restored()
    if gone == "lease":
        standby.set_lease(token=3)
    elif gone == "environment":
        standby.mwaa.environments[SECONDARY, NAME]["CreatedAt"] = 1_900_000_000
    else:
        states = boto3.client("stepfunctions", SECONDARY)
        drill = states.start_execution(stateMachineArn=f"{MACHINES}drill", name="later")["executionArn"]
        assert call()["outcome"] == "drill"
        states.stop_execution(executionArn=drill)
    assert (call()["outcome"], call()["snapshot_id"]) == ("go", GOOD)


def test_a_snapshot_that_arrives_is_waited_for_a_little(standby: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: verification.json is replicated first, and the refresh that it starts finds nothing new."""
    standby.snapshot(NEW)
    standby.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{NEW}/dag_run.state.copy.gz")
    assert call()["outcome"] == "wait"
    monkeypatch.setattr(refresh, "ARRIVAL", timedelta(0))
    assert (call()["outcome"], call()["snapshot_id"]) == ("go", GOOD)


def test_another_version_of_airflow_is_left_to_the_update(standby: Account) -> None:
    standby.snapshot(NEW, airflow_version="2.11.2")
    found = call()
    assert (found["outcome"], found["snapshot_id"]) == ("other_version", None)
    assert "2.11.2" in found["why"]


def test_the_active_region_is_never_refreshed(standby: Account) -> None:
    """Failure covered: a refresh restores over what a failover brought to life."""
    for live in (True, False):
        standby.set_lease(holder=SECONDARY, token=2, live=live)
        assert call()["outcome"] == "active"
    assert set(standby.published("StandbyAgeSeconds")) == {0.0}, "nothing is behind while this Region is active"


@pytest.mark.parametrize("status", ["CREATING", "UPDATING", "DELETING", None])
def test_a_standby_that_changes_is_let_alone(standby: Account, status: str | None) -> None:
    if status:
        standby.mwaa.environments[SECONDARY, NAME]["Status"] = status
    else:
        del standby.mwaa.environments[SECONDARY, NAME]
    assert call()["outcome"] == "not_available"
    assert call("interrupted")["interrupted"] is True


def test_what_fails_by_itself_was_not_interrupted(standby: Account) -> None:
    assert call("interrupted") == {"interrupted": False, "why": ""}
    standby.set_lease(holder=SECONDARY, token=2)
    assert call("interrupted")["interrupted"] is True
