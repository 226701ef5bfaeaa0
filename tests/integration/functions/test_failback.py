"""Failback, from the Region that is active to the one that was lost, and every way it can end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.functions.machines import IGNORE, fail, restored, runs_of, take_snapshot, told_as_complete
from tests.integration.functions.two_regions import BothRegions, both
from tests.unit.functions.conftest import DAGS, NAME, PRIMARY, SECONDARY, SNAPSHOTS
from tests.unit.functions.two_regions import DAGS_HERE
from tests.waiting import until

__all__ = ["both"]

STEPS = (
    "Begin",
    "HandOver",
    "CopySnapshot",
    "CopyDags",
    "SelectSnapshot",
    "HideDags",
    "EnsureEnvironment",
    "HideDagsAgain",
    "Restore",
    "TakeLease",
    "RevealDags",
    "GoLive",
    "MarkLive",
    "StandDown",
    "PutBackThere",
)


def steps(both: BothRegions, done: dict[str, Any]) -> list[str]:
    """The steps of a failback, each once."""
    entered = both.primary.entered(done["executionArn"])
    return list(dict.fromkeys(name for name in entered if name in STEPS))


def still_active(both: BothRegions) -> bool:
    """Whether the secondary goes on as if nothing had been asked of it."""
    lease = both.account.lease()
    there = both.account.mwaa.environments.get((SECONDARY, NAME), {})
    return (lease["holder"], lease["live"], there.get("Status"), both.drained) == (SECONDARY, True, "AVAILABLE", False)


def test_a_failback_from_drain_to_a_secondary_that_is_gone(both: BothRegions) -> None:
    both.deploy()
    both.account.s3.put_object(Bucket=DAGS, Key="dags/etl.py", Body=b"as mended during the outage")
    done = both.fail_back(reason="the Region is back")
    assert done["status"] == "SUCCEEDED", done
    assert steps(both, done) == [
        "Begin", "HandOver", "CopySnapshot", "CopyDags", "SelectSnapshot", "EnsureEnvironment", "Restore", "TakeLease",
        "RevealDags", "GoLive", "MarkLive", "StandDown",
    ]  # fmt: skip
    (taken,) = runs_of(both.secondary, "continuity_snapshot")
    told = json.loads(done["output"])["failed_back"]
    assert told.pop("cut_at")
    assert told == {
        "snapshot_id": taken["snapshot_id"],
        "restore_mode": "full",
        "dags_copied": 1,
        "dags_deleted": 0,
        "dags_in_conflict": [],
    }
    assert told_as_complete("failback", done["output"])
    (conf,) = runs_of(both.primary, "continuity_restore")
    assert (conf["snapshot_id"], conf["replace"]) == (taken["snapshot_id"], True)
    lease = both.account.lease()
    assert (lease["holder"], lease["token"], lease["live"]) == (PRIMARY, "3", True)
    assert (lease["reason"], lease["snapshot_id"]) == ("the Region is back", taken["snapshot_id"])
    assert list(both.account.mwaa.environments) == [(PRIMARY, NAME)]
    assert both.storage.read("dags/etl.py") == "as mended during the outage"
    assert IGNORE in both.account.objects(DAGS), "the next environment there shows no user DAG"
    assert IGNORE not in both.storage.stored(DAGS_HERE)
    assert both.hand_overs() == ["hand_over"]
    again = both.fail_back("again")
    assert (again["status"], json.loads(again["output"])["outcome"]) == ("SUCCEEDED", "already_live")
    assert not told_as_complete("failback", again["output"])
    assert both.hand_overs() == ["hand_over"]


def test_an_environment_that_is_gone_is_created_with_its_dags_hidden(both: BothRegions) -> None:
    """Failure covered: DAGs that are not paused at creation act before their state is there."""
    hidden: list[bool] = []

    def look() -> dict[str, Any]:
        hidden.append(IGNORE in both.storage.stored(DAGS_HERE))
        return restored()

    both.deploy()
    both.lose_environment()
    both.answers["continuity_restore"] = look
    done = both.fail_back()
    assert done["status"] == "SUCCEEDED", done
    assert [name for name in steps(both, done) if "Hide" in name] == ["HideDags", "HideDagsAgain"]
    assert hidden == [True]
    assert IGNORE not in both.storage.stored(DAGS_HERE)
    assert len(both.account.mwaa.created) == 1


def lose_an_object(both: BothRegions) -> None:
    def lose() -> dict[str, Any]:
        answer = take_snapshot(both.secondary)
        key = f"snapshots/{NAME}/{answer['snapshot_id']}/variable.sealed"
        both.account.s3.delete_object(Bucket=SNAPSHOTS, Key=key)
        return answer

    both.answers["continuity_snapshot"] = lose


def be_portable(both: BothRegions) -> None:
    both.answers["continuity_snapshot"] = lambda: take_snapshot(both.secondary, mode="portable")


def fail_to_drain(both: BothRegions) -> None:
    def drain() -> dict[str, Any]:
        both.drain()
        raise RuntimeError("Continuity.DrainFailed")

    both.answers["continuity_drain"] = drain


def fail_to_restore(both: BothRegions) -> None:
    both.answers["continuity_restore"] = fail("Continuity.RestoreFailed")


def never_be_ready(both: BothRegions) -> None:
    del both.account.mwaa.dags["continuity_go_live"]


def be_locked_meanwhile(both: BothRegions) -> None:
    def lock() -> dict[str, Any]:
        both.account.set_lease(holder=SECONDARY, token=2, since=0, locked=True)
        return restored()

    both.answers["continuity_restore"] = lock


def go_meanwhile(both: BothRegions) -> None:
    def go() -> dict[str, Any]:
        both.account.mwaa.environments[PRIMARY, NAME]["Status"] = "UNAVAILABLE"
        return take_snapshot(both.secondary)

    both.answers["continuity_snapshot"] = go


@pytest.mark.parametrize(
    ("break_it", "error", "cause"),
    [
        (fail_to_drain, "HandOverFailed", "Continuity.DrainFailed"),
        (lose_an_object, "HandOverFailed", "variable.sealed is missing"),
        (be_portable, "HandOverFailed", "OnlyPortable"),
        (go_meanwhile, "EnvironmentNotUsable", "unavailable"),
        (never_be_ready, "NotReadyInTime", "continuity_go_live"),
        (fail_to_restore, "Continuity.RestoreFailed", ""),  # moto loses the cause that a DAG gives
        (be_locked_meanwhile, "LeaseNotTaken", "locked"),
    ],
)
def test_what_fails_before_the_lease_lets_the_secondary_go_on(
    both: BothRegions, break_it: Callable[[BothRegions], None], error: str, cause: str
) -> None:
    """Failure covered: a failback fails half way, and neither Region runs anything."""
    both.deploy(parse_deadline_seconds=2)
    answers, dags = dict(both.answers), dict(both.account.mwaa.dags)
    break_it(both)
    done = both.fail_back()
    assert (done["status"], done["error"]) == ("FAILED", error), done
    assert cause in done.get("cause", "")
    assert len(runs_of(both.secondary, "continuity_drain")) == 1
    assert still_active(both)
    assert not runs_of(both.primary, "continuity_go_live")
    # Mended, it is started again and ends right, with a snapshot of its own.
    both.answers |= answers
    both.account.mwaa.dags |= dags
    both.account.mwaa.environments[PRIMARY, NAME]["Status"] = "AVAILABLE"
    both.account.set_lease(holder=SECONDARY, token=2, since=0)
    done = both.fail_back("again")
    assert done["status"] == "SUCCEEDED", done
    assert runs_of(both.primary, "continuity_restore")[-1]["snapshot_id"] == both.account.lease()["snapshot_id"]
    assert both.account.lease()["snapshot_id"] == runs_of(both.secondary, "continuity_snapshot")[-1]["snapshot_id"]


@pytest.mark.parametrize(
    ("item", "why"),
    [({"locked": True}, "lock"), ({"live": False}, "has not gone live"), ({"since": 4_000_000_000}, "cool-down")],
)
def test_what_is_refused_touches_nothing(both: BothRegions, item: dict[str, Any], why: str) -> None:
    both.deploy()
    both.account.set_lease(**({"holder": SECONDARY, "token": 2} | item))
    done = both.fail_back()
    assert (done["status"], done["error"]) == ("FAILED", "FailbackNotAllowed")
    assert why in done["cause"]
    assert not both.account.mwaa.runs
    assert both.hand_overs() == []


def test_what_fails_after_the_lease_goes_on_when_it_is_started_again(both: BothRegions) -> None:
    """Failure covered: the second attempt drains a Region that is fenced, or restores another snapshot."""
    both.deploy()
    both.answers["continuity_go_live"] = fail("Continuity.GoLiveFailed")
    done = both.fail_back()
    assert (done["status"], done["error"]) == ("FAILED", "Continuity.GoLiveFailed"), done
    lease = both.account.lease()
    assert (lease["holder"], lease["live"]) == (PRIMARY, False)
    assert both.drained, "what is fenced is not unpaused"
    assert "PutBackThere" not in steps(both, done)
    both.answers["continuity_go_live"] = lambda: {"unpaused": 2, "missing_dags": []}
    done = both.fail_back("again")
    assert done["status"] == "SUCCEEDED", done
    assert both.hand_overs() == ["hand_over"]
    assert {conf["snapshot_id"] for conf in runs_of(both.primary, "continuity_restore")} == {lease["snapshot_id"]}
    assert both.account.lease()["live"] is True
    assert list(both.account.mwaa.environments) == [(PRIMARY, NAME)]


def test_a_failback_that_goes_on_and_fails_again_leaves_the_secondary_alone(both: BothRegions) -> None:
    both.deploy()
    both.answers["continuity_go_live"] = fail("Continuity.GoLiveFailed")
    both.fail_back()
    both.answers["continuity_restore"] = fail("Continuity.RestoreFailed")
    done = both.fail_back("again")
    assert (done["status"], done["error"]) == ("FAILED", "Continuity.RestoreFailed")
    assert both.hand_overs() == ["hand_over"]
    assert both.drained


def test_what_cannot_be_put_back_says_what_to_do(both: BothRegions) -> None:
    """Failure covered: putting back fails, and nobody hears that every DAG is paused."""
    both.deploy()
    both.answers |= {
        "continuity_restore": fail("Continuity.RestoreFailed"),
        "continuity_undrain": fail("Continuity.UndrainFailed"),
    }
    done = both.fail_back()
    assert (done["status"], done["error"]) == ("FAILED", "LeftPaused"), done
    for said in ("start hand_over there with operation put_back", "Continuity.RestoreFailed", "Continuity.UndrainF"):
        assert said in done["cause"]
    assert both.drained
    both.answers["continuity_undrain"] = both.undrain
    done = both.secondary.run("hand_over", "by-hand", operation="put_back")
    assert done["status"] == "SUCCEEDED", done
    assert still_active(both)


def test_an_execution_that_was_stopped_is_followed_by_another(both: BothRegions) -> None:
    both.deploy()
    stopped = threading.Event()
    both.answers["continuity_restore"] = lambda: stopped.wait(120) and restored()
    execution = both.primary.start("failback", "back")
    until("the restore", lambda: "Restore" in both.primary.entered(execution), 120)
    both.primary.states.stop_execution(executionArn=execution)
    both.answers["continuity_restore"] = restored
    stopped.set()
    assert both.primary.wait(execution)["status"] == "ABORTED"
    assert both.drained, "nobody put it back: the notice says so"
    assert both.fail_back("again")["status"] == "SUCCEEDED"
    assert both.hand_overs() == ["hand_over", "hand_over"]


def test_a_secondary_that_does_not_stand_down_does_not_undo_the_failback(both: BothRegions) -> None:
    both.deploy()
    key = "continuity_go_live"

    def lose() -> dict[str, Any]:
        snapshot_id = runs_of(both.secondary, "continuity_snapshot")[-1]["snapshot_id"]
        both.account.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{snapshot_id}/variable.sealed")
        return {"unpaused": 2, "missing_dags": ["etl"]}

    both.answers[key] = lose
    done = both.fail_back()
    assert (done["status"], done["error"]) == ("FAILED", "NotStoodDown"), done
    for said in ("is live in us-east-1 again", "stand_down", '["etl"]', "variable.sealed is missing"):
        assert said in done["cause"], said
    lease = both.account.lease()
    assert (lease["holder"], lease["live"]) == (PRIMARY, True)
    there = both.account.mwaa.environments[SECONDARY, NAME]
    assert there["Status"] == "AVAILABLE", "what no good snapshot holds is not removed"
    copy = {"Bucket": "snapshots-us-east-1", "Key": f"snapshots/{NAME}/{lease['snapshot_id']}/variable.sealed"}
    both.account.s3.copy_object(Bucket=SNAPSHOTS, Key=copy["Key"], CopySource=copy)
    done = both.secondary.run("stand_down", "by-hand")
    assert done["status"] == "SUCCEEDED", done
    assert list(both.account.mwaa.environments) == [(PRIMARY, NAME)]


def test_dags_that_are_missing_fail_it_by_name_after_the_secondary_stood_down(both: BothRegions) -> None:
    both.deploy()
    both.answers["continuity_go_live"] = lambda: {"unpaused": 1, "missing_dags": ["etl"]}
    done = both.fail_back()
    assert (done["status"], done["error"]) == ("FAILED", "LiveButDagsMissing")
    assert '"etl"' in done["cause"]
    assert both.account.lease()["live"] is True
    assert list(both.account.mwaa.environments) == [(PRIMARY, NAME)]


@pytest.mark.parametrize(
    "item",
    [
        {"holder": SECONDARY, "token": 2},
        {"holder": PRIMARY, "token": 1},
        {"holder": PRIMARY, "token": 3, "live": False, "snapshot_id": "20261121T080000Z-0123abcd"},
    ],
)
def test_nobody_stands_down_before_the_other_region_is_live(both: BothRegions, item: dict[str, Any]) -> None:
    """Failure covered: somebody starts stand_down by hand, and the active environment is deleted."""
    both.deploy()
    both.account.set_lease(**item)
    done = both.secondary.run("stand_down")
    assert (done["status"], done["error"]) == ("FAILED", "NotStoodDown")
    assert both.account.mwaa.environments[SECONDARY, NAME]["Status"] == "AVAILABLE"


@pytest.mark.parametrize("operation", ["hand_over", "put_back"])
def test_who_is_not_active_hands_nothing_over(both: BothRegions, operation: str) -> None:
    both.deploy()
    both.account.set_lease(holder=PRIMARY, token=3)
    done = both.secondary.run("hand_over", operation=operation)
    assert (done["status"], done["error"]) == ("FAILED", "NotActive")
    assert "us-east-1" in done["cause"]
    assert not both.account.mwaa.runs


def test_an_unknown_operation_is_refused(both: BothRegions) -> None:
    both.deploy()
    done = both.secondary.run("hand_over", operation="undo")
    assert (done["status"], done["error"]) == ("FAILED", "UnknownOperation")
    assert "accepted: hand_over, put_back" in done["cause"]
