"""Snapshot and restore by tasks of a real Airflow 3 that have no way to the database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import chosen_versions
from tests.integration.engine.portable_content import Content
from tests.integration.local_mwaa.conftest import NAME, surround
from tests.integration.portable.home import Home
from tests.local_aws.fixtures import start_stand_in
from tests.waiting import until

SNAPSHOT = "20260401T000000Z-000000b1"
NASTY = ["", " ", "plain", "CR LF\r\n and tab\t", 'quote " and \\N and \\', "☃ 𐍈 ü", "null", "true", "0", '{"a": [1]}']
SECRET = "planted-secret-7f3a"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Airflow 2 gives every task its database."""
    if "home" in metafunc.fixturenames:
        versions = [version for version in chosen_versions(metafunc.config) if version.startswith("3.")]
        metafunc.parametrize("home", versions, indirect=True, scope="module")


@pytest.fixture(scope="module")
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    stand_in = start_stand_in(tmp_path_factory.mktemp("portable"))
    try:
        yield Home.make(surround(stand_in, request.param))
    finally:
        stand_in.stop()


def fill(home: Home) -> None:
    """Connections and variables with values that are easily garbled, written as Airflow writes them."""
    seal = home.fernet.encrypt
    for number, text in enumerate(NASTY):
        extra = json.dumps({"nested": {"text": text}, "secret": f"{SECRET}-extra-{number}"})
        home.ask(
            "INSERT INTO connection (conn_id, conn_type, description, host, schema, login, password, port,"
            " is_encrypted, is_extra_encrypted, extra) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, true, true, %s)",
            *(f"conn.{number}", "generic", text, text, text, text),
            *(seal(f"{SECRET}-{number}{text}".encode()).decode(), number, seal(extra.encode()).decode()),
        )
        home.ask(
            "INSERT INTO variable (key, val, description, is_encrypted) VALUES (%s, %s, %s, true)",
            *(f"var {number} {text}", seal(text.encode()).decode(), text or None),
        )
    home.ask(
        "INSERT INTO connection (conn_id, conn_type, is_encrypted, is_extra_encrypted)"
        " VALUES ('bare', 'http', false, false)"
    )
    home.ask(
        "INSERT INTO variable (key, val, is_encrypted) VALUES ('api_password', %s, true), ('clear', 'text', false)",
        seal(f"{SECRET}-variable".encode()).decode(),
    )
    home.ask(
        "INSERT INTO slot_pool (pool, slots, description, include_deferred) VALUES ('few', 3, 'ü', true),"
        " ('endless', -1, NULL, false)"
    )


FLAGS = {"portable_catchup": False, "portable_no_catchup": False, "portable_manual": False, "portable_paused": True}


def take_snapshot(home: Home, *workload: Path) -> Content:
    """Fill an environment, take a snapshot of it while it is drained, and look whether that is sealed; what the
    environment holds."""
    home.put_dags(*workload, withhold=True)
    home.create(home.surroundings.version)
    fill(home)
    home.set_paused(FLAGS)
    until("runs", lambda: len(last_runs(home)) == 2, 300)
    for request in ("drain", "again"):
        state, told = home.run("continuity_drain", request, minutes=30, when_late="cancel")
        assert (state, told.get("drain")) == ("success", {"paused": 3, "executing": []}), home.log_of(request)
    assert {home.content().paused[name] for name in FLAGS} == {True}
    state, told = home.run("continuity_snapshot", "take", snapshot_id=SNAPSHOT)
    assert state == "success", home.log_of("take")
    assert told["verify"]["mode"] == "portable"
    stored = home.stored()
    manifest = json.loads(stored[f"snapshots/{NAME}/{SNAPSHOT}/manifest.json"])
    assert manifest["mode"] == "portable"
    assert manifest["paused"] == FLAGS
    assert "the metadata database cannot be reached from a task" in manifest["skipped"][0]["why"]
    assert not json.loads(stored[f"snapshots/{NAME}/{SNAPSHOT}/verification.json"])["faults"]
    assert [where for where, text in stored.items() if SECRET.encode() in text] == []
    assert SECRET not in home.logs() + json.dumps(told)
    for request, unpaused in (("undrain", 3), ("undrain-again", 0)):
        state, told = home.run("continuity_undrain", request)
        assert (state, told.get("undrain")) == ("success", {"unpaused": unpaused, "missing_dags": []})
    assert {name: flag for name, flag in home.content().paused.items() if name in FLAGS} == FLAGS
    return home.content()


