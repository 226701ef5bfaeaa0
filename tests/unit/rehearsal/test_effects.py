"""What must be replayed, computed from the cut and from what ran after it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.rehearsal.effects import (
    Cut,
    Effect,
    Schedule,
    actual_replay,
    computed_replay,
    due_again,
    read_effects,
    started_twice,
    undecided,
    undecided_replay,
)

CUT = 1000.0
LIVE = 2000.0


def effect(kind: str, where: str, dag: str, run: str, at: float, *, try_number: int = 1) -> Effect:
    return Effect(kind, where, (dag, run, "work", -1), try_number, at, {})


def cut(**instances: str) -> Cut:
    rows = [
        {"dag_id": dag, "run_id": "r", "task_id": "work", "map_index": "-1", "state": s} for dag, s in instances.items()
    ]
    return Cut.of(CUT, [{"dag_id": dag, "run_id": "r", "state": "running"} for dag in instances], rows)


def computed(at_cut: Cut, effects: list[Effect], fail: frozenset[str] = frozenset()) -> set[str]:
    return {key[0] for key in computed_replay(at_cut, effects, "p", LIVE, fail)}


def test_in_flight_work_that_had_begun_is_replayed() -> None:
    assert computed(cut(a="running"), [effect("start", "p", "a", "r", 900)]) == {"a"}


def test_in_flight_work_that_never_began_is_no_replay() -> None:
    assert computed(cut(a="queued"), []) == set()


def test_what_finished_before_the_cut_is_never_replayed() -> None:
    effects = [effect("start", "p", "a", "r", 900), effect("end", "p", "a", "r", 1001)]
    assert computed(cut(a="success"), effects) == set()


def test_what_ran_after_the_cut_in_a_known_run_is_replayed() -> None:
    effects = [effect("start", "p", "a", "r", 1001), effect("end", "p", "a", "r", 1002)]
    assert computed(cut(a=""), effects) == {"a"}


def test_what_was_about_to_go_on_after_a_trigger_is_no_replay() -> None:
    rows = [
        {"dag_id": dag, "run_id": "r", "task_id": "work", "map_index": "-1", "state": "queued"} for dag in ("a", "b")
    ]
    methods = ("resume", None)
    instances = [{**row, "next_method": method} for row, method in zip(rows, methods, strict=True)]
    at_cut = Cut.of(CUT, [{"dag_id": row["dag_id"], "run_id": "r", "state": "running"} for row in rows], instances)
    effects = [effect("start", where, dag, "r", at) for dag in ("a", "b") for where, at in (("p", 900), ("s", LIVE))]
    assert computed(at_cut, effects) == {"b"}
    assert {key[0] for key in actual_replay(at_cut, effects, "p", "s")} == {"b"}


def test_what_waits_goes_on_and_is_no_replay() -> None:
    effects = [effect("start", "p", dag, "r", 900) for dag in ("a", "b", "c")]
    at_cut = cut(a="deferred", b="up_for_retry", c="up_for_reschedule")
    assert computed(at_cut, effects) == set()
    assert actual_replay(at_cut, [*effects, effect("start", "s", "b", "r", 2100, try_number=2)], "p", "s") == set()


def test_the_policy_fail_replays_nothing() -> None:
    assert computed(cut(a="running"), [effect("start", "p", "a", "r", 900)], frozenset({"a"})) == set()


def test_a_new_run_is_replayed_if_its_schedule_makes_it_again() -> None:
    old = "scheduled__" + datetime.fromtimestamp(1010, UTC).isoformat()
    effects = [effect("start", "p", dag, old, 1100) for dag in ("every_minute", "eager", "unknown")]
    assert computed(cut(), effects) == {"eager"}


def test_a_run_whose_dataset_event_lay_in_the_queue_at_the_cut_is_made_again() -> None:
    queued, later = ("dataset_triggered__" + datetime.fromtimestamp(at, UTC).isoformat() for at in (990, 1010))
    effects = [effect("start", "p", "a", queued, 1001), effect("start", "p", "b", later, 1020)]
    assert computed(cut(), effects) == {"a"}


def test_without_catch_up_only_the_latest_interval_is_made_again() -> None:
    run = "scheduled__" + datetime.fromtimestamp(1000, UTC).isoformat()
    assert due_again(run, Schedule(600), live_at=1000 + 1199)
    assert not due_again(run, Schedule(600), live_at=1000 + 1201)
    assert due_again(run, Schedule(600, catchup=True), live_at=9e9)


def test_airflow_3_makes_the_latest_moment_of_a_clock_again() -> None:
    """A run is named after the moment it is due; what counts from the run before begins anew when it goes live."""
    run = "scheduled__" + datetime.fromtimestamp(1000, UTC).isoformat()
    clock = Schedule(600, clock=True)
    assert due_again(run, clock, live_at=1000 + 599, major=3)
    assert not due_again(run, clock, live_at=1000 + 601, major=3)
    assert not due_again(run, Schedule(600), live_at=1000 + 1, major=3)
    assert due_again(run, Schedule(600, catchup=True), live_at=9e9, major=3)


def test_a_moment_that_airflow_3_may_have_found_before_going_live_is_undecided() -> None:
    run = "scheduled__" + datetime.fromtimestamp(1000, UTC).isoformat()
    clock = Schedule(600, clock=True)
    decided = {live: undecided(run, clock, 1000 + live, major=3) for live in (599, 600, 689, 690)}
    assert decided == {599: False, 600: True, 689: True, 690: False}
    assert not undecided(run, clock, 1600, major=2)
    assert not undecided(run, Schedule(600), 1600, major=3)


def test_what_is_undecided_is_told_from_what_was_in_the_cut() -> None:
    late = "scheduled__" + datetime.fromtimestamp(LIVE - 100, UTC).isoformat()
    effects = [effect("start", "p", dag, late, 1900) for dag in ("every_minute", "every_two_minutes", "known")]
    at_cut = Cut(CUT, {("known", late): "running"}, {}, frozenset(), major=3)
    assert {key[0] for key in undecided_replay(at_cut, effects, LIVE)} == {"every_minute"}


def test_an_attempt_that_began_twice_is_found() -> None:
    twice = [effect("start", "s", "a", "r", 1), effect("start", "s", "a", "r", 2), effect("start", "s", "b", "r", 3)]
    second_try = effect("start", "s", "b", "r", 4, try_number=2)
    assert started_twice([*twice, second_try], "s") == [(("a", "r", "work", -1), 1)]


def test_a_line_cut_off_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    line = {"kind": "start", "region": "p", "dag_id": "a", "run_id": "r", "task_id": "t", "map_index": -1}
    whole = json.dumps({**line, "try_number": 1, "at": 5.0})
    (tmp_path / "p.jsonl").write_text(f"{whole}\n{whole[:20]}")
    (found,) = read_effects(tmp_path)
    assert found.key == ("a", "r", "t", -1)
