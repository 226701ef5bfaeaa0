"""Portable restores across Airflow versions, by way of the database: real schemas, value by value."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import psycopg2
import pytest
from cryptography.fernet import Fernet
from psycopg2 import sql

from continuity.carry import Carrier
from continuity.errors import RestoreRefused
from continuity.ledger import Ledger
from continuity.portable import CONTENT
from continuity.portable_restore import restore_portable
from tests.conftest import chosen_versions
from tests.integration.engine.conftest import BUCKET, Prepared, airflow_bin
from tests.integration.engine.nasty import World
from tests.integration.engine.oracle import ask, everything
from tests.integration.engine.portable_content import Content, ended, read_content, renamed
from tests.integration.engine.worker import Side
from tests.postgres import Cluster, migrate

FIRST = "20260401T000000Z-000000a1"
LATER = "20260402T000000Z-000000a2"
SOURCE = "2.10.3"


@dataclass(frozen=True)
class Place(Side):
    """An environment of one Airflow version, as the engine sees it."""

    @property
    def major(self) -> int:
        return int(self.airflow_version.split(".")[0])

    def content(self) -> Content:
        return read_content(self.dsn, self.fernet_key)

    def restore_portable(self, snapshot_id: str, *, replace: bool = False) -> tuple[Ledger, bool]:
        with self._target() as target:
            return restore_portable(target, self._open(snapshot_id), self.parsed(), replace=replace)

    def parse(self, *dag_ids: str) -> None:
        """Do what Airflow's parser does to the rows of these DAGs: they are there, and their next run is to come."""
        active = "is_active = true" if self.major == 2 else "is_stale = false"
        ask(
            self,
            sql.SQL(
                "UPDATE dag SET {}, last_parsed_time = now() + interval '1 year', next_dagrun = '2100-01-01',"
                " next_dagrun_create_after = '2100-01-02' WHERE dag_id = ANY (%s)"
            ).format(sql.SQL(active)),
            list(dag_ids),
        )
        columns = {"dag_id": "d", "data": "'{}'", "dag_hash": "'x'", "last_updated": "now()"}
        if self.major == 2:
            columns |= {"fileloc": "'x'", "fileloc_hash": "1"}
        else:
            columns |= {"id": "gen_random_uuid()", "created_at": "now()", "dag_version_id": "gen_random_uuid()"}
            version = {"id": "gen_random_uuid()", "version_number": "1", "dag_id": "d", "created_at": "now()"}
            self._insert("dag_version", {**version, "last_updated": "now()"}, dag_ids)
            columns["dag_version_id"] = "(SELECT v.id FROM dag_version v WHERE v.dag_id = d)"
        self._insert("serialized_dag", columns, dag_ids)

    def _insert(self, table: str, values: dict[str, str], dag_ids: tuple[str, ...]) -> None:
        statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM unnest(%s) d").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ".join(values.values()))
        )
        ask(self, statement, list(dag_ids))


@pytest.fixture(scope="package")
def templates(cluster: Cluster) -> Callable[[str], str]:
    """Name of an empty database of a version, made once."""
    made: dict[str, str] = {}

    def template(version: str) -> str:
        if version not in made:
            made[version] = f"portable_{version.replace('.', '_')}"
            migrate(cluster, made[version], airflow_bin(version), Fernet.generate_key().decode())
        return made[version]

    return template


@pytest.fixture(scope="package")
def filled_source(cluster: Cluster, templates: Callable[[str], str]) -> Prepared:
    """The nasty rows, as the oldest version of the chain has them."""
    prepared = Prepared("portable_source", Fernet.generate_key().decode())
    cluster.create(prepared.dbname, template=templates(SOURCE))
    connection = psycopg2.connect(cluster.dsn(prepared.dbname))
    try:
        with connection, connection.cursor() as cursor:
            World(cursor, 1, fernet=Fernet(prepared.fernet_key), prefix="").fill()
    finally:
        connection.close()
    return prepared


