"""A drill: when it may begin, what it may remove, and what its report says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from mwaa_continuity import drill, recreate
from mwaa_continuity.drill_page import page
from mwaa_continuity.drill_report import Drilled, Targets, report_of
from mwaa_continuity.environments import DRILL_TAG
from mwaa_continuity.errors import BadInput, EnvironmentNotUsable, Transient
from tests.unit.functions.conftest import NAME, PRIMARY, SECONDARY, SNAPSHOTS, Account, environment

MACHINE = f"arn:aws:states:{SECONDARY}:123456789012:stateMachine:rehearsal-drill"
EXECUTION = f"arn:aws:states:{SECONDARY}:123456789012:execution:rehearsal-drill:one"
STARTED = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SNAPSHOT = "20261121T074500Z-0123abcd"


def later(seconds: int) -> str:
    return (STARTED + timedelta(seconds=seconds)).isoformat()


def told(**changes: Any) -> dict[str, Any]:
    """What the machine knows at the end of a drill in which all went well."""
    return {
        "snapshot": {
            "snapshot_id": SNAPSHOT,
            "cut_at": later(-600),
            "rpo_seconds": 601,
            "restore_mode": "full",
            "rejected": [{"snapshot_id": "20261121T075500Z-0000ffff", "why": "log.history.copy.gz is <missing>"}],
        },
        "waiting": {"since": later(1500)},
        "restored_at": {"at": later(1560)},
        "found": {"complete_at": later(1700), "tables": 42, "rows": 12345, "differences": []},
    } | changes


@pytest.fixture
def secondary(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """A standby's Region, with the primary active and a machine that runs nothing."""
    monkeypatch.setenv("STRATEGY", "backup_restore")
    account.set_lease()
    boto3.client("stepfunctions", SECONDARY).create_state_machine(
        name="rehearsal-drill",
        definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/rehearsal-drill",
    )
    return account


def begin(execution: str = EXECUTION) -> dict[str, Any]:
    return drill.handler({"action": "begin", "request_id": "r-1", "execution": execution}, None)


def discard() -> dict[str, Any]:
    return recreate.handler({"action": "discard", "request_id": "r-1", "poll_seconds": 30, "timeout_minutes": 1}, None)


def put(account: Account, status: str = "AVAILABLE", **tags: str) -> dict[str, Any]:
    made = environment(SECONDARY, status) | {"Tags": tags}
    account.mwaa.environments[SECONDARY, NAME] = made
    return made


def test_a_region_without_its_environment_may_begin(secondary: Account) -> None:
    assert secondary
    assert begin() == {"outcome": "go", "why": "", "keep": False}


def test_the_active_region_is_never_drilled(secondary: Account) -> None:
    """Failure covered: a drill restores over the environment that works."""
    for live in (True, False):
        secondary.set_lease(holder=SECONDARY, token=2, live=live)
        assert begin()["outcome"] == "active"


def test_of_two_drills_one_begins(secondary: Account) -> None:
    assert secondary
    client = boto3.client("stepfunctions", SECONDARY)
    first, second = (
        client.start_execution(stateMachineArn=MACHINE, name=name)["executionArn"] for name in ("first", "second")
    )
    assert begin(first)["outcome"] == "go"
    assert begin(second) == {"outcome": "busy", "why": f"{first} is at work", "keep": False}


@pytest.mark.parametrize(
    ("status", "tags", "strategy", "outcome", "keep"),
    [
        ("AVAILABLE", {}, "backup_restore", "in_the_way", False),
        ("AVAILABLE", {DRILL_TAG: "earlier"}, "backup_restore", "go", False),
        ("DELETING", {DRILL_TAG: "earlier"}, "backup_restore", "in_the_way", False),
        ("DELETED", {}, "backup_restore", "go", False),
        ("AVAILABLE", {}, "warm_standby", "go", True),
        ("UPDATING", {}, "warm_standby", "in_the_way", False),
    ],
)
def test_an_environment_that_is_there(
    secondary: Account,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    tags: dict[str, str],
    *,
    strategy: str,
    outcome: str,
    keep: bool,
) -> None:
    monkeypatch.setenv("STRATEGY", strategy)
    put(secondary, status, **tags)
    answer = begin()
    assert (answer["outcome"], answer["keep"]) == (outcome, keep)


def test_what_a_drill_made_is_removed_once(secondary: Account) -> None:
    assert discard() == {"outcome": "gone", "polls": 2}
    made = put(secondary, **{DRILL_TAG: "one"})
    assert discard()["outcome"] == "deleting"
    assert made["Status"] == "DELETING"
    assert discard()["outcome"] == "deleting"
    assert [name for name, *_ in secondary.mwaa.calls].count("DeleteEnvironment") == 1


