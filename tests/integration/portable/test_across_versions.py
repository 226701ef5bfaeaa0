"""A full snapshot of a real Airflow, restored in portable mode into one of another version, whose scheduler goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import chosen_versions
from tests.integration.local_mwaa.conftest import surround
from tests.integration.portable.home import Home
from tests.local_aws.fixtures import start_stand_in
from tests.waiting import until

SNAPSHOT = "20260401T000000Z-000000b2"
#: From which version into which.
JOURNEYS = (("2.10.3", "3.3.1"), ("2.10.3", "2.11.2"), ("2.11.2", "3.3.1"))
#: DAG -> seconds from one run to the next; those in CATCH_UP have every run since their start.
PERIODS = {"across_catchup": 60, "across_cron": 60, "across_delta": 20, "across_delta_catchup": 60, "across_past": 120}
CATCH_UP = ("across_catchup", "across_delta_catchup", "across_past")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Those of the journeys that lead from a chosen version to a chosen version."""
    if "journey" in metafunc.fixturenames:
        chosen = set(chosen_versions(metafunc.config))
        metafunc.parametrize("journey", [found for found in JOURNEYS if chosen.issuperset(found)], ids=" to ".join)


@pytest.fixture
def home(journey: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    stand_in = start_stand_in(tmp_path_factory.mktemp("across"))
    try:
        yield Home.make(surround(stand_in, journey[0]))
    finally:
        stand_in.stop()


def due_column(home: Home) -> str:
    """Where a run says when it was due. Before Airflow 3 that was the end of its interval."""
    return "data_interval_end" if home.major == 2 else "run_after"


def due(home: Home) -> dict[str, list[datetime]]:
    """When the scheduled runs of each DAG were due, in order."""
    found: dict[str, list[datetime]] = {}
    statement = (
        f"SELECT dag_id, {due_column(home)} FROM dag_run"  # noqa: S608
        " WHERE run_type = 'scheduled' AND dag_id LIKE 'across%%' ORDER BY 2"
    )
    for dag_id, at in home.ask(statement):
        found.setdefault(dag_id, []).append(at)
    return found


def gone_on(home: Home, restored: dict[str, list[datetime]]) -> set[str]:
    """DAGs of which a run went well that was not restored."""
    found = home.ask(
        f"SELECT dag_id, {due_column(home)} FROM dag_run r JOIN task_instance t USING (dag_id, run_id)"  # noqa: S608
        " WHERE r.run_type = 'scheduled' AND r.state = 'success' AND t.state = 'success'"
    )
    return {dag_id for dag_id, at in found if at not in restored.get(dag_id, [at])}


def at_rest(home: Home) -> bool:
    """Whether what depends on its past has a past that went well, and no other for the next minute."""
    states = home.ask("SELECT DISTINCT state FROM dag_run WHERE dag_id = 'across_past'")
    last = max(due(home).get("across_past", [datetime.min.replace(tzinfo=UTC)]))
    soon = datetime.now(UTC) + timedelta(minutes=1)
    return states == [("success",)] and last <= soon < last + timedelta(seconds=PERIODS["across_past"])


def test_nothing_runs_twice(home: Home, journey: tuple[str, str], tmp_path: Path) -> None:
    """Failure covered: only the `dag` row is carried, and everything runs again; the latest run is carried, and older
    intervals run again because the DAG is unpaused at its first parse; the next run waits for ever for a task instance
    of the last one, which is not there."""
    source, target = journey
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=8)
    workload = tmp_path / "across.py"
    template = Path(__file__).with_name("workload") / "across.template"
    workload.write_text(template.read_text().replace("START", repr(start.isoformat())))
    home.put_dags(workload)
    home.create(source)
    home.set_paused(dict.fromkeys(PERIODS, False))
    until("runs of every schedule", lambda: len(due(home)) == len(PERIODS) and len(due(home)[CATCH_UP[0]]) >= 8, 300)
    until("a past that went well", lambda: at_rest(home), 300)
    state, told = home.run("continuity_snapshot", "take", snapshot_id=SNAPSHOT)
    assert (state, told["verify"]["mode"]) == ("success", "full"), home.log_of("take")
    before = due(home)
    home.lose()

    home.put_dags()
    home.create(target)
    state, told = home.run("continuity_restore", "restore", snapshot_id=SNAPSHOT, mode="portable")
    assert state == "success", home.log_of("restore")
    restored = due(home)
    home.put_dags(workload)
    state, told = home.run("continuity_go_live", "live", snapshot_id=SNAPSHOT, parse_deadline_seconds=240)
    assert state == "success", home.log_of("live")
    assert told["go_live"] == {
        "snapshot_id": SNAPSHOT,
        "unpaused": len(PERIODS),
        "missing_dags": [],
        "skipped_runs": 0,
        "skipped": [],
        "not_skipped": [],
    }
    until("the next runs", lambda: gone_on(home, restored) == PERIODS.keys(), 300)
    for dag_id, runs in due(home).items():
        (last,) = restored[dag_id]
        assert last in before[dag_id]
        assert runs[0] == last
        assert len(set(runs)) == len(runs)
        steps = {(later - earlier).total_seconds() for earlier, later in pairwise(runs)}
        if dag_id in CATCH_UP:
            assert steps == {PERIODS[dag_id]}
        else:  # without catch-up a timedelta counts from when the scheduler takes it up again
            assert all(step >= PERIODS[dag_id] for step in steps), (dag_id, runs)