@pytest.fixture
def places(
    cluster: Cluster, aws: str, kms_key: str, templates: Callable[[str], str], filled_source: Prepared
) -> Iterator[Callable[..., Place]]:
    """Make an environment of a version; `filled` with the nasty rows (2.10.3 only)."""
    made = []
    environment = f"env-{uuid.uuid4().hex[:8]}"

    def make(version: str, filled: bool = False, **settings: Any) -> Place:
        dbname = f"place_{uuid.uuid4().hex[:12]}"
        cluster.create(dbname, template=filled_source.dbname if filled else templates(version))
        made.append(dbname)
        place = Place(
            dsn=cluster.dsn(dbname),
            fernet_key=filled_source.fernet_key if filled else Fernet.generate_key().decode(),
            bucket=BUCKET,
            kms_key=kms_key,
            environment=environment,
            settings=settings,
            airflow_version=version,
        )
        if not filled and place.major == 3:
            ask(place, "INSERT INTO dag_bundle (name, active) VALUES ('dags-folder', true)")
        return place

    yield make
    for dbname in made:
        cluster.drop(dbname)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A chain over all versions that are chosen."""
    if "chain" in metafunc.fixturenames:
        chosen = chosen_versions(metafunc.config)
        metafunc.parametrize("chain", [(SOURCE, *later(chosen))])


def later(versions: tuple[str, ...]) -> tuple[str, ...]:
    """Those newer than the version that the source is of."""
    return tuple(version for version in versions if version not in ("2.9.2", "2.10.3"))


def prepare_source(place: Place) -> None:
    """What the shared rows lack: a role of Airflow 2 words, and a last run that was at work."""
    ask(place, "INSERT INTO ab_view_menu (name) VALUES ('Datasets')")
    ask(
        place,
        "INSERT INTO ab_permission_view (permission_id, view_menu_id)"
        " SELECT min(p.id), max(v.id) FROM ab_permission p, ab_view_menu v",
    )
    ask(
        place,
        "INSERT INTO ab_permission_view_role (permission_view_id, role_id)"
        " SELECT max(v.id), min(r.id) FROM ab_permission_view v, ab_role r",
    )


def test_all_that_is_portable_comes_over_from_version_to_version(
    places: Callable[..., Place], chain: tuple[str, ...]
) -> None:
    """Failure covered: an import of another version's export loses descriptions, turns NULL into '', garbles extras,
    and re-runs what ran, because the last run of a schedule is not known."""
    source = places(chain[0], filled=True)
    prepare_source(source)
    expected = source.content()
    expected.last_instances = ended(expected.last_instances)
    assert len(expected.last_instances) > len(expected.last_runs)
    for number, (before, version) in enumerate(pairwise(chain)):
        snapshot_id = f"2026040{number + 1}T000000Z-000000a1"
        source.snapshot(snapshot_id)
        place = places(version)
        ledger, already = place.restore_portable(snapshot_id)
        assert not already
        assert ledger.mode == "portable"
        waiting = place.content()
        assert set(waiting.paused.values()) == {True}
        place.parse(*(set(expected.paused) - set(ledger.inactive)))
        outcome = place.go_live(snapshot_id)
        assert outcome.missing_dags == []
        if version.startswith("3.") and before.startswith("2."):
            expected.permissions = renamed(expected.permissions)
        lost = [line for line in ledger.left_out if line.startswith("variable ")]
        no_value = [key for key, (_, value) in expected.variables.items() if value is None]
        if version == "3.3.1":
            assert lost == [f"variable {key!r}: it lacks a value that it must have here" for key in no_value]
            expected.variables = {key: row for key, row in expected.variables.items() if key not in no_value}
        else:
            assert lost == []
        found = place.content()
        assert found == replace(expected, paused=found.paused)
        assert {dag: flag for dag, flag in found.paused.items() if dag not in ledger.inactive} == {
            dag: flag for dag, flag in expected.paused.items() if dag not in ledger.inactive
        }
        expected.paused = found.paused
        assert ask(place, "SELECT count(*) FROM dag_run WHERE state NOT IN ('success', 'failed')") == [(0,)]
        assert ask(place, "SELECT count(*) FROM task_instance") == [(len(expected.last_instances),)]
        source = place


@pytest.fixture
def pair(places: Callable[..., Place]) -> tuple[Place, Place]:
    """A filled 2.10.3 with a snapshot, and an empty 3.3.1."""
    source = places(SOURCE, filled=True)
    source.snapshot(FIRST)
    return source, places("3.3.1")


def test_a_full_restore_of_another_version_is_refused_with_what_to_do(pair: tuple[Place, Place]) -> None:
    _, target = pair
    before = everything(target)
    with pytest.raises(RestoreRefused, match=r'would lose: .*dag_run.*To go without that, restore with "mode"'):
        target.restore_state(FIRST)
    assert everything(target) == before


def test_what_is_left_out_is_said_before_anything_is_written(
    pair: tuple[Place, Place], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = pair
    before = everything(target)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Carrier, "carry", stop)
        with pytest.raises(KeyboardInterrupt):
            target.restore_portable(FIRST)
    said = [record.args[1] for record in caplog.records if "left out" in record.message]  # type: ignore[index]
    assert everything(target) == before
    ledger, _ = target.restore_portable(FIRST)
    assert ledger.left_out == said
    manifest = source.store.read_json(FIRST, "manifest.json")
    for table in manifest["tables"]:
        if table["rows"] and table["name"] not in CONTENT:
            assert f"table {table['name']} ({table['rows']} rows)" in said
    for dag_id, run_id, task_id, _, state in manifest["in_flight"]:
        assert any(f"{dag_id} {run_id} {task_id}" in line and f"({state})" in line for line in said)
    unfinished = "SELECT dag_id, run_id FROM dag_run WHERE state NOT IN ('success', 'failed') AND dag_id NOT LIKE %s"
    for dag_id, run_id in ask(source, unfinished, "continuity%"):
        assert any(f"unfinished run {dag_id} {run_id}" in line for line in said)
    for name, which in (("dag_run", "the last run"), ("task_instance", "those of the last run")):
        kept = ask(target, f"SELECT count(*) FROM {name}")[0][0]  # noqa: S608  (one of two names)
        (total,) = (table["rows"] for table in manifest["tables"] if table["name"] == name)
        assert f"table {name} ({total - kept} rows): all but {which} of each schedule" in said


def test_a_second_restore_changes_nothing_and_another_mode_is_refused(pair: tuple[Place, Place]) -> None:
    _, target = pair
    first, already = target.restore_portable(FIRST)
    assert not already
    assert target.restore_history(FIRST) == 0
    after = everything(target)
    second, already = target.restore_portable(FIRST)
    assert already
    assert second == first
    assert everything(target) == after
    with pytest.raises(RestoreRefused, match="in portable mode already, so it cannot be in full mode"):
        target.restore_state(FIRST)


@pytest.mark.parametrize("version", [SOURCE, "3.3.1"])
def test_what_never_went_live_gives_way_to_what_is_portable(places: Callable[..., Place], version: str) -> None:
    """Failure covered: what the snapshot before had beyond it stays: variables, runs and all that hangs on them."""
    source = places(SOURCE, filled=True)
    source.snapshot(FIRST)
    target, new = places(version), places(version)
    if version == SOURCE:
        target.restore_state(FIRST)
        target.restore_history(FIRST)
        with pytest.raises(RestoreRefused, match=r'so it cannot be in portable mode: .* with "replace": true'):
            target.restore_portable(FIRST)
        assert target.restore_portable(FIRST, replace=True)[0].replaced
    else:
        target.restore_portable(FIRST)
    ask(source, "DELETE FROM variable WHERE key LIKE 'var 1%%'")
    ask(source, "DELETE FROM slot_pool WHERE pool <> 'default_pool'")
    ask(source, "DELETE FROM dag_run WHERE dag_id = 'dag_2'")
    source.snapshot(LATER)
    ledger, already = target.restore_portable(LATER)
    assert (ledger.replaced, already) == (True, False)
    assert new.restore_portable(LATER)[0].left_out == ledger.left_out
    assert target.content() == new.content()
    counts = [{name: len(rows) for name, rows in everything(place).items()} for place in (target, new)]
    stays = {"log_template": counts[0]["log_template"], "dag_bundle": counts[0].get("dag_bundle")}
    assert counts[0] == counts[1] | {name: count for name, count in stays.items() if count is not None}


def test_runs_of_its_own_are_not_overwritten(pair: tuple[Place, Place]) -> None:
    source, target = pair
    (dag_id, run_id, date) = next((dag, *row[:1], row[2]) for dag, row in source.content().last_runs.items())
    ask(
        target,
        "INSERT INTO dag_run (dag_id, run_id, run_type, logical_date, run_after) VALUES (%s, 'own', 'manual', %s, %s)",
        *(dag_id, date, date),
    )
    before = everything(target)
    with pytest.raises(RestoreRefused, match=f"DAG runs of its own .*{dag_id} own"):
        target.restore_portable(FIRST)
    assert everything(target) == before
    assert run_id


def test_what_belongs_to_a_region_keeps_the_targets_value(places: Callable[..., Place]) -> None:
    source = places(SOURCE, filled=True)
    source.snapshot(FIRST)
    target = places("3.3.1", local_variables=["region_*"], local_connections=["region_*"])
    ask(target, "INSERT INTO variable (key, val, is_encrypted) VALUES ('region_bucket', 'own', false)")
    target.restore_portable(FIRST)
    found = target.content()
    assert found.variables["region_bucket"] == (None, "own")
    assert found.connections["region_db"] == source.content().connections["region_db"]


@pytest.mark.parametrize(("restore", "version"), [(Place.restore_portable, "3.3.1"), (Place.restore_state, SOURCE)])
def test_no_pool_is_locked_before_all_else_is_carried(
    places: Callable[..., Place], monkeypatch: pytest.MonkeyPatch, restore: Callable[..., Any], version: str
) -> None:
    """Failure covered: the scheduler queues nothing, neither beat nor guard, while the row of a pool is locked."""
    places(SOURCE, filled=True).snapshot(FIRST)
    target = places(version)
    carried: list[str] = []
    carry = Carrier.carry

    def watched(carrier: Carrier, entry: Any, *others: Any) -> int:
        carried.append(entry.name)
        assert ask(target, "SELECT pool FROM slot_pool FOR UPDATE NOWAIT")
        return carry(carrier, entry, *others)

    monkeypatch.setattr(Carrier, "carry", watched)
    restore(target, FIRST)
    assert carried[-1] == "slot_pool"
    assert "dag_run" in carried
