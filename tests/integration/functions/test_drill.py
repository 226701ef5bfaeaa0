"""A drill: from the newest snapshot to a report and nothing left, and every way it can end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mwaa_continuity.environments import DRILL_TAG
from tests.integration.functions.machines import (
    IGNORE,
    PARSED,
    SNAPSHOT,
    Region,
    become,
    found,
    restored,
    told_as_complete,
    vanish,
)
from tests.unit.functions.conftest import DAGS, NAME, PRIMARY, SECONDARY, SNAPSHOTS, environment


@pytest.fixture
def drilled(region: Region, monkeypatch: pytest.MonkeyPatch) -> Region:
    """The secondary of a live primary; MWAA creates and deletes in a moment."""
    monkeypatch.setenv("STRATEGY", "backup_restore")
    become(region.account, "AVAILABLE")
    region.account.mwaa.dags["continuity_drill"] = dict(PARSED)

    vanish(region.account)
    region.deploy(parse_deadline_seconds=30)
    return region


def answer(region: Region, **answers: Callable[[], dict[str, Any]]) -> None:
    """Play the DAGs, which do what they are told unless a test says otherwise."""
    region.answer_dags({"continuity_restore": restored, "continuity_drill": found} | answers)


def report(region: Region) -> dict[str, Any]:
    (key,) = [key for key in region.account.objects() if key.startswith("drills/") and key.endswith("/report.json")]
    stored: dict[str, Any] = json.loads(region.account.s3.get_object(Bucket=SNAPSHOTS, Key=key)["Body"].read())
    return stored


def test_a_drill_leaves_a_report_and_nothing_else(drilled: Region) -> None:
    """Failures covered: a drill that touches production, goes live, or leaves an environment to be paid for."""
    answer(drilled)
    lease = drilled.account.lease()
    done = drilled.run("drill", "sunday")
    assert done["status"] == "SUCCEEDED", done
    steps = ("Begin", "SelectSnapshot", "HideDags", "EnsureEnvironment", "Restore", "Look", "Report", "Remove")
    assert tuple(name for name in drilled.entered(done["executionArn"]) if name in steps) == steps
    shown = report(drilled)
    output = json.loads(done["output"])["drilled"]
    assert output["snapshot_id"] == shown["snapshot_id"] == SNAPSHOT
    assert (output["rto_seconds"], output["rpo_seconds"]) == (shown["rto_seconds"], shown["rpo_seconds"])
    assert (shown["outcome"], shown["rows"], shown["execution"]) == ("passed", 9, done["executionArn"])
    assert told_as_complete("drill", done["output"])
    (created,) = drilled.account.mwaa.created
    assert created["Tags"][DRILL_TAG] == "sunday"
    assert (SECONDARY, NAME) not in drilled.account.mwaa.environments
    assert IGNORE in drilled.account.objects(DAGS), "users' DAGs were never shown"
    assert {dag_id for dag_id, _ in drilled.account.mwaa.runs} == {"continuity_restore", "continuity_drill"}
    assert {of for operation, of, _ in drilled.account.mwaa.calls if of == PRIMARY} == set()
    assert drilled.account.lease() == lease


def test_a_standby_is_used_and_stays(drilled: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATEGY", "warm_standby")
    account = drilled.account
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.mwaa.dags |= {f"continuity_{name}": dict(PARSED) for name in ("restore", "go_live")}
    answer(drilled)
    done = drilled.run("drill")
    assert done["status"] == "SUCCEEDED", done
    assert account.mwaa.environments[SECONDARY, NAME]["Status"] == "AVAILABLE"
    assert not account.mwaa.created


def fails() -> dict[str, Any]:
    raise RuntimeError("Continuity.RestoreFailed")


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ({"continuity_restore": fails}, "Continuity.RestoreFailed"),
        ({"continuity_drill": lambda: found() | {"differences": ["xcom: 8 rows, 9 were expected"]}}, "xcom: 8 rows"),
    ],
)
def test_what_does_not_pass_is_reported_and_removed_too(
    drilled: Region, answers: dict[str, Callable[[], dict[str, Any]]], cause: str
) -> None:
    answer(drilled, **answers)
    done = drilled.run("drill")
    assert (done["status"], done["error"]) == ("FAILED", "DrillNotPassed")
    assert cause in done["cause"]
    assert "report.json" in done["cause"]
    assert report(drilled)["outcome"] == "failed"
    assert (SECONDARY, NAME) not in drilled.account.mwaa.environments
    assert drilled.account.published("DrillsFailed") == [1]


def test_a_promise_that_is_missed_fails(drilled: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPO_MINUTES", "1")
    answer(drilled)
    done = drilled.run("drill")
    assert (done["status"], done["error"]) == ("FAILED", "DrillNotPassed")
    assert "RPO" in done["cause"]
    assert (SECONDARY, NAME) not in drilled.account.mwaa.environments


def test_without_a_snapshot_nothing_is_created(drilled: Region) -> None:
    answer(drilled)
    drilled.account.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{SNAPSHOT}/manifest.json")
    done = drilled.run("drill")
    assert (done["status"], done["error"]) == ("FAILED", "DrillNotPassed")
    assert "NoSnapshot" in done["cause"]
    assert not drilled.account.mwaa.created


def test_a_failover_takes_the_environment_of_a_drill(drilled: Region) -> None:
    """Failure covered: the Region is lost during a drill, whose end deletes what the failover restored."""
    answer(drilled)

    def lost() -> dict[str, Any]:
        drilled.account.set_lease(holder=SECONDARY, token=2, live=False, since=2_000_000_000)
        return found()

    answer(drilled, continuity_drill=lost)
    done = drilled.run("drill")
    assert (done["status"], done["error"]) == ("FAILED", "EnvironmentNotUsable")
    assert "was taken up by a failover" in done["cause"]
    assert drilled.account.mwaa.environments[SECONDARY, NAME]["Status"] == "AVAILABLE"
    assert report(drilled)["outcome"] == "passed"


def test_where_this_region_is_active_nothing_happens(drilled: Region) -> None:
    drilled.account.set_lease(holder=SECONDARY, token=2)
    done = drilled.run("drill")
    assert (done["status"], json.loads(done["output"])["outcome"]) == ("SUCCEEDED", "active")
    assert not told_as_complete("drill", done["output"])
    assert not drilled.account.mwaa.created


def test_an_environment_that_no_drill_made_is_left_alone(drilled: Region) -> None:
    drilled.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    done = drilled.run("drill")
    assert (done["status"], done["error"]) == ("FAILED", "EnvironmentInTheWay")
    assert drilled.account.mwaa.environments[SECONDARY, NAME]["Status"] == "AVAILABLE"
    assert not drilled.account.mwaa.runs
