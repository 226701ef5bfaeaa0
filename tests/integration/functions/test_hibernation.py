"""Hibernate and resume, from awake to awake, and every way either can end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.integration.functions.machines import (
    PLAYED,
    SETTINGS,
    Answers,
    Region,
    fail,
    restored,
    runs_of,
    take_snapshot,
    told_as_complete,
    without_long_waits,
)
from tests.tools.state_machine_templates import example_variables, render
from tests.unit.functions.conftest import DAGS, LEASES, NAME, SECONDARY, SNAPSHOTS
from tests.waiting import until

#: What a resume tells of the runs that fell due meanwhile.
SKIPPED = {"skipped_runs": 14, "skipped": ["etl: 14"], "not_skipped": ["billing: it was behind before the sleep"]}
PUBLISHED = f"spec/{NAME}/published.{SECONDARY}.json"


def state_of(region: Region) -> dict[str, Any]:
    """The item of the hibernation as it is."""
    key = {"pk": {"S": f"hibernation#{SECONDARY}"}, "sk": {"S": "hibernation"}}
    item = region.account.dynamodb.get_item(TableName=LEASES, Key=key)["Item"]
    return {name: next(iter(value.values())) for name, value in item.items()}


def answers_of(region: Region) -> Answers:
    """DAGs that do what they are told."""
    return {
        "continuity_drain": lambda: {"paused": 3, "executing": []},
        "continuity_undrain": lambda: {"unpaused": 3, "missing_dags": []},
        "continuity_snapshot": lambda: take_snapshot(region),
        "continuity_restore": restored,
        "continuity_go_live": lambda: {"unpaused": 2, "missing_dags": [], **SKIPPED},
    }


def deletions(region: Region) -> int:
    return sum(operation == "DeleteEnvironment" for operation, _, _ in region.account.mwaa.calls)


def test_one_night_from_awake_to_awake(standalone: Region) -> None:
    account = standalone.account
    standalone.deploy(parse_deadline_seconds=30)
    standalone.answer_dags(answers_of(standalone))
    done = standalone.run("hibernate", name="night", scheduled_at="2026-11-21T19:00:00Z")
    assert done["status"] == "SUCCEEDED", done
    (taken,) = runs_of(standalone, "continuity_snapshot")
    assert json.loads(done["output"]) == {"fell_asleep": {"snapshot_id": taken["snapshot_id"]}}
    assert told_as_complete("hibernate", done["output"])
    (drained,) = runs_of(standalone, "continuity_drain")
    assert drained == {"request_id": "night-drain-0", "minutes": 30, "when_late": "cancel"}
    entered = standalone.entered(done["executionArn"])
    steps = ("Begin", "Preflight", "Drain", "TakeSnapshot", "Verify", "RecordSnapshot", "Remove", "MarkAsleep")
    assert tuple(name for name in entered if name in steps) == steps
    assert entered.count("WaitForRemoval") >= 1
    assert (SECONDARY, NAME) not in account.mwaa.environments
    assert (state_of(standalone)["state"], state_of(standalone)["snapshot_id"]) == ("asleep", taken["snapshot_id"])
    assert not runs_of(standalone, "continuity_undrain")
    again = standalone.run("hibernate", name="again")
    assert (again["status"], json.loads(again["output"])["outcome"]) == ("SUCCEEDED", "asleep")
    assert not told_as_complete("hibernate", again["output"])

    published = json.loads(account.s3.get_object(Bucket=SNAPSHOTS, Key=PUBLISHED)["Body"].read())
    account.put_json(PUBLISHED, published | {"MaxWorkers": 9})
    done = standalone.run("resume", name="morning", scheduled_at="2026-11-22T06:00:00Z")
    assert done["status"] == "SUCCEEDED", done
    assert told_as_complete("resume", done["output"])
    came_back = json.loads(done["output"])["came_back"]
    assert (came_back["snapshot_id"], came_back["restore_mode"]) == (taken["snapshot_id"], "full")
    assert (came_back["published_version"], came_back["url"][:8]) == (None, "https://")
    assert {name: came_back[name] for name in SKIPPED} == SKIPPED
    assert (came_back["smoke"]["dag_id"], "run" in came_back["smoke"]) == ("", False)
    (created,) = account.mwaa.created
    assert (created["MaxWorkers"], created["AirflowVersion"]) == (9, "2.10.3")
    entered = standalone.entered(done["executionArn"])
    steps = (
        "SelectSnapshot",
        "HideDags",
        "EnsureEnvironment",
        "Restore",
        "RevealDags",
        "GoLive",
        "PublishUrl",
        "MarkAwake",
    )
    assert tuple(name for name in entered if name in steps) == steps
    assert runs_of(standalone, "continuity_restore")[0]["snapshot_id"] == taken["snapshot_id"]
    assert state_of(standalone)["state"] == "awake"
    stored = boto3.client("ssm", SECONDARY).get_parameter(Name="/rehearsal/webserver-url")["Parameter"]["Value"]
    assert stored == came_back["url"]
    assert "dags/.airflowignore" not in account.objects(DAGS)
    assert standalone.entered(standalone.run("resume", name="once-more")["executionArn"])[-1] == "NothingToDo"


@pytest.mark.parametrize("ends", ["success", "failed"])
def test_a_smoke_run_decides_how_a_resume_ends(standalone: Region, ends: str) -> None:
    """Failures covered: nobody looks whether what came back works; a smoke run that fails takes a live one away."""
    standalone.deploy(parse_deadline_seconds=30, smoke_dag_id="smoke_test")
    standalone.answer_dags(answers_of(standalone))
    mwaa = standalone.account.mwaa
    mwaa.dags["smoke_test"] = {"is_active": True, "is_paused": False}
    mwaa.ends["smoke_test"] = ends
    assert standalone.run("hibernate", name="night")["status"] == "SUCCEEDED"
    done = standalone.run("resume", name="morning")
    assert state_of(standalone)["state"] == "awake"
    assert [run_id for dag_id, run_id in mwaa.runs if dag_id == "smoke_test"] == ["smoke__morning"]
    if ends == "success":
        smoke = json.loads(done["output"])["came_back"]["smoke"]
        assert (smoke["dag_id"], smoke["run"]["state"]) == ("smoke_test", "success")
        return
    assert (done["status"], done["error"]) == ("FAILED", "SmokeFailed")
    assert (
        "is live in us-west-2 and stays so, but the smoke run smoke__morning of the DAG smoke_test is failed."
        in (done["cause"])
    )
    assert standalone.run("resume", name="again")["status"] == "SUCCEEDED"
    assert mwaa.environments[SECONDARY, NAME]["Status"] == "AVAILABLE"


def test_the_first_environment_is_created_empty(standalone: Region) -> None:
    """Failures covered: one that Terraform does not own has to be made by hand before it can ever sleep; a lost one is
    replaced by an empty one, whose DAGs run all again."""
    account = standalone.account
    account.mwaa.environments.clear()
    standalone.deploy(parse_deadline_seconds=30)
    done = standalone.run("resume", name="morning")
    assert (done["status"], done["error"]) == ("FAILED", "Refused")
    assert '{"first": true}' in done["cause"]
    done = standalone.run("resume", name="first", first=True)
    assert (done["status"], done["error"]) == ("FAILED", "SnapshotsExist"), "there is one"
    assert not account.mwaa.created

    for key in account.objects(SNAPSHOTS):
        if key.startswith("snapshots/"):
            account.s3.delete_object(Bucket=SNAPSHOTS, Key=key)
    done = standalone.run("resume", name="first-again", first=True)
    assert done["status"] == "SUCCEEDED", done
    assert told_as_complete("resume", done["output"])
    assert json.loads(done["output"])["came_back"]["url"].startswith("https://")
    (created,) = account.mwaa.created
    assert created["Name"] == NAME
    assert "dags/.airflowignore" not in account.objects(DAGS), "its DAGs are parsed at once"
    assert not account.mwaa.runs
    assert state_of(standalone)["state"] == "awake"
    again = standalone.run("resume", name="again", first=True)
    assert standalone.entered(again["executionArn"])[-1] == "NothingToDo"


def refuse(_event: Any, _context: Any) -> dict[str, Any]:
    return {"ok": False, "failed": ["airflow_version"], "checks": []}


def break_preflight(_region: Region, answers: Answers, patch: pytest.MonkeyPatch) -> None:
    assert answers
    patch.setitem(PLAYED, "preflight", refuse)


def break_drain(_region: Region, answers: Answers, _patch: pytest.MonkeyPatch) -> None:
    answers["continuity_drain"] = fail("Continuity.DrainFailed")


def break_snapshot(_region: Region, answers: Answers, _patch: pytest.MonkeyPatch) -> None:
    answers["continuity_snapshot"] = fail("Continuity.SnapshotFailed")


def lose_an_object(region: Region, answers: Answers, _patch: pytest.MonkeyPatch) -> None:
    def lose() -> dict[str, Any]:
        answer = take_snapshot(region)
        key = f"snapshots/{NAME}/{answer['snapshot_id']}/variable.sealed"
        region.account.s3.delete_object(Bucket=SNAPSHOTS, Key=key)
        return answer

    answers["continuity_snapshot"] = lose


def take_a_portable_one(region: Region, answers: Answers, _patch: pytest.MonkeyPatch) -> None:
    answers["continuity_snapshot"] = lambda: take_snapshot(region, mode="portable")


def cut_before_the_drain(region: Region, answers: Answers, _patch: pytest.MonkeyPatch) -> None:
    answers["continuity_snapshot"] = lambda: take_snapshot(region, cut_at="2026-11-21T08:00:05+00:00")


@pytest.mark.parametrize(
    ("break_it", "error", "cause"),
    [
        (break_preflight, "PreflightFailed", '["airflow_version"]'),
        (break_drain, "Continuity.DrainFailed", ""),  # moto loses the cause that a DAG gives
        (break_snapshot, "Continuity.SnapshotFailed", ""),
        (lose_an_object, "SnapshotRefused", "variable.sealed is missing"),
        (take_a_portable_one, "OnlyPortable", "is portable: it holds no history"),
        (cut_before_the_drain, "SnapshotRefused", "before the DAGs were paused"),
    ],
)
def test_what_fails_before_the_removal_is_put_back(
    standalone: Region,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[Region, Answers, pytest.MonkeyPatch], None],
    error: str,
    cause: str,
) -> None:
    """Failure covered: a hibernation that fails leaves every DAG paused, or no environment."""
    standalone.deploy()
    answers = answers_of(standalone)
    break_it(standalone, answers, monkeypatch)
    standalone.answer_dags(answers)
    done = standalone.run("hibernate", name="night")
    assert (done["status"], done["error"]) == ("FAILED", error), done
    assert cause in done.get("cause", "")
    assert standalone.account.mwaa.environments[SECONDARY, NAME]["Status"] == "AVAILABLE"
    assert deletions(standalone) == 0
    assert [conf["request_id"] for conf in runs_of(standalone, "continuity_undrain")] == ["night-undrain-0"]
    assert (state_of(standalone)["state"], state_of(standalone)["snapshot_id"]) == ("awake", "")


def test_what_cannot_be_put_back_is_left_to_a_resume(standalone: Region) -> None:
    """Failure covered: putting back fails, and nobody hears that every DAG is paused."""
    standalone.deploy()
    broken = {
        "continuity_drain": fail("Continuity.DrainFailed"),
        "continuity_undrain": fail("Continuity.UndrainFailed"),
    }
    standalone.answer_dags(answers_of(standalone) | broken)
    done = standalone.run("hibernate", name="night")
    assert (done["status"], done["error"]) == ("FAILED", "LeftPaused"), done
    for said in ("start the state machine resume", "Continuity.DrainFailed", "Continuity.UndrainFailed"):
        assert said in done["cause"]
    assert standalone.account.mwaa.environments[SECONDARY, NAME]["Status"] == "AVAILABLE"
    assert state_of(standalone)["state"] == "hibernating"
    standalone.answer_dags(answers_of(standalone))
    done = standalone.run("resume", name="morning")
    assert (done["status"], standalone.entered(done["executionArn"])[-1]) == ("SUCCEEDED", "NothingToDo")
    assert runs_of(standalone, "continuity_undrain")[-1]["request_id"] == "morning-undrain-0"
    assert state_of(standalone)["state"] == "awake"
    assert not standalone.account.mwaa.created


def test_a_snapshot_under_way_is_waited_for(standalone: Region) -> None:
    """Failure covered: a scheduled snapshot at the same minute fails the night."""
    standalone.deploy()
    attempts: list[str] = []

    def refuse_once() -> dict[str, Any]:
        attempts.append("snapshot")
        time.sleep(1)  # a snapshot is named after the second in which it is prepared; at AWS minutes lie between two
        return fail("Continuity.SnapshotFailed")() if len(attempts) == 1 else take_snapshot(standalone)

    standalone.answer_dags(answers_of(standalone) | {"continuity_snapshot": refuse_once})
    done = standalone.run("hibernate", name="night")
    assert done["status"] == "SUCCEEDED", done
    first, second = runs_of(standalone, "continuity_snapshot")
    assert first["snapshot_id"] != second["snapshot_id"]
    assert [first["request_id"], second["request_id"]] == ["night-snapshot-0", "night-snapshot-1"]


def test_a_portable_snapshot_may_be_accepted(standalone: Region) -> None:
    standalone.deploy(accept_portable=True)
    answers = {"continuity_snapshot": lambda: take_snapshot(standalone, mode="portable")}
    standalone.answer_dags(answers_of(standalone) | answers)
    assert standalone.run("hibernate")["status"] == "SUCCEEDED"


def test_an_environment_that_changes_is_asked_for_again(standalone: Region) -> None:
    """Failure covered: an update at nine in the evening keeps the environment awake all night."""
    standalone.deploy(window_asks=100)
    standalone.answer_dags(answers_of(standalone))
    changing = standalone.account.mwaa.environments[SECONDARY, NAME]
    changing["Status"] = "UPDATING"
    threading.Timer(2.0, changing.update, ({"Status": "AVAILABLE"},)).start()
    done = standalone.run("hibernate")
    assert done["status"] == "SUCCEEDED", done
    assert standalone.entered(done["executionArn"]).count("WaitToAsk") >= 1


def test_a_morning_that_comes_while_the_night_still_works_waits(standalone: Region) -> None:
    """Failure covered: the resume finds a hibernation at work, goes away, and the environment sleeps all day."""
    standalone.deploy(window_asks=100, heartbeat_seconds=50, parse_deadline_seconds=30)
    work_is_done = threading.Event()

    def drain() -> dict[str, Any]:
        assert work_is_done.wait(120)
        return {"paused": 3, "executing": []}

    standalone.answer_dags(answers_of(standalone) | {"continuity_drain": drain})
    night = standalone.start("hibernate", "night")
    until("the drain", lambda: "Drain" in standalone.entered(night), 120)
    morning = standalone.start("resume", "morning")
    until("asked again", lambda: "WaitToAsk" in standalone.entered(morning), 120)
    work_is_done.set()
    assert standalone.wait(night)["status"] == "SUCCEEDED"
    done = standalone.wait(morning)
    assert (done["status"], list(json.loads(done["output"]))) == ("SUCCEEDED", ["came_back"]), done
    assert len(standalone.account.mwaa.created) == 1


def test_when_the_window_is_over_nothing_was_touched(standalone: Region) -> None:
    standalone.deploy()
    standalone.account.mwaa.environments[SECONDARY, NAME]["Status"] = "UPDATING"
    done = standalone.run("hibernate")
    assert (done["status"], done["error"]) == ("FAILED", "NotInTime")
    assert f"not_available: environment {NAME} is UPDATING" in done["cause"]
    assert standalone.entered(done["executionArn"]).count("Begin") == SETTINGS["window_asks"]
    assert not standalone.account.mwaa.runs


def test_an_exception_of_the_calendar_ends_at_once(standalone: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCEPTIONS", "2026-12-24")
    standalone.deploy()
    done = standalone.run("hibernate", scheduled_at="2026-12-24T19:00:00Z")
    assert (done["status"], json.loads(done["output"])["outcome"]) == ("SUCCEEDED", "exception")
    assert not standalone.account.mwaa.runs


def test_a_removal_that_hangs_is_taken_up_by_the_next_execution(standalone: Region) -> None:
    """Failure covered: the machine gives up while MWAA deletes, and nobody knows what to restore."""
    account = standalone.account
    standalone.deploy()
    quick = without_long_waits(render("hibernate", example_variables(SECONDARY) | SETTINGS | {"poll_seconds": 30}))
    quick["States"]["WaitForRemoval"]["Seconds"] = 0
    standalone.update("hibernate", quick)
    standalone.answer_dags(answers_of(standalone))
    account.mwaa.on_delete = lambda _environment: None
    done = standalone.run("hibernate", name="night")
    assert (done["status"], done["error"]) == ("FAILED", "RemovalTookTooLong")
    assert not runs_of(standalone, "continuity_undrain"), "what is being deleted is not put back"
    assert state_of(standalone)["state"] == "hibernating"
    del account.mwaa.environments[SECONDARY, NAME]
    done = standalone.run("hibernate", name="again")
    assert done["status"] == "SUCCEEDED", done
    assert state_of(standalone)["state"] == "asleep"
    assert len(runs_of(standalone, "continuity_snapshot")) == 1


def test_a_resume_that_fails_goes_on_when_it_is_started_again(standalone: Region) -> None:
    standalone.deploy(parse_deadline_seconds=30)
    answers = answers_of(standalone)
    standalone.answer_dags(answers)
    assert standalone.run("hibernate", name="night")["status"] == "SUCCEEDED"
    standalone.answer_dags(answers | {"continuity_go_live": fail("Continuity.GoLiveFailed")})
    done = standalone.run("resume", name="morning")
    assert (done["status"], done["error"]) == ("FAILED", "Continuity.GoLiveFailed")
    assert state_of(standalone)["state"] == "resuming"
    standalone.answer_dags(answers)
    done = standalone.run("resume", name="again")
    assert done["status"] == "SUCCEEDED", done
    assert len(standalone.account.mwaa.created) == 1
    assert state_of(standalone)["state"] == "awake"


def test_dags_that_are_missing_after_a_resume_fail_it_by_name(standalone: Region) -> None:
    standalone.deploy(parse_deadline_seconds=30)
    missing = {"continuity_go_live": lambda: {"unpaused": 1, "missing_dags": ["etl"], **SKIPPED}}
    standalone.answer_dags(answers_of(standalone) | missing)
    assert standalone.run("hibernate", name="night")["status"] == "SUCCEEDED"
    done = standalone.run("resume", name="morning")
    assert (done["status"], done["error"]) == ("FAILED", "LiveButDagsMissing")
    assert '"etl"' in done["cause"]
    assert state_of(standalone)["state"] == "awake"
