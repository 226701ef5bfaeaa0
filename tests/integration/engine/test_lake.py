"""The metadata lake: every row once, as it is, however often it is exported; queries that say what databases say."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from continuity import lake, prune
from continuity.catalog import read_catalog
from continuity.errors import ExportRefused
from continuity.lake import Outcome
from continuity.lake_store import LakeStore
from continuity.lake_tables import lake_tables
from continuity.policy import make_plan
from tests.integration.engine import lake_history
from tests.integration.engine.athena import Athena
from tests.integration.engine.conftest import BUCKET
from tests.integration.engine.dag_runs import Environment
from tests.integration.engine.oracle import add, ask, cursor_on, dated
from tests.integration.engine.rows import Rows
from tests.integration.engine.worker import Side
from tests.tools.lake_module import lake_module

Make = Callable[..., Side]
OWN = ("row_key", "run_date", "region", "version")
#: Tables of the lake that are rows of the database.
OF_ROWS = [name for name in lake_tables() if name != "table_size"]


@pytest.fixture
def prefix() -> str:
    return f"lake-{uuid.uuid4().hex[:8]}/"


def store_of(side: Side, prefix: str) -> LakeStore:
    return LakeStore(side.client("s3"), BUCKET, prefix, side.environment)


def exported(side: Side, prefix: str, *, full: bool = False) -> Outcome:
    with side.connection() as connection:
        return lake.export(connection, store_of(side, prefix), side.parsed(), full=full)


def athena_of(side: Side, prefix: str, folder: Path) -> Athena:
    return Athena(lake_module(), side.client("s3"), BUCKET, prefix, folder)


def assert_holds(athena: Athena, side: Side) -> None:
    """The tables hold each row of the database once, value for value."""
    for name in OF_ROWS:
        columns = [column.name for column in lake_tables()[name].columns]
        named = ", ".join(columns)
        found = athena.run(f"SELECT {named} FROM {name} WHERE environment = '{side.environment}'")  # noqa: S608
        expected = lake_history.rows_of(side, name, columns)
        assert sorted(map(repr, found)) == sorted(set(map(repr, expected))), name


def everything(athena: Athena) -> dict[str, list[str]]:
    """Every row of the tables but for the number of the export that brought it."""
    return {name: sorted(map(repr, athena.rows(f"SELECT * FROM {name}"))) for name in lake_tables()}  # noqa: S608


def test_each_row_comes_once_and_as_it_is(sides: Make, prefix: str, tmp_path: Path) -> None:
    """Failure covered: 30-day windows exported daily overlap: each run is counted up to 30 times; no environment
    column; CSV newlines break the query engine; column order undefined against a positional table."""
    source = sides("source")
    first = exported(source, prefix)
    assert first.by == "nothing"
    athena = athena_of(source, prefix, tmp_path)
    athena.merge()
    assert_holds(athena, source)
    assert first.mark.rows["dag_run"] == len(lake_history.rows_of(source, "dag_run", ["run_id"]))
    assert athena.run("SELECT count(*) FROM dag_run WHERE starts_with(dag_id, 'continuity_')") == [(0,)]
    before = everything(athena)
    again = exported(source, prefix)
    assert again.by == "transactions"
    assert [name for name, rows in again.mark.rows.items() if rows] == ["table_size"]
    athena.merge()
    assert everything(athena) == before | {"table_size": everything(athena)["table_size"]}
    exported(source, prefix, full=True)
    athena.merge()
    assert_holds(athena, source)
    with cursor_on(source) as cursor:
        cursor.execute("UPDATE task_instance SET state = 'removed', hostname = E'two\\nlines' WHERE map_index = -1")
        changed = cursor.rowcount
        rows = Rows(cursor, seed=5)
        rows.insert("dag_run", dag_id="new", run_id="r", run_type="manual", state="success", **dated(datetime.now(UTC)))
    third = exported(source, prefix)
    assert (third.mark.rows["dag_run"], third.mark.rows["log"]) == (1, 0)
    assert 0 < third.mark.rows["task_instance"] <= changed
    athena.merge()
    assert_holds(athena, source)


def test_files_are_what_the_catalogue_says(sides: Make, prefix: str, tmp_path: Path) -> None:
    """Each line is a row with the columns of the catalogue, in order, and its values have their types."""
    source = sides("source")
    exported(source, prefix)
    athena = athena_of(source, prefix, tmp_path)
    athena.fetch()
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "boolean": bool,
        "int": int,
        "bigint": int,
        "double": (int, float),
        "timestamp": str,
        "date": str,
    }
    seen = set()
    for path in (tmp_path / "exports").rglob("*.jsonl.gz"):
        table = lake_module().tables[path.parents[2].name]
        assert path.parents[1].name == f"environment={source.environment}"
        assert path.parent.name == f"date={datetime.now(UTC):%Y-%m-%d}"
        for line in gzip.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n"):
            row = json.loads(line)
            assert list(row) == [column["name"] for column in table["columns"]]
            for column in table["columns"]:
                value = row[column["name"]]
                assert value is None or (
                    isinstance(value, kinds[column["type"]])
                    and isinstance(value, bool) == (column["type"] == "boolean")
                ), (path, column, value)
                if value is not None and column["type"] == "timestamp":
                    datetime.strptime(value, "%Y-%m-%d %H:%M:%S.%f" if "." in value else "%Y-%m-%d %H:%M:%S")
            assert None not in [row[name] for name in {*table["key"], *OWN} & set(row)]
        seen.add(path.parents[2].name)
    present = {name for (name,) in ask(source, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert seen == ({*OF_ROWS} & present) | {"table_size"}


@pytest.mark.usually_once
def test_what_is_committed_late_is_exported_with_the_next(sides: Make, prefix: str, tmp_path: Path) -> None:
    """Whatever its time stamps say: one of a transaction that was open at the cut is from long ago."""
    source = sides("source")
    late = psycopg2.connect(source.dsn)
    with late.cursor() as cursor:
        rows, long_ago = Rows(cursor, seed=9), datetime(2020, 1, 1, tzinfo=UTC)
        key = {"dag_id": "late", "run_id": "r"}
        rows.insert("dag_run", **key, run_type="manual", state="success", updated_at=long_ago, **dated(long_ago))
        rows.insert("task_instance", **key, task_id="t", map_index=-1, pool="p", pool_slots=1, updated_at=long_ago)
    exported(source, prefix)
    late.commit()
    late.close()
    second = exported(source, prefix)
    assert (second.by, second.mark.rows["dag_run"], second.mark.rows["task_instance"]) == ("transactions", 1, 1)
    athena = athena_of(source, prefix, tmp_path)
    athena.merge()
    assert_holds(athena, source)


@pytest.mark.usually_once
def test_a_restored_database_goes_on_where_the_lost_one_was(sides: Make, prefix: str, tmp_path: Path) -> None:
    """Its ids and transactions are others: only time stamps tell what is new, and nothing is there twice."""
    lost = sides("source")
    exported(lost, prefix)
    restored = sides("source", environment=lost.environment)
    with cursor_on(restored) as cursor:
        cursor.execute("UPDATE log SET id = id + 1000000")
        cursor.execute("UPDATE dag_run SET updated_at = '2020-01-01', start_date = '2020-01-01', end_date = NULL")
        cursor.execute(
            "UPDATE dag_run SET state = 'failed', end_date = now() "
            " WHERE id = (SELECT max(id) FROM dag_run WHERE dag_id = 'dag_0')"
        )
        rows = Rows(cursor, seed=5)
        new = {"dag_id": "new", "run_id": "r", "updated_at": datetime.now(UTC)}
        rows.insert("dag_run", **new, run_type="manual", state="success", **dated(datetime(2020, 1, 1, tzinfo=UTC)))
    second = exported(replace(restored, region="eu-west-1"), prefix)
    assert (second.by, second.mark.rows["dag_run"]) == ("time", 2)
    athena = athena_of(restored, prefix, tmp_path)
    athena.merge()
    names = [column.name for column in lake_tables()["log"].columns]
    assert athena.run("SELECT count(*) FROM log") == [(len(set(lake_history.rows_of(lost, "log", names))),)]
    assert athena.run("SELECT state, region FROM dag_run WHERE dag_id = 'new'") == [("success", "eu-west-1")]
    third = exported(restored, prefix)
    assert (third.by, third.mark.rows["dag_run"]) == ("transactions", 0)


@pytest.mark.usually_once
def test_of_two_exports_at_a_time_one_counts(sides: Make, prefix: str, tmp_path: Path) -> None:
    source = sides("source")
    store = store_of(source, prefix)
    done = exported(source, prefix)
    found = store.read_mark()
    assert found is not None
    assert found.mark == done.mark
    with pytest.raises(ExportRefused, match=r"another export of env-.* ended first"):
        store.write_mark(done.mark, None)
    exported(source, prefix)
    with pytest.raises(ExportRefused, match="the next one goes on from there"):
        store.write_mark(replace(done.mark, version=1), found)
    athena = athena_of(source, prefix, tmp_path)
    athena.merge()
    assert_holds(athena, source)


@pytest.mark.usually_once
def test_an_export_that_fails_half_way_is_made_up_for(
    sides: Make, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failure covered: an upload that fails half-way still completes the object."""
    source = sides("source")
    exported(source, prefix)
    add(source, "dag_run", {"dag_id": "new", "run_id": "r", "run_type": "manual", **dated(datetime.now(UTC))})

    def broken(*_: Any) -> None:
        raise psycopg2.OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(lake.layout, "seconds_until_lasting", broken)
        with pytest.raises(psycopg2.OperationalError):
            exported(source, prefix)
    assert exported(source, prefix).mark.rows["dag_run"] == 1
    athena = athena_of(source, prefix, tmp_path)
    athena.merge()
    assert_holds(athena, source)


