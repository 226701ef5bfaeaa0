"""dry_run: what it says of each state of things, and that it makes no call that changes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

from mwaa_continuity import dry_run
from mwaa_continuity.errors import BadInput
from mwaa_continuity.question import KEY, Question, attributes
from tests.unit.functions.conftest import (
    BINDING,
    DAGS,
    LEASES,
    NAME,
    PRIMARY,
    SECONDARY,
    SECRET_OPTION,
    Account,
    environment,
)
from tests.unit.functions.preflight_region import ReadyRegion

SNAPSHOT = "20261121T080000Z-0123abcd"
LATER = "20261121T090000Z-0000ffff"
EXECUTION = f"arn:aws:states:{SECONDARY}:123456789012:execution:rehearsal-failover:dry"
#: Beginnings of the names of calls that change nothing. KMS decrypts what the caller sends.
READS = ("Get", "List", "Describe", "Head", "Query", "Decrypt")


@pytest.fixture
def lost(account: Account, dead: Callable[..., None]) -> Account:
    """A snapshot and a binding are in the secondary, and the primary is gone."""
    account.put_json(f"spec/{NAME}/binding.{SECONDARY}.json", BINDING)
    account.snapshot(SNAPSHOT)
    account.set_lease()
    account.beat(20)
    dead(PRIMARY, "cloudwatch", "mwaa")
    return account


@pytest.fixture
def ready(lost: Account) -> Account:
    """The same, with all that a creation needs."""
    return ReadyRegion(lost).account


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all calls to AWS that are made."""
    made: list[str] = []
    call = BaseClient._make_api_call

    def recorded(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        made.append(operation)
        return call(client, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", recorded)
    return made


def look(**fields: Any) -> dict[str, Any]:
    return dry_run.handler({"request_id": "dry", "execution": EXECUTION, **fields}, None)


def test_a_lost_primary_would_be_taken_over(ready: Account) -> None:
    assert ready.lease()["holder"] == PRIMARY
    found = look()
    assert found["would_fail_over"] is True
    assert found["obstacles"] == []
    assert (found["evidence"]["verdict"], found["by_itself"]["would"]) == ("unhealthy", "failover")
    assert (found["lease"]["outcome"], found["lease"]["holder"]) == ("taken", PRIMARY)
    assert (found["snapshot"]["snapshot_id"], found["snapshot"]["restore_mode"]) == (SNAPSHOT, "full")
    assert found["target"] == {
        "status": None,
        "would": "create",
        "why": "there is none",
        "spec_source": f"snapshots/{NAME}/{SNAPSHOT}/spec.json",
    }
    assert found["preflight"]["failed"] == [], found["preflight"]
    assert next(iter(found)) == "text", "a person reads it first"
    for words in (
        f"Dry run of a failover of the MWAA environment {NAME} to {SECONDARY}: nothing was changed.",
        "Started by hand, it would go ahead.",
        "Evidence: the primary is unhealthy. Beats are missing, and neither CloudWatch nor MWAA of the primary",
        "By itself: heartbeat_check would start a failover now, because the primary is unhealthy.",
        f"Lease: it would be taken (holder {PRIMARY}).",
        f"Snapshot: {SNAPSHOT}, cut at 2026-11-21T08:00:05+00:00, restored as full; the work of",
        f" {found['snapshot']['rpo_seconds']} seconds would run again or be lost.",
        f"Environment: it would be created from snapshots/{NAME}/{SNAPSHOT}/spec.json; the strategy is backup_restore.",
        "Preflight: all 21 checks passed.",
    ):
        assert words in found["text"], found["text"]
    assert SECRET_OPTION not in str(found)


def test_no_call_changes_anything(ready: Account, calls: list[str]) -> None:
    """Failure covered: a dry run that moves the lease, publishes a verdict, or raises an alarm."""
    before = {"lease": ready.lease(), "objects": ready.objects()}
    calls.clear()
    look()
    assert {"GetItem", "GetObject", "GetEnvironment", "Decrypt", "DescribeSubnets"} <= set(calls)
    assert [call for call in calls if not call.startswith(READS)] == []
    assert {"lease": ready.lease(), "objects": ready.objects()} == before
    assert ready.published("Unhealthy") == ready.published("PreflightFailures") == []


@pytest.mark.parametrize(
    ("lease", "force", "outcome", "by_itself"),
    [
        ({"locked": True}, False, "locked", "the operator's lock is set"),
        ({"since": 2**40}, False, "cooling_down", "the lease changed hands within the cool-down"),
        ({"since": 2**40}, True, "taken", "the lease changed hands within the cool-down"),
        ({"holder": SECONDARY}, False, "already_live", "this Region has the lease and is live"),
        ({"holder": SECONDARY, "live": False}, False, "held", "this Region has the lease, and a failover to it"),
    ],
)
def test_what_the_lease_says(lost: Account, lease: dict[str, Any], force: bool, outcome: str, by_itself: str) -> None:
    lost.set_lease(**lease)
    found = look(force=force)
    goes_on = outcome in {"taken", "held"}
    assert (found["lease"]["outcome"], found["would_fail_over"]) == (outcome, goes_on)
    assert found["by_itself"]["would"] == "nothing"
    assert found["by_itself"]["why"].startswith(by_itself)
    assert goes_on or f"because of the lease: {dry_run.OUTCOMES[outcome]}" in found["text"]


@pytest.mark.parametrize(
    ("configured", "would", "why"),
    [
        ({"AUTOMATIC": "false"}, "nothing", "started by hand"),
        ({"ASK": "true"}, "ask", "a person is asked first"),
        ({"ASK": "true"}, "nothing", "a person is being asked"),
    ],
)
def test_what_would_happen_by_itself(
    lost: Account, monkeypatch: pytest.MonkeyPatch, configured: dict[str, str], would: str, why: str
) -> None:
    for name, value in configured.items():
        monkeypatch.setenv(name, value)
    if why == "a person is being asked":
        question = Question("earlier", "open", 0, 2**40, told=True)
        lost.dynamodb.put_item(TableName=LEASES, Item=KEY | attributes(question))
    found = look()
    assert found["by_itself"]["would"] == would
    assert why in found["by_itself"]["why"]
    assert found["would_fail_over"] is True, "by hand it can always be started"


def test_a_healthy_primary_would_be_taken_over_by_hand_only(account: Account) -> None:
    account.put_json(f"spec/{NAME}/binding.{SECONDARY}.json", BINDING)
    account.snapshot(SNAPSHOT)
    account.set_lease()
    account.mwaa.environments[PRIMARY, NAME] = environment()
    account.beat(1, 2, 3, 4, 5)
    found = look()
    assert found["by_itself"] == {"would": "nothing", "why": "the verdict is healthy"}
    assert found["would_fail_over"] is True
    assert "Evidence: the primary is healthy." in found["text"]


def test_a_detector_of_the_callers_own_is_told_by_what_it_published(
    lost: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = f"arn:aws:lambda:{SECONDARY}:123456789012:function:our-detector"
    monkeypatch.setenv("DETECTOR", detector)
    found = look()
    assert found["evidence"]["verdict"] == "unknown"
    assert found["evidence"]["why"].startswith(f"{detector} decides, and published nothing last. Beats are missing")
    lost._metric(SECONDARY, "MwaaContinuity", "Unhealthy", {"Environment": NAME}, [3])
    lost._metric(SECONDARY, "MwaaContinuity", "Healthy", {"Environment": NAME}, [1])
    found = look()
    assert (found["evidence"]["verdict"], found["evidence"]["detector"]) == ("healthy", detector)
    assert f"{detector} decides, and published healthy last." in found["text"]


def test_without_a_good_snapshot_it_says_why(lost: Account) -> None:
    lost.verification(SNAPSHOT, ("dag_run.state.copy.gz", "it was altered"))
    found = look()
    assert found["would_fail_over"] is False
    assert found["snapshot"]["snapshot_id"] is None
    assert "can be restored" in found["snapshot"]["why"]
    assert f"because of the snapshot: no snapshot of {NAME}" in found["text"]


def test_the_newest_good_snapshot_is_named_with_what_was_refused(lost: Account) -> None:
    lost.snapshot(LATER)
    lost.verification(LATER, ("dag_run.state.copy.gz", "it was altered"))
    found = look()
    assert found["snapshot"]["snapshot_id"] == SNAPSHOT
    assert [item["snapshot_id"] for item in found["snapshot"]["rejected"]] == [LATER]
    assert "1 others were refused: " in found["text"]


@pytest.mark.parametrize(
    ("status", "would", "goes_on"),
    [("AVAILABLE", "adopt", True), ("UPDATING", "wait", True), ("CREATE_FAILED", "refuse", False)],
)
def test_what_becomes_of_an_environment_that_is_there(
    lost: Account, monkeypatch: pytest.MonkeyPatch, status: str, would: str, goes_on: bool
) -> None:
    monkeypatch.setenv("STRATEGY", "warm_standby")
    lost.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY, status)
    found = look()
    assert (found["target"]["status"], found["target"]["would"]) == (status, would)
    assert found["would_fail_over"] is goes_on
    assert "the strategy is warm_standby" in found["text"]
    assert ("Its database was not looked at" in found["text"]) is goes_on


@pytest.mark.parametrize(("mode", "goes_on"), [(None, False), ("portable", True)])
def test_an_environment_of_another_version_takes_no_full_restore(
    lost: Account, mode: str | None, goes_on: bool
) -> None:
    """Failure covered: a dry run that promises a failover whose restore is refused."""
    lost.mwaa.environments[SECONDARY, NAME] = {**environment(SECONDARY), "AirflowVersion": "2.11.2"}
    found = look(restore_mode=mode)
    assert found["would_fail_over"] is goes_on
    told = "the environment: it is of Airflow 2.11.2, the snapshot of 2.10.3: only restore_mode portable goes across"
    assert (told in found["text"]) is not goes_on


def test_failed_checks_of_the_preflight_are_told_and_stand_in_nobodys_way(ready: Account) -> None:
    ready.s3.put_bucket_versioning(Bucket=DAGS, VersioningConfiguration={"Status": "Suspended"})
    found = look()
    assert [check["name"] for check in found["preflight"]["failed"]] == ["dag_bucket"]
    assert found["would_fail_over"] is True
    assert "Preflight: 1 of 21 checks failed: dag_bucket: " in found["text"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"execution": None}, "execution is missing"),
        ({"force": "yes"}, "force is a string; accepted: true or false"),
        ({"snapshot_id": "newest"}, "snapshot_id is 'newest'"),
        ({"restore_mode": "half"}, "restore_mode is another word"),
    ],
)
def test_bad_input_is_named(lost: Account, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        look(**fields)
