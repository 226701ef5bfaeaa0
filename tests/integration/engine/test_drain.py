"""An environment that is put away is drained, and comes back as it was: on real PostgreSQL, run by the real Airflow."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from continuity import drain as drains
from continuity import pausing
from continuity.drain import Drained, InDatabase, Undrained
from continuity.errors import RecordUnreadable, StillExecuting
from continuity.settings import DrainConf
from tests.integration.engine.dag_runs import REGION, Environment
from tests.integration.engine.oracle import ask, cursor_on, everything, pretend_parsed, read
from tests.integration.engine.test_guard import OTHER, add_dag, lease, unpaused
from tests.integration.engine.worker import Side
from tests.waiting import until

SNAPSHOT = "20260401T000000Z-00000030"
EXECUTING = """SELECT dag_id, run_id, task_id, map_index, state FROM task_instance
    WHERE state IN ('running', 'queued', 'restarting') AND NOT starts_with(dag_id, 'continuity_') ORDER BY 1, 2, 3, 4"""
UNDRAIN: tuple[str, dict[str, Any]] = ("continuity_undrain", {})


def drain_run(**conf: Any) -> tuple[str, dict[str, Any]]:
    return ("continuity_drain", {"minutes": 0, "when_late": "snapshot", **conf})


def flags(side: Side) -> list[tuple[Any, ...]]:
    return ask(side, "SELECT dag_id, is_paused FROM dag WHERE NOT starts_with(dag_id, 'continuity_') ORDER BY 1")


def record(side: Side) -> dict[str, Any] | None:
    rows = ask(side, "SELECT val FROM variable WHERE key = 'continuity_drain' AND NOT is_encrypted")
    return dict(json.loads(rows[0][0])) if rows else None


def executing(side: Side) -> list[list[Any]]:
    return [list(row) for row in ask(side, EXECUTING)]


def end_all(side: Side) -> None:
    ask(side, "UPDATE task_instance SET state = 'success' WHERE state IN ('running', 'queued', 'restarting')")


@pytest.fixture
def side(sides: Callable[..., Side]) -> Iterator[Side]:
    filled = sides("source")
    assert unpaused(filled)
    assert executing(filled)
    return filled


@dataclass(frozen=True)
class Watched(InDatabase):
    """Does something after each look, until there is nothing more to do."""

    meanwhile: list[Callable[[], Any]] = field(default_factory=list)

    def executing(self) -> list[list[Any]]:
        found = super().executing()
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return found


def drain(side: Side, *meanwhile: Callable[[], Any], minutes: int = 0, when_late: str = "snapshot") -> Drained:
    with side.connection() as connection:
        return drains.drain(
            Watched(connection, meanwhile=list(meanwhile)), DrainConf(minutes, when_late), poll_seconds=0.01
        )


def undrain(side: Side) -> Undrained:
    with side.connection() as connection:
        return InDatabase(connection).put_back()


@pytest.mark.usefixtures("lease_table")
def test_what_is_drained_comes_back_exactly(side: Side, tmp_path: Path) -> None:
    """Failure covered: DAGs left disabled, because the flags were changed one by one and the record was lost."""
    add_dag(side, "continuity_x")
    before, running = flags(side), executing(side)
    environment = Environment(side, tmp_path)

    (drained,) = environment.run(drain_run())
    names = [dag_id for dag_id, paused in before if not paused]
    assert drained["state"] == "success"
    assert drained["returned"]["drain"] == {"paused": len(names), "executing": running[:50]}
    assert unpaused(side) == []
    assert ask(side, "SELECT is_paused FROM dag WHERE dag_id = 'continuity_x'") == [(False,)]
    assert (record(side) or {})["paused"] == names

    undrained, again = environment.run(UNDRAIN, UNDRAIN)
    assert undrained["returned"]["undrain"] == {"unpaused": len(names), "missing_dags": []}
    assert again["returned"]["undrain"] == {"unpaused": 0, "missing_dags": []}
    assert flags(side) == before
    assert record(side) is None


@pytest.mark.usually_once
@pytest.mark.usefixtures("lease_table")
def test_called_off_it_leaves_no_trace_and_names_what_executes(side: Side, tmp_path: Path) -> None:
    before = flags(side)
    environment = Environment(side, tmp_path)
    (failed,) = environment.run(drain_run(when_late="cancel"))
    assert failed["state"] == "failed"
    dag_id, run_id, task_id, _, _ = executing(side)[0]
    assert f"after 0 minutes {len(executing(side))} task instances executed" in environment.log
    assert f"{dag_id} {run_id} {task_id}" in environment.log
    assert flags(side) == before
    assert record(side) is None


@pytest.mark.usually_once
def test_it_waits_and_pauses_what_comes_up_meanwhile(side: Side) -> None:
    """Failure covered: a DAG that appears, or that somebody unpauses, starts new work while the old is waited for."""
    before = unpaused(side)
    was_paused = next(dag_id for dag_id, paused in flags(side) if paused)
    both = sorted([*before, "appeared", was_paused])

    def come_up() -> None:
        assert unpaused(side) == []
        add_dag(side, "appeared")
        ask(side, "UPDATE dag SET is_paused = false WHERE dag_id = ANY (%s)", [was_paused, before[0]])

    done = drain(side, come_up, lambda: end_all(side), minutes=5, when_late="cancel")
    assert done == Drained(len(both))
    assert unpaused(side) == []
    assert (record(side) or {})["paused"] == both
    assert undrain(side) == Undrained(len(both), [])
    assert unpaused(side) == both


def test_what_waits_for_the_scheduler_is_not_waited_for(side: Side) -> None:
    """Failure covered: a drain that waits for what a paused DAG never starts ends in no night."""
    end_all(side)
    query = (
        "SELECT DISTINCT state FROM task_instance WHERE NOT starts_with(dag_id, 'continuity_') AND state IS NOT NULL"
    )
    there = {state for (state,) in ask(side, query)}
    assert {"scheduled", "deferred", "up_for_retry", "up_for_reschedule"} <= there
    state = {table: rows for table, rows in everything(side).items() if table not in ("dag", "variable")}
    assert drain(side, when_late="cancel").executing == []
    assert {table: rows for table, rows in everything(side).items() if table not in ("dag", "variable")} == state


def test_whatever_a_scheduler_was_about_to_queue_is_seen(side: Side) -> None:
    """Failure covered: the scheduler has read the flags before they changed, and queues when nobody looks any more."""
    end_all(side)
    done: list[Drained] = []
    with cursor_on(side) as scheduler:
        scheduler.execute("SELECT 1 FROM slot_pool FOR UPDATE NOWAIT")
        scheduler.execute(
            "UPDATE task_instance SET state = 'queued' WHERE ctid = (SELECT ctid FROM task_instance WHERE state ="
            " 'scheduled' AND NOT starts_with(dag_id, 'continuity_') LIMIT 1) RETURNING task_id"
        )
        assert scheduler.rowcount == 1
        waiting = threading.Thread(target=lambda: done.append(drain(side)))
        waiting.start()
        until("the drain waits", lambda: unpaused(side) == [] and blocked(side), 120)
    waiting.join()
    assert [[state for *_, state in drained.executing] for drained in done] == [["queued"]]


def blocked(side: Side) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return ask(side, query) != [(0,)]


@pytest.mark.usually_once
def test_a_row_that_is_held_for_long_is_no_reason_to_give_up(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pausing.LIMITS, "lock_timeout", "20ms")
    monkeypatch.setattr(drains, "ATTEMPTS", 3)
    warnings: list[str] = []
    holding = threading.Event()
    with side.connection() as busy, busy.cursor() as cursor:
        cursor.execute("SELECT 1 FROM dag FOR UPDATE")

        def warn(_: str, why: str) -> None:
            warnings.append(why)
            if len(warnings) == 2:
                busy.rollback()
                holding.set()

        monkeypatch.setattr(drains.log, "warning", lambda message, *args: warn(message, str(args[0])))
        drain(side)
        assert holding.is_set()
        assert "lock timeout" in warnings[0]
    assert unpaused(side) == []


@pytest.mark.usually_once
def test_an_earlier_attempt_is_never_forgotten(side: Side) -> None:
    """Failure covered: the second attempt finds every DAG paused, and takes that for what they were."""
    before = flags(side)
    add_dag(side, "gone")
    names = unpaused(side)
    drain(side)
    first = record(side)
    assert drain(side).paused == len(names)
    assert record(side) == first
    ask(side, "DELETE FROM dag WHERE dag_id = 'gone'")
    ask(side, "UPDATE dag SET is_paused = false WHERE dag_id = %s", next(name for name in names if name != "gone"))
    assert undrain(side) == Undrained(len(names) - 1, ["gone"])
    assert flags(side) == before


@pytest.mark.usually_once
def test_at_the_same_time_they_record_everything_once(side: Side) -> None:
    names = unpaused(side)
    drains_ = [threading.Thread(target=drain, args=(side,)) for _ in range(4)]
    for thread in drains_:
        thread.start()
    for thread in drains_:
        thread.join()
    assert (record(side) or {})["paused"] == names


@pytest.mark.usually_once
@pytest.mark.parametrize("order", [drain_run(), UNDRAIN], ids=["drain", "undrain"])
def test_another_regions_lease_refuses_both(
    side: Side, tmp_path: Path, *, lease_table: str, order: tuple[str, dict[str, Any]]
) -> None:
    """Failure covered: what a fenced Region unpauses runs twice."""
    drain(side)
    lease(lease_table, OTHER, 2)
    before, kept = flags(side), record(side)
    environment = Environment(side, tmp_path)
    (failed,) = environment.run(order)
    assert failed["state"] == "failed"
    assert f"{OTHER} holds the lease (token 2), not {REGION}" in environment.log
    assert (flags(side), record(side)) == (before, kept)


@pytest.mark.usually_once
@pytest.mark.parametrize("value", ["no JSON", "[]", '{"drained_at": "x"}', '{"drained_at": "x", "paused": [1]}'])
def test_a_record_that_nobody_can_read_stops_everything(side: Side, value: str) -> None:
    """Failure covered: the only thing that knows the flags is replaced by one that says every DAG was paused."""
    ask(side, "INSERT INTO variable (key, val, is_encrypted) VALUES ('continuity_drain', %s, false)", value)
    state = everything(side)
    acts: list[Callable[[], object]] = [lambda: drain(side), lambda: undrain(side), lambda: side.snapshot(SNAPSHOT)]
    for act in acts:
        with pytest.raises(RecordUnreadable, match="variable continuity_drain is no record of a drain"):
            act()
    assert everything(side) == state
    assert side.store.read_if_present(SNAPSHOT, "manifest.json") is None


def test_a_snapshot_of_what_is_drained_says_what_the_flags_were(sides: Callable[..., Side], side: Side) -> None:
    """Failure covered: every DAG was paused for the night, and stays so for good."""
    before = dict(flags(side))
    drain(side)
    manifest = side.snapshot(SNAPSHOT)
    assert manifest.paused == before
    target = sides("empty", environment=side.environment)
    target.restore_state(SNAPSHOT)
    pretend_parsed(target, read(side))
    target.go_live(SNAPSHOT)
    assert {dag_id: flag for dag_id, flag in flags(target) if flag is not before[dag_id]} == {}
    assert record(target) is None
    assert undrain(target) == Undrained(0, [])


@pytest.mark.usually_once
def test_what_still_executes_is_named_up_to_a_number(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drains, "NAMED", 1)
    running = executing(side)
    assert len(running) > 1
    assert drain(side).executing == running[:1]
    with pytest.raises(StillExecuting, match=f"and {len(running) - 1} more$"):
        drain(side, when_late="cancel")


@pytest.mark.usually_once
@pytest.mark.usefixtures("lease_table")
def test_bad_input_is_told_before_anything_is_touched(side: Side, tmp_path: Path) -> None:
    before = flags(side)
    environment = Environment(side, tmp_path)
    failed = environment.run(
        drain_run(minutes="30"), drain_run(when_late="wait"), ("continuity_undrain", {"all": True})
    )
    assert [run["state"] for run in failed] == ["failed"] * 3
    for told in (
        "conf.minutes: '30' is no number of minutes; accepted: a whole number from 0 to 1440",
        "conf.when_late: 'wait' is unknown; accepted: 'cancel' or 'snapshot'",
        "conf.all: unknown field; accepted: request_id",
    ):
        assert told in environment.log
    assert flags(side) == before