@pytest.mark.usually_once
def test_pruning_leaves_what_the_lake_has_not_got(sides: Make, prefix: str) -> None:
    """A row that was written since the last export stays, though a base holds it."""
    source = sides("source")
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    run = {"dag_id": "old", "run_type": "manual", "state": "success", "start_date": long_ago}
    add(source, "dag_run", {**run, "run_id": "exported", **dated(long_ago)})
    with pytest.raises(ExportRefused, match="continuity_lake has to run first"):
        pruned(source, prefix)
    exported(source, prefix)
    add(source, "dag_run", {**run, "run_id": "not yet", **dated(long_ago + timedelta(days=1))})
    pruned(source, prefix)
    assert ask(source, "SELECT run_id FROM dag_run WHERE dag_id = 'old'") == [("not yet",)]
    exported(source, prefix)
    pruned(source, prefix)
    assert ask(source, "SELECT run_id FROM dag_run WHERE dag_id = 'old'") == []


def pruned(side: Side, prefix: str) -> None:
    """What the task of `continuity_prune` does where there is a lake, a base having been taken before."""
    side.proven_snapshot(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}")
    with side.connection() as connection:
        with connection, connection.cursor() as cursor:
            base = prune.find_base(cursor, side.store, side.parsed(), datetime.now(UTC), side.airflow_version)
            base = lake.held_back(cursor, base, store_of(side, prefix))
            plan = make_plan(read_catalog(cursor), {})
        prune.prune(connection, plan, base, datetime(2002, 1, 1, tzinfo=UTC), dry_run=False)


