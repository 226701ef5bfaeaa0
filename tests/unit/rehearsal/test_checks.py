"""The checks of the rehearsal: each fails when what it is there for happens."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from tests.rehearsal import checks
from tests.rehearsal.effects import Cut, Effect, InstanceKey

SOURCE, TARGET = "s", "t"
LIVE = 2000.0


def effect(
    kind: str, where: str, dag: str, *, run: str = "r", at: float = 900, try_number: int = 1, **more: Any
) -> Effect:
    return Effect(kind, where, (dag, run, "work", -1), try_number, at, more)


def facts_of(
    effects: list[Effect],
    states: dict[str, str],
    *,
    runs: dict[str, str] | None = None,
    target_runs: dict[tuple[str, str], str] | None = None,
    target_instances: dict[InstanceKey, tuple[str, int, int]] | None = None,
) -> checks.Facts:
    rows = [
        {"dag_id": dag, "run_id": "r", "task_id": "work", "map_index": "-1", "state": s} for dag, s in states.items()
    ]
    of_run = {**dict.fromkeys(states, "running"), **(runs or {})}
    cut = Cut.of(1000, [{"dag_id": dag, "run_id": "r", "state": state} for dag, state in of_run.items()], rows)
    return checks.Facts(
        cut, effects, SOURCE, TARGET, LIVE, frozenset({"fails"}), target_runs or {}, target_instances or {}
    )


def test_a_finished_run_that_begins_again_fails() -> None:
    """Failure covered: DAGs unpaused before the import: every finished task ran again."""
    facts = facts_of([effect("start", TARGET, "a", at=2100)], {"a": "success"}, runs={"a": "success"})
    assert not checks.nothing_finished_ran_again(facts).passed
    assert checks.nothing_finished_ran_again(facts_of([], {"a": "success"})).passed


def test_a_finished_task_of_an_unfinished_run_that_begins_again_fails() -> None:
    facts = facts_of([effect("start", TARGET, "a", at=2100)], {"a": "success"})
    assert "a r work -1" in checks.nothing_finished_ran_again(facts).detail


def test_in_flight_work_that_does_not_run_again_fails() -> None:
    """Failure covered: running DAG runs exported without their unfinished tasks turn `success`."""
    facts = facts_of([effect("start", SOURCE, "a")], {"a": "running"})
    check = checks.replayed_as_computed(facts)
    assert not check.passed
    assert check.detail == "not replayed: a r work -1"


def test_a_replay_that_was_not_computed_fails() -> None:
    """Failure covered: a Region that comes back runs everything twice."""
    facts = facts_of([effect("start", SOURCE, "a"), effect("start", TARGET, "a", at=2100)], {"a": "success"})
    assert checks.replayed_as_computed(facts).detail == "not computed: a r work -1"


def test_the_computed_replay_passes() -> None:
    facts = facts_of([effect("start", SOURCE, "a"), effect("start", TARGET, "a", at=2100)], {"a": "running"})
    assert checks.replayed_as_computed(facts).passed


def test_a_schedule_that_stands_still_fails() -> None:
    check = checks.next_runs_once(facts_of([], {}), {"every_minute", "hourly"}, 180)
    assert not check.passed
    assert check.detail == "no next run: every_minute"


def test_two_runs_of_one_interval_fail() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    same = {("a", f"scheduled__{at}"): "success", ("a", f"scheduled__{at.replace('+00:00', 'Z')}"): "success"}
    assert "two runs of one interval" in checks.next_runs_once(facts_of([], {}, target_runs=same), set(), 180).detail


def test_a_deferred_task_must_resume_once_and_not_begin_anew() -> None:
    """Failure covered: `trigger.id` not exported but `task_instance.trigger_id` is."""
    assert not checks.deferred_woke(facts_of([], {"a": "deferred"})).passed
    once = [effect("resumed", TARGET, "a", at=2100)]
    assert checks.deferred_woke(facts_of(once, {"a": "deferred"})).passed
    assert not checks.deferred_woke(facts_of(once * 2, {"a": "deferred"})).passed
    anew = [*once, effect("start", TARGET, "a", at=2050)]
    assert "began anew" in checks.deferred_woke(facts_of(anew, {"a": "deferred"})).detail
    assert not checks.deferred_woke(facts_of([], {"a": "success"})).passed


def test_a_retry_that_lost_its_count_fails() -> None:
    key = ("a", "r", "work", -1)
    for tries, kept in (((2, 3), True), ((2, 5), False), ((1, 3), False)):
        again = [effect("start", TARGET, "a", at=2100, try_number=tries[0])]
        facts = facts_of(again, {"a": "up_for_retry"}, target_instances={key: ("success", *tries)})
        assert checks.retries_keep_count(facts).passed is kept


def test_the_policy_fail_must_not_run_again() -> None:
    key = ("fails", "r", "work", -1)
    facts = facts_of([], {"fails": "running"}, target_instances={key: ("failed", 1, 0)})
    assert checks.in_flight_failed(facts).passed
    again = [effect("start", TARGET, "fails", at=2100)]
    facts = facts_of(again, {"fails": "running"}, target_instances={key: ("failed", 1, 0)})
    assert not checks.in_flight_failed(facts).passed


def test_a_consumer_that_fires_too_early_or_twice_fails() -> None:
    """Failure covered: datasets and their queues never carried."""
    once = [effect("start", TARGET, "both", at=2100)]
    assert checks.dataset_waits_then_fires(facts_of(once, {}), 0).passed
    assert not checks.dataset_waits_then_fires(facts_of(once, {}), 1).passed
    assert not checks.dataset_waits_then_fires(facts_of(once * 2, {}), 0).passed
    assert not checks.dataset_waits_then_fires(facts_of([], {}), 0).passed


def test_a_wrong_secret_is_named_and_not_shown() -> None:
    digests = {"variable": hashlib.sha256(b"other").hexdigest(), "nasty": hashlib.sha256(b"n").hexdigest()}
    facts = facts_of([effect("read", TARGET, "secrets_reader", digests=digests)], {})
    check = checks.secrets_readable(facts, {"variable": "planted", "nasty": "n"})
    assert check.detail == "wrong: variable"
    assert not check.passed


def test_a_flag_that_changed_fails() -> None:
    """Failure covered: a DAG paused in the primary is unpaused by the next drill."""
    assert not checks.same_flags({"a": True, "b": False}, {"a": False, "b": False}).passed
    assert not checks.same_flags({"a": False}, {}).passed
    assert checks.same_flags({"a": True, "b": False}, {"a": True, "b": False, "new": True}).passed


def test_a_manifest_of_another_cut_fails() -> None:
    facts = facts_of([], {"a": "running"})
    right = {"exported_snapshot": "1-1", "in_flight": [["a", "r", "work", -1, "running"]], "paused": {"a": False}}
    assert checks.manifest_agrees(right, "1-1", facts.cut, {"a": False}).passed
    assert not checks.manifest_agrees(right, "1-2", facts.cut, {"a": False}).passed
    assert not checks.manifest_agrees({**right, "in_flight": []}, "1-1", facts.cut, {"a": False}).passed
    assert not checks.manifest_agrees(right, "1-1", facts.cut, {"a": True}).passed
    assert not checks.manifest_agrees({**right, "paused": {}}, "1-1", facts.cut, {"a": False}).passed


def test_a_notice_that_did_not_come_fails() -> None:
    """Failure covered: a successful failover notifies nobody."""
    notice = {"topic": "t", "subject": "SUCCEEDED", "message": "x-failover"}
    assert checks.notices_arrived([notice], [("success", "t", "SUCCEEDED|-failover")]).passed
    assert not checks.notices_arrived([notice], [("success", "other", "SUCCEEDED|-failover")]).passed
    assert not checks.notices_arrived([notice], [("failure", "t", "FAILED|-failover")]).passed


def test_detection_is_held_against_what_is_configured() -> None:
    """Failure covered: a loss that is noticed minutes later, or on less evidence, than configured."""
    outage = 60_000 * 60 + 50.0
    for started, passed in ((69.0, False), (70.0, True), (190.0, True), (249.0, True), (250.0, False)):
        check = checks.detected_in_time(outage, outage + started, 180)
        assert check.passed is passed, (started, check.detail)
    assert check.detail == "configured 180 s, measured 250 s: 5 periods of 60 s"
