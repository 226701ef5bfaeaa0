"""The machine that refreshes a hot standby: one at a time, never in the way of a failover or a drill."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.functions.machines import PARSED, SNAPSHOT, Region, found, gone_live, restored, runs_of
from tests.unit.functions.conftest import DAGS, NAME, SECONDARY, SNAPSHOTS, environment

NEWER, NEWEST = "20261121T081500Z-1111bbbb", "20261121T083000Z-2222cccc"


@pytest.fixture
def hot(region: Region, monkeypatch: pytest.MonkeyPatch) -> Region:
    """The secondary of a live primary, with its standby."""
    account = region.account
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.mwaa.dags |= {f"continuity_{name}": dict(PARSED) for name in ("restore", "go_live", "drill")}
    region.deploy(parse_deadline_seconds=30, heartbeat_seconds=20)
    monkeypatch.setenv("STRATEGY", "hot_standby")
    monkeypatch.setenv("DRILL_ARN", region.arns["drill"])
    monkeypatch.setenv("REFRESH_ARN", region.arns["refresh"])
    answer(region)
    return region


def answer(region: Region, **answers: Callable[[], dict[str, Any]]) -> None:
    """Play the DAGs, which do what they are told unless a test says otherwise."""
    dags = {"continuity_restore": restored, "continuity_go_live": gone_live, "continuity_drill": found}
    region.answer_dags(dags | answers)


def restores(region: Region) -> list[tuple[str, bool]]:
    """Which snapshots were restored, and whether as a refresh."""
    return [(conf["snapshot_id"], conf.get("refresh", False)) for conf in runs_of(region, "continuity_restore")]


class Held:
    """A restore that ends when it is let go."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> dict[str, Any]:
        self.began.set()
        assert self.may_end.wait(60)
        return restored()


def test_every_snapshot_is_restored_once_and_nothing_goes_live(hot: Region) -> None:
    """Failures covered: a refresh goes live, reveals DAGs, takes the lease, or restores the same again and again."""
    lease, dags = hot.account.lease(), hot.account.objects(DAGS)
    done = hot.run("refresh", "first")
    assert (done["status"], json.loads(done["output"])["snapshot_id"]) == ("SUCCEEDED", SNAPSHOT), done
    again = hot.run("refresh", "second")
    assert json.loads(again["output"])["outcome"] == "current"
    hot.account.snapshot(NEWER)
    hot.run("refresh", "third")
    assert restores(hot) == [(SNAPSHOT, True), (NEWER, True)]
    assert {dag_id for dag_id, _ in hot.account.mwaa.runs} == {"continuity_restore"}
    assert (hot.account.lease(), hot.account.objects(DAGS)) == (lease, dags)


def test_snapshots_that_come_meanwhile_come_down_to_the_newest(hot: Region) -> None:
    """Failure covered: a queue of restores grows behind a slow one, or the last snapshot waits for the schedule."""
    held = Held()
    answer(hot, continuity_restore=held)
    first = hot.start("refresh", "first")
    assert held.began.wait(60)
    hot.account.snapshot(NEWER)
    second = hot.start("refresh", "second")
    wait_for_state(hot, second, "WaitForTurn")
    hot.account.snapshot(NEWEST)
    third = hot.run("refresh", "third")
    assert json.loads(third["output"])["outcome"] == "busy"
    answer(hot)
    held.may_end.set()
    assert hot.wait(first)["status"] == hot.wait(second)["status"] == "SUCCEEDED"
    assert restores(hot) == [(SNAPSHOT, True), (NEWEST, True)]


def wait_for_state(region: Region, execution: str, state: str) -> None:
    entered = threading.Event()
    for _ in range(600):
        if state in region.entered(execution):
            return
        entered.wait(0.1)
    raise AssertionError(f"{state} was not entered: {region.entered(execution)}")


def test_a_failover_during_a_refresh_wins(hot: Region) -> None:
    """The restore DAG refuses what a failover took over, and nobody is woken for it."""
    held = Held()

    def overtaken() -> dict[str, Any]:
        held()
        raise RuntimeError("Continuity.RestoreFailed")

    answer(hot, continuity_restore=overtaken)
    refresh = hot.start("refresh", "during")
    assert held.began.wait(60)
    answer(hot)
    done = hot.run("failover", reason="the primary is dead")
    assert done["status"] == "SUCCEEDED", done
    assert "WaitForEnvironment" not in hot.entered(done["executionArn"])
    answer(hot, continuity_restore=overtaken)
    held.may_end.set()
    ended = hot.wait(refresh)
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["interrupted"] is True
    assert (SNAPSHOT, False) in restores(hot)
    assert json.loads(hot.run("refresh", "after")["output"])["outcome"] == "active"


def test_a_refresh_that_fails_by_itself_is_told(hot: Region) -> None:
    def refuse() -> dict[str, Any]:
        raise RuntimeError("Continuity.RestoreFailed")

    answer(hot, continuity_restore=refuse)
    done = hot.run("refresh")
    assert (done["status"], done["error"]) == ("FAILED", "Continuity.RestoreFailed")
    assert f"spec/{NAME}/refreshed.{SECONDARY}.json" not in hot.account.objects(SNAPSHOTS)
    answer(hot)
    assert json.loads(hot.run("refresh", "again")["output"])["snapshot_id"] == SNAPSHOT


def test_drill_and_refresh_take_turns(hot: Region) -> None:
    """Failure covered: a refresh replaces what a drill is counting; a drill is skipped because of a refresh."""
    held = Held()
    answer(hot, continuity_restore=held)
    refresh = hot.start("refresh", "first")
    assert held.began.wait(60)
    drill = hot.start("drill", "sunday")
    wait_for_retry(hot, drill)
    counting = Held()

    def count() -> dict[str, Any]:
        counting()
        return found()

    answer(hot, continuity_drill=count)
    held.may_end.set()
    assert hot.wait(refresh)["status"] == "SUCCEEDED"
    assert counting.began.wait(60)
    hot.account.snapshot(NEWER)
    meanwhile = hot.run("refresh", "second")
    assert json.loads(meanwhile["output"])["outcome"] == "drill"
    counting.may_end.set()
    assert hot.wait(drill)["status"] == "SUCCEEDED"
    assert json.loads(hot.run("refresh", "third")["output"])["snapshot_id"] == NEWER


def wait_for_retry(region: Region, execution: str) -> None:
    asked = threading.Event()
    for _ in range(600):
        told = [event for event in region.history(execution) if event["type"] == "TaskFailed"]
        if told:
            assert told[0]["taskFailedEventDetails"]["error"] == "RefreshAtWork", told[0]
            return
        asked.wait(0.1)
    raise AssertionError(f"the drill did not wait: {region.entered(execution)}")