def test_saved_queries_say_what_the_databases_say(sides: Make, prefix: str, tmp_path: Path) -> None:
    """Over three environments, one of them in another Region, each exported twice."""
    environments = {name: sides("empty", environment=name) for name in ("one", "two", "three")}
    environments["three"] = replace(environments["three"], region="eu-west-1")
    for seed, side in enumerate(environments.values()):
        lake_history.fill_months(side, seed, runs=30)
        exported(side, prefix)
        with cursor_on(side) as cursor:
            cursor.execute("UPDATE dag_run SET state = 'failed' WHERE run_id LIKE 'run 1%%'")
        exported(side, prefix)
    athena = athena_of(environments["one"], prefix, tmp_path)
    athena.merge()
    athena.merge()
    now = datetime.now(UTC)
    assert_says(athena.saved("monthly_runs"), lake_history.monthly_runs(environments))
    assert_says(athena.saved("runs_by_region"), lake_history.runs_by_region(environments))
    assert_says(athena.saved("failures_by_hour"), lake_history.failures_by_hour(environments, now))
    assert_says(athena.saved("cost_of_retries"), lake_history.cost_of_retries(environments))
    slowest = athena.saved("slowest_tasks")
    assert all(row.pop("operator") for row in slowest)
    assert_says(slowest, lake_history.slowest_tasks(environments, now)[:100])


