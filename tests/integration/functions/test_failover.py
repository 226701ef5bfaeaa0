"""Failover, from the lease to going live, and every way it can end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from mwaa_continuity import lease, visibility
from mwaa_continuity.errors import NotGivenBack
from tests.integration.functions.machines import (
    IGNORE,
    PARSED,
    SETTINGS,
    SNAPSHOT,
    Region,
    become,
    gone_live,
    restored,
    told_as_complete,
    without_long_waits,
)
from tests.tools.state_machine_templates import example_variables, render
from tests.unit.functions.conftest import BINDING, DAGS, NAME, PRIMARY, SECONDARY, SECRET_OPTION, environment


def test_a_failover_from_lease_to_live(region: Region, capsys: pytest.CaptureFixture[str]) -> None:
    """Failure covered: the DAG is triggered right after AVAILABLE, before it is parsed."""
    account = region.account
    hidden_while: dict[str, bool] = {}

    def remember(dag: str, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        hidden_while[dag] = IGNORE in account.objects(DAGS)
        return answer()

    region.deploy(parse_deadline_seconds=30)
    become(account, "AVAILABLE", after=0.5, parsed_after=2.0)
    region.answer_dags(
        {
            "continuity_restore": lambda: remember("restore", restored),
            "continuity_go_live": lambda: remember("go_live", gone_live),
        }
    )
    done = region.run("failover", reason="the primary is dead")
    assert done["status"] == "SUCCEEDED", done
    entered = region.entered(done["executionArn"])
    steps = [name for name in entered if name in {
        "TakeLease", "SelectSnapshot", "RecordSnapshot", "HideDags", "EnsureEnvironment", "HideDagsAgain", "Restore",
        "Commit", "RevealDags", "GoLive", "MarkLive",
    }]  # fmt: skip
    assert steps == [
        "TakeLease", "SelectSnapshot", "RecordSnapshot", "HideDags", "EnsureEnvironment", "HideDagsAgain", "Restore",
        "Commit", "RevealDags", "GoLive", "MarkLive",
    ]  # fmt: skip
    assert entered.count("WaitForEnvironment") >= 1
    assert entered.count("WaitForDags") >= 1
    assert hidden_while == {"restore": True, "go_live": False}
    lease = account.lease()
    assert (lease["holder"], lease["token"], lease["live"]) == (SECONDARY, "2", True)
    assert lease["reason"] == "the primary is dead"
    (created,) = account.mwaa.created
    assert created["NetworkConfiguration"] == BINDING["NetworkConfiguration"]
    history = json.dumps(region.history(done["executionArn"]), default=str)
    assert SECRET_OPTION not in history
    assert SECRET_OPTION not in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["full", "portable"])
def test_going_live_names_snapshot_rpo_and_mode_in_its_output(region: Region, mode: str) -> None:
    """Failure covered: a successful failover notifies nobody; a portable snapshot is restored as a full one."""
    region.account.snapshot(SNAPSHOT, mode=mode)
    region.deploy(parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")
    region.answer_dags({"continuity_restore": restored, "continuity_go_live": gone_live})
    done = region.run("failover")
    output = json.loads(done["output"])
    assert output["went_live"].keys() == {"snapshot_id", "cut_at", "rpo_seconds", "restore_mode"}
    assert (output["went_live"]["snapshot_id"], output["went_live"]["restore_mode"]) == (SNAPSHOT, mode)
    told = {dag_id: run["conf"].get("mode") for (dag_id, _), run in region.account.mwaa.runs.items()}
    assert told == {"continuity_restore": mode, "continuity_go_live": None}
    assert told_as_complete("failover", done["output"])
    assert told_as_complete("failover", json.dumps(output, separators=(",", ":")))


@pytest.mark.parametrize("missing", [1, 150])
def test_dags_that_are_missing_at_go_live_fail_it_by_name(region: Region, missing: int) -> None:
    """Failure covered: restoring before DAGs are parsed: "succeeds", everything stays paused."""
    region.deploy(parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")
    names = [f"etl_{number:03d}" for number in range(missing)]
    region.answer_dags(
        {"continuity_restore": restored, "continuity_go_live": lambda: gone_live() | {"missing_dags": names}}
    )
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", "LiveButDagsMissing")
    shown = [name for name in names if f'"{name}"' in done["cause"]]
    assert shown == names[:100]
    assert f"{missing} DAGs stay paused, because they were not parsed in time" in done["cause"]
    assert f"continuity_go_live in Airflow with snapshot_id {SNAPSHOT}" in done["cause"]
    assert region.account.lease()["live"] is True, "no other attempt starts"


def test_a_second_attempt_restores_the_snapshot_of_the_first(region: Region) -> None:
    """Failure covered: a resumed failover chooses a newer snapshot and is refused for ever."""
    region.deploy(parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")

    def fail() -> dict[str, Any]:
        raise RuntimeError("Continuity.GoLiveFailed")

    region.answer_dags({"continuity_restore": restored, "continuity_go_live": fail})
    assert region.run("failover", name="first")["error"] == "Continuity.GoLiveFailed"
    region.account.snapshot("20261121T090000Z-0000ffff")
    region.answer_dags({"continuity_restore": restored, "continuity_go_live": gone_live})
    done = region.run("failover", name="second")
    assert done["status"] == "SUCCEEDED", done
    assert {run["conf"]["snapshot_id"] for run in region.account.mwaa.runs.values()} == {SNAPSHOT}
    assert region.account.lease()["snapshot_id"] == SNAPSHOT


def test_of_two_that_are_started_at_once_one_fails_over(region: Region) -> None:
    """Failure covered: two failovers side by side create, restore and go live twice."""
    region.deploy("failover", parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")
    region.answer_dags({"continuity_restore": restored, "continuity_go_live": gone_live})
    both = [region.start("failover", name, reason="lost") for name in ("one", "other")]
    ended = [region.wait(execution) for execution in both]
    assert [done["status"] for done in ended] == ["SUCCEEDED", "SUCCEEDED"], ended
    last = sorted(region.entered(execution)[-1] for execution in both)
    assert last == ["Live", "NothingToDo"]
    assert len(region.account.mwaa.created) == 1
    assert sorted(dag_id for dag_id, _ in region.account.mwaa.runs) == ["continuity_go_live", "continuity_restore"]
    assert [told_as_complete("failover", done["output"]) for done in ended].count(True) == 1
    assert (region.account.lease()["token"], region.account.lease()["live"]) == ("2", True)
    third = region.run("failover", "after")
    assert (third["status"], region.entered(third["executionArn"])[-1]) == ("SUCCEEDED", "NothingToDo")


def test_dags_are_hidden_again_before_their_state_is_restored(region: Region) -> None:
    """Failure covered: with DAGs not paused at creation, catch-up fires before the restore."""
    account = region.account
    hidden_while: list[bool] = []

    def look() -> dict[str, Any]:
        hidden_while.append(account.s3.head_object(Bucket=DAGS, Key=IGNORE)["Metadata"] == dict(visibility.METADATA))
        return restored()

    region.deploy(parse_deadline_seconds=30)
    become(account, "AVAILABLE")
    created = account.mwaa.on_create

    def create(document: dict[str, Any]) -> None:
        account.s3.put_object(Bucket=DAGS, Key=IGNORE, Body=b"drafts")
        created(document)

    account.mwaa.on_create = create
    region.answer_dags({"continuity_restore": look, "continuity_go_live": gone_live})
    assert region.run("failover")["status"] == "SUCCEEDED"
    assert hidden_while == [True]
    assert account.s3.get_object(Bucket=DAGS, Key=IGNORE)["Body"].read() == b"drafts", "the user's own is back"


def test_a_restore_that_dies_is_started_again(region: Region) -> None:
    """Failure covered: a failing clean-up never sends its task token: 60 minutes of waiting."""
    region.deploy(parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")
    attempts: list[str] = []

    def die_once() -> dict[str, Any]:
        attempts.append("restore")
        if len(attempts) == 1:
            raise TimeoutError
        return restored()

    region.answer_dags({"continuity_restore": die_once, "continuity_go_live": gone_live})
    done = region.run("failover")
    assert done["status"] == "SUCCEEDED", done
    runs = [run_id for dag_id, run_id in region.account.mwaa.runs if dag_id == "continuity_restore"]
    assert runs == ["continuity__run-1-restore-0", "continuity__run-1-restore-1"]


@pytest.mark.parametrize(
    ("status", "error", "cause"),
    [
        ("CREATE_FAILED", "EnvironmentNotUsable", "rehearsal in us-west-2 is CREATE_FAILED"),
        ("DELETING", "EnvironmentNotUsable", "is DELETING"),
        ("SOMETHING_NEW", "UnknownStatus", "unknown status SOMETHING_NEW"),
    ],
)
def test_a_creation_that_ends_badly_fails_at_once(region: Region, status: str, error: str, cause: str) -> None:
    """Failure covered: CREATE_FAILED polls until the time limit."""
    region.deploy()
    become(region.account, status)
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", error)
    assert cause in done["cause"]


def test_a_creation_that_never_ends_is_given_up(region: Region) -> None:
    region.deploy(poll_seconds=3, create_timeout_minutes=1)
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY, "PENDING")
    polls = 60 // 3
    definition = without_long_waits(render("failover", example_variables(SECONDARY) | SETTINGS | {"poll_seconds": 3}))
    definition["States"]["WaitForEnvironment"]["Seconds"] = 0
    region.update("failover", definition)
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", "EnvironmentTookTooLong")
    assert "still PENDING after 1 minutes" in done["cause"]
    entered = region.entered(done["executionArn"])
    assert entered.count("GetEnvironment") == polls
    assert entered.count("CustomerEndpointsWanted") == polls


def test_metadata_dags_that_never_parse_are_named(region: Region) -> None:
    """Failure covered: restoring before DAGs are parsed: "succeeds", everything stays paused."""
    region.deploy()
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    region.account.mwaa.dags["continuity_restore"] = dict(PARSED)
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", "NotReadyInTime")
    assert "continuity_go_live is not parsed" in done["cause"]
    assert not region.account.mwaa.runs


def test_a_restore_that_fails_leaves_its_cause_and_is_tried_once_more(region: Region) -> None:
    region.deploy()
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    region.account.mwaa.dags |= {"continuity_restore": dict(PARSED), "continuity_go_live": dict(PARSED)}

    def fail() -> dict[str, Any]:
        raise RuntimeError("Continuity.RestoreFailed")

    region.answer_dags({"continuity_restore": fail})
    done = region.run("failover")
    assert (done["status"], done["error"]) == ("FAILED", "Continuity.RestoreFailed")
    assert len(region.account.mwaa.runs) == 2
    lease = region.account.lease()
    assert (lease["holder"], lease["live"]) == (SECONDARY, False)
    assert IGNORE in region.account.objects(DAGS), "user DAGs stay hidden until their state is there"


def test_a_failover_that_failed_gives_the_lease_back_and_one_that_went_live_does_not(region: Region) -> None:
    """Failure covered: a failover fails after it took the lease, and the primary stays fenced though it is fine."""
    region.deploy()
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    region.account.mwaa.dags |= {"continuity_restore": dict(PARSED), "continuity_go_live": dict(PARSED)}

    def fail() -> dict[str, Any]:
        raise RuntimeError("Continuity.RestoreFailed")

    region.answer_dags({"continuity_restore": fail})
    assert region.run("failover")["status"] == "FAILED"
    order = {"action": "give_back", "reason": "the primary is fine"}
    assert lease.handler(order, None) == {"holder": PRIMARY, "token": 3}
    found = region.account.lease()
    assert (found["live"], found["committed"]) == (True, "0"), "what the guard of the primary goes by"

    region.answer_dags({"continuity_restore": restored, "continuity_go_live": gone_live})
    assert region.run("failover", "again", force=True)["status"] == "SUCCEEDED"
    found = region.account.lease()
    assert (found["holder"], found["token"], found["live"], found["committed"]) == (SECONDARY, "4", True, "4")
    with pytest.raises(NotGivenBack, match="us-west-2 went live under this lease"):
        lease.handler(order, None)


@pytest.mark.parametrize(
    ("fields", "error", "cause"),
    [
        ({"snapshot_id": "newest"}, "BadInput", "snapshot_id is 'newest'; accepted: YYYYMMDDTHHMMSSZ"),
        ({"reason": ""}, "BadInput", "reason is an empty string"),
        ({"force": "yes"}, "BadInput", "force is a string; accepted: true or false"),
        ({"snapshot_id": "20200101T000000Z-00000000"}, "SnapshotIncomplete", "manifest.json is missing"),
    ],
)
def test_bad_input_ends_failed_with_the_field(region: Region, fields: dict[str, Any], error: str, cause: str) -> None:
    region.deploy()
    done = region.run("failover", **fields)
    assert (done["status"], done["error"]) == ("FAILED", error)
    assert cause in done["cause"]
    assert not region.account.mwaa.created


@pytest.mark.parametrize(
    ("lease", "status", "error"),
    [
        ({"locked": True}, "FAILED", "FailoverNotAllowed"),
        ({"since": int(time.time())}, "FAILED", "FailoverNotAllowed"),
        ({"holder": SECONDARY, "token": 2, "live": True}, "SUCCEEDED", None),
    ],
)
def test_without_the_lease_nothing_is_done(
    region: Region, lease: dict[str, Any], status: str, error: str | None
) -> None:
    """Failure covered: no fencing."""
    region.deploy()
    region.account.set_lease(**lease)
    done = region.run("failover", reason="someone says went_live")
    assert (done["status"], done.get("error")) == (status, error)
    assert not (done.get("output") and told_as_complete("failover", done["output"]))
    assert not region.account.mwaa.created
    assert not region.account.objects(DAGS) or IGNORE not in region.account.objects(DAGS)