def test_what_no_drill_made_is_never_removed(secondary: Account) -> None:
    """Failure covered: the end of a drill deletes the standby, or the environment that a failover took up."""
    put(secondary)
    with pytest.raises(EnvironmentNotUsable, match="was made by no drill"):
        discard()
    put(secondary, **{DRILL_TAG: "one"})
    secondary.set_lease(holder=SECONDARY, token=2, live=False)
    with pytest.raises(EnvironmentNotUsable, match="was taken up by a failover"):
        discard()
    secondary.set_lease()
    put(secondary, "CREATING", **{DRILL_TAG: "one"})
    with pytest.raises(Transient, match="cannot be deleted yet"):
        discard()
    assert "DeleteEnvironment" not in [name for name, *_ in secondary.mwaa.calls]


def test_the_report_is_stored_and_measured(secondary: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPO_MINUTES", "15")
    monkeypatch.setenv("RTO_MINUTES", "30")
    event = {"action": "report", "request_id": "r-1", "execution": EXECUTION, "started_at": later(0), "drill": told()}
    answer = drill.handler(event, None)
    folder = f"drills/{NAME}/20261121T080000Z"
    assert answer == {
        "outcome": "passed",
        "why": "",
        "rpo_seconds": 600,
        "rto_seconds": 1560,
        "report": f"s3://{SNAPSHOTS}/{folder}/report.json",
    }
    assert [key for key in secondary.objects() if key.startswith("drills/")] == [
        f"{folder}/report.html",
        f"{folder}/report.json",
    ]
    stored = json.loads(secondary.s3.get_object(Bucket=SNAPSHOTS, Key=f"{folder}/report.json")["Body"].read())
    assert stored["parts"] == {"environment_seconds": 1500, "restore_seconds": 60, "history_seconds": 140}
    assert (stored["rows"], stored["tables"], stored["snapshot_id"]) == (12345, 42, SNAPSHOT)
    assert (stored["environment"], stored["region"], stored["execution"]) == (NAME, SECONDARY, EXECUTION)
    published = {name: secondary.published(name) for name in ("DrillRpoSeconds", "DrillRtoSeconds", "DrillsFailed")}
    assert published == {"DrillRpoSeconds": [600], "DrillRtoSeconds": [1560], "DrillsFailed": [0]}


@pytest.mark.parametrize(
    ("changes", "targets", "outcome", "why"),
    [
        ({}, Targets(None, None), "passed", ""),
        ({}, Targets(10, 26), "passed", ""),
        ({}, Targets(9, 25), "missed", "RPO 600 s, promised 540 s; RTO 1560 s, promised 1500 s"),
        (
            {"found": {"complete_at": later(1700), "tables": 1, "rows": 1, "differences": ["xcom: 1 rows, 2"]}},
            Targets(1, 1),
            "failed",
            "1 differences: xcom: 1 rows, 2",
        ),
        ({"failure": {"Error": "NoSnapshot", "Cause": "there is none"}}, Targets(1, 1), "failed", "NoSnapshot: there"),
    ],
)
def test_what_a_drill_comes_to(changes: dict[str, Any], targets: Targets, outcome: str, why: str) -> None:
    found = report_of(Drilled.read(told(**changes)), targets, started_at=STARTED, now=STARTED)
    assert (found["outcome"], found["why"][: len(why)]) == (outcome, why)


def test_a_drill_that_did_not_come_far_is_reported_too() -> None:
    failure = {"failure": {"Error": "NoSnapshot", "Cause": "<there> is none"}}
    found = report_of(Drilled.read(failure), Targets(1, 1), started_at=STARTED, now=STARTED)
    assert (found["rpo_seconds"], found["rto_seconds"], found["rows"]) == (None, None, None)
    shown = page(found | {"environment": NAME, "region": PRIMARY, "execution": EXECUTION})
    assert "The drill failed" in shown
    assert "NoSnapshot: &lt;there&gt; is none" in shown
    assert "it did not come that far" in shown


def test_the_page_shows_what_was_measured_and_nothing_as_markup() -> None:
    found = report_of(Drilled.read(told()), Targets(15, None), started_at=STARTED, now=STARTED)
    shown = page(found | {"environment": NAME, "region": SECONDARY, "execution": EXECUTION})
    for words in (
        "The drill passed",
        "10 min, promised 15 min",
        "<td>26 min</td>",
        "12,345 in 42 tables",
        "2026-11-21 08:00:00 UTC",
        SNAPSHOT,
    ):
        assert words in shown
    assert "log.history.copy.gz is &lt;missing&gt;" in shown


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"action": "begin"}, "execution is missing"),
        ({"action": "report", "execution": EXECUTION, "drill": {}}, "started_at is missing"),
        ({"action": "report", "execution": EXECUTION, "started_at": later(0), "drill": []}, "drill is a list"),
    ],
)
def test_bad_input_is_named(secondary: Account, event: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        drill.handler(event | {"request_id": "r-1"}, None)
    assert not [key for key in secondary.objects() if key.startswith("drills/")]