def assert_says(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Equal row by row, but for how sums of fractions are rounded."""
    assert expected
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert list(one) == list(other)
        for name, value in other.items():
            wanted = pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
            assert one[name] == wanted, (name, one, other)


@pytest.mark.usually_once
def test_the_database_grows(sides: Make, prefix: str, tmp_path: Path) -> None:
    """One measurement a day, the latest; growth by month."""
    source = sides("source")
    exported(source, prefix)
    exported(source, prefix)
    athena = athena_of(source, prefix, tmp_path)
    athena.merge()
    tables = ask(
        source,
        "SELECT relname, pg_total_relation_size(c.oid) FROM pg_class c WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace",
    )
    assert dict(athena.run("SELECT table_name, bytes FROM table_size")) == dict(tables)
    month = datetime.now(UTC).date().replace(day=1)
    before = lake_history.month_before(month)
    for day, size in ((before, 100), (before + timedelta(days=3), 300)):
        athena.run(  # by hand, because what was measured is of today
            "INSERT INTO table_size (environment, table_name, run_date, bytes, estimated_rows, region, version,"  # noqa: S608
            f" export_date) VALUES ('{source.environment}', 'dag_run', DATE '{day}', {size}, 1, 'r', 1, DATE '{day}')"
        )
    rows = {(row["table_name"], row["month"]): row for row in athena.saved("database_growth")}
    assert rows["dag_run", before]["bytes"] == 300
    assert rows["dag_run", month]["growth"] == dict(tables)["dag_run"] - 300
    assert rows["log", month]["growth"] is None


@pytest.mark.usually_once
def test_the_dag(sides: Make, prefix: str, tmp_path: Path, lease_table: str) -> None:
    """Its conf, what it refuses, and what it answers, under the real Airflow."""
    place = {"bucket": BUCKET, "region": "us-east-1", "prefix": prefix}
    source = sides("source", lake=place)
    environment = Environment(source, tmp_path)
    done, wrong = environment.run(("continuity_lake", {}), ("continuity_lake", {"everything": True}))
    assert done["state"] == "success", environment.log
    assert done["returned"]["export"]["by"] == "nothing"
    assert done["returned"]["export"]["rows"]["dag_run"] == len(lake_history.rows_of(source, "dag_run", ["run_id"]))
    assert wrong["state"] == "failed"
    assert "conf.everything: unknown field; accepted: full" in environment.log
    lease = {"holder": {"S": "eu-west-1"}, "token": {"N": "2"}}
    source.client("dynamodb").put_item(
        TableName=lease_table, Item={"pk": {"S": "lease"}, "sk": {"S": "lease"}, **lease}
    )
    (skipped,) = environment.run(("continuity_lake", {"full": True}))
    assert skipped["returned"] == {"export": None}
    assert "eu-west-1 holds the lease" in environment.log