def test_it_goes_over_by_sdk_and_rest(home: Home) -> None:
    """Failure covered: export over REST writes `***` over passwords; a scheduled run cannot be recreated, so that a
    catch-up runs everything again."""
    workload = sorted(Path(__file__).with_name("workload").glob("*.py"))
    source = take_snapshot(home, *workload)
    home.lose()
    home.put_dags(withhold=True)
    home.create(home.surroundings.version)
    state, _ = home.run("continuity_restore", "full", snapshot_id=SNAPSHOT)
    assert state == "failed"
    assert '"mode": "portable"' in home.logs().replace('\\"', '"')
    state, told = home.run("continuity_restore", "restore", snapshot_id=SNAPSHOT, mode="portable")
    assert state == "success", home.log_of("restore")
    assert told["state"]["mode"] == "portable"
    left_out = told["state"]["left_out"]
    assert any(line.startswith("users and roles: ") for line in left_out)
    again, told_again = home.run("continuity_restore", "again", snapshot_id=SNAPSHOT, mode="portable")
    assert (again, told_again["state"]["already"]) == ("success", True)
    found = home.content()
    unreadable = [key for key in source.variables if re.search(r"[\r\n\t\\\"{]|☃", key)]
    assert unreadable
    for key in unreadable:
        assert f"variable {key!r}: no task can read it" in left_out
    assert found.variables == {key: row for key, row in source.variables.items() if key not in unreadable}
    assert found.connections == source.connections
    hidden = {"endless"} if before_3_3(home) else set()
    assert found.pools == {name: row for name, row in source.pools.items() if name not in hidden}
    assert len([line for line in left_out if line.startswith("pool number ")]) == len(hidden)

    home.put_dags(*workload, withhold=True)
    state, told = home.run("continuity_go_live", "live", snapshot_id=SNAPSHOT, parse_deadline_seconds=240)
    assert state == "success", home.log_of("live")
    assert told["go_live"]["would_repeat"] == ["portable_catchup"]
    assert told["go_live"]["missing_dags"] == ["portable_catchup"]
    assert_it_goes_on_so_with_the_database(home, *workload)
    paused = home.content().paused
    assert {dag_id: flag for dag_id, flag in paused.items() if dag_id.startswith("portable")} == {
        "portable_catchup": True,
        "portable_no_catchup": False,
        "portable_manual": False,
        "portable_paused": True,
    }
    assert SECRET not in home.logs()
    assert any(line.startswith("secrecy: ") for line in left_out) is before_3_3(home)
    leaking = [table for table, rows in home.unsealed_rows().items() if SECRET in rows]
    assert leaking == (["log"] if before_3_3(home) else []), "Airflow's own audit log, and nothing of ours"


def assert_it_goes_on_so_with_the_database(home: Home, *workload: Path) -> None:
    """Failure covered: the database is back, knows of no last run, and the catch-up is unpaused."""
    home.put_dags(*workload)
    home.wait_until_given()
    state, told = home.run("continuity_go_live", "later", snapshot_id=SNAPSHOT, parse_deadline_seconds=240)
    assert state == "success", home.log_of("later")
    assert "the metadata database cannot be reached" not in home.log_of("later")
    assert told["go_live"]["would_repeat"] == ["portable_catchup"]


def before_3_3(home: Home) -> bool:
    """Whether this Airflow fails to show pools with endless slots, and to keep secrets out of its audit log."""
    return home.surroundings.version < "3.3"


def last_runs(home: Home) -> list[tuple[object, ...]]:
    return home.ask(
        "SELECT dag_id, max(run_after) FROM dag_run WHERE run_type = 'scheduled' AND dag_id LIKE 'portable%%'"
        " GROUP BY 1 HAVING bool_and(state = 'success')"
    )
