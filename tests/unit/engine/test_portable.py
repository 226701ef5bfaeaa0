"""What portable mode decides without a database and without Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from continuity import guard
from continuity.catalog import Column, Table
from continuity.errors import ContinuityError, DatabaseUnreachable, RestoreRefused, SnapshotDamaged
from continuity.lease import Lease
from continuity.manifest import ColumnEntry, ObjectEntry, TableEntry
from continuity.portable import NAMED, expressions, listed
from continuity.portable_rest import last_due, would_repeat
from continuity.portable_snapshot import Reader
from continuity.reading import state_rows
from continuity.secrets import DataKey
from continuity.settings import Settings
from continuity.staging import copy_line
from continuity.storage import GzipUpload, SnapshotStore

KEY = DataKey(b"k" * 32, b"", {})


def entry(name: str, *columns: str) -> TableEntry:
    return TableEntry(name, "carry", tuple(ColumnEntry(column, "text") for column in columns), 0, None, ())


def test_a_column_of_another_version_is_found_under_its_other_name() -> None:
    there = entry("dag_run", "dag_id", "execution_date", "data_interval_end")
    here = Table(
        "dag_run", (Column("logical_date", "timestamp with time zone"), Column("run_after", "timestamp", True))
    )
    found = {column.name: value for column, value, _ in expressions(there, here)}
    assert found == {
        "logical_date": "execution_date",
        "run_after": "COALESCE(data_interval_end, execution_date)",
    }


def test_a_column_that_nothing_fills_is_refused_by_name() -> None:
    """Failure covered: a new Airflow version adds a column, and the restore fails half-way."""
    here = Table("slot_pool", (Column("pool", "text"), Column("weight", "integer", not_null=True)))
    with pytest.raises(RestoreRefused, match=r"column slot_pool\.weight must have a value here"):
        expressions(entry("slot_pool", "pool"), here)


def test_a_long_list_is_cut_and_says_so() -> None:
    assert listed(["a", "b"]) == ["a", "b"]
    assert listed(map(str, range(NAMED + 7)))[-1] == "and 7 more of these"


texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@pytest.fixture(scope="module")
def store() -> Iterator[SnapshotStore]:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="snapshots")
        yield SnapshotStore(s3, "snapshots", "env")


@given(rows=st.lists(st.tuples(texts, texts), max_size=5))
def test_rows_are_read_as_they_were_written(store: SnapshotStore, rows: list[tuple[str | None, str | None]]) -> None:
    """Failure covered: CRLF, tabs, backslashes, `\\N` and '' against NULL."""
    with store.upload("id", "x") as upload:
        packed = GzipUpload(upload)
        for row in rows:
            packed.write(copy_line(list(row)))
        packed.finish()
    stored = ObjectEntry("x", "state", len(rows), upload.bytes, upload.sha256)
    columns = (ColumnEntry("a", "text"), ColumnEntry("b", "text"))
    table = TableEntry("slot_pool", "carry", columns, len(rows), None, (stored,))
    assert [tuple(row.values()) for row in state_rows(store, "id", table, KEY)] == rows
    wrong = replace(table, objects=(replace(stored, rows=99),))
    with pytest.raises(SnapshotDamaged, match="its manifest says 99"):
        list(state_rows(store, "id", wrong, KEY))


RUNS: list[dict[str, str | None]] = [
    {"dag_id": "old", "run_type": "scheduled", "execution_date": "2026-01-01 00:00:00+00", "data_interval_end": None},
    {
        "dag_id": "old",
        "run_type": "backfill",
        "execution_date": "2026-01-02 00:00:00+00",
        "data_interval_end": "2026-01-03 00:00:00+00",
    },
    {"dag_id": "old", "run_type": "manual", "execution_date": "2026-09-01 00:00:00+00", "data_interval_end": None},
    {
        "dag_id": "new",
        "run_type": "scheduled",
        "logical_date": "2026-01-01T00:00:00Z",
        "run_after": "2026-01-01T00:00:00.5Z",
        "data_interval_end": "2026-01-01T00:00:00Z",
    },
]


@pytest.mark.parametrize(
    ("dag_id", "following", "repeats"),
    [
        ("old", "2026-01-02T23:59:59Z", True),
        ("old", "2026-01-03T00:00:00Z", True),
        ("old", "2026-01-03T00:00:01Z", False),
        ("old", None, False),
        ("new", "2026-01-01T00:00:00Z", True),
        ("new", "2026-01-01T00:00:01Z", False),
        ("never ran", "2020-01-01T00:00:00Z", False),
    ],
)
def test_a_run_that_was_is_told_from_one_to_come(dag_id: str, following: str | None, repeats: bool) -> None:
    assert would_repeat({"dag_id": dag_id, "next_dagrun_run_after": following}, last_due(RUNS)) is repeats


class Sdk:
    """Variables that tasks can read, and keep."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables

    def connection(self, conn_id: str) -> dict[str, str | None]:
        raise ContinuityError(conn_id)

    def variable(self, key: str) -> str:
        return self.variables[key]

    def find_variable(self, key: str) -> str | None:
        return self.variables.get(key)

    def remember(self, key: str, value: Any, description: str) -> None:
        self.variables[key] = json.dumps(value)
        assert description

    def forget(self, key: str) -> None:
        del self.variables[key]


class Api:
    """A REST API of a few collections."""

    def __init__(self, **collections: list[dict[str, Any]]) -> None:
        self.collections, self.paused, self.unpaused = collections, list[str](), list[str]()

    def every(self, path: str, key: str, order_by: str, **query: Any) -> list[dict[str, Any]]:
        assert (path, bool(order_by)) == (f"/{key}", True)
        query.pop("exclude_stale", None)
        return [dict(found) for found in self.collections[key] if all(found[name] == query[name] for name in query)]

    def set_paused(self, dag_id: str, paused: bool) -> bool:
        (self.paused if paused else self.unpaused).append(dag_id)
        return dag_id != "unreachable"


@pytest.mark.parametrize("name", ["a?b", "a#b", "%41", "line\nbreak", "a//b", "../x", "..", "☃", "missing/slash", "{}"])
def test_a_name_that_a_url_would_cut_short_is_never_asked_for(name: str) -> None:
    """Failure covered: the value of variable `a` is stored as that of `a?b`."""
    listing = [{"key": key, "description": None, "is_encrypted": True} for key in (name, "with/slash", "ü . plain")]
    sdk = Sdk(**{"a": "other", "with/slash": "1", "ü . plain": "2"})
    reader = Reader(Api(variables=listing), sdk, [])  # type: ignore[arg-type]
    assert [(row["key"], row["val"]) for row in reader.variables()] == [("with/slash", "1"), ("ü . plain", "2")]
    assert reader.unreadable == [f"variable {name!r}"]


def test_the_guard_fences_without_the_database_too() -> None:
    listing = [
        {"dag_id": "b", "paused": False},
        {"dag_id": "a", "paused": False},
        {"dag_id": "was", "paused": True},
        {"dag_id": "continuity_guard", "paused": False},
    ]
    api, sdk = Api(dags=listing), Sdk()
    settings = Settings.parse(
        {**dict.fromkeys(("environment", "snapshot_bucket", "kms_key", "lease_table"), "x"), "region": "us-east-1"}
    )
    leases = [Lease("eu-west-1", 3)] * 20

    def fence() -> list[str]:
        return guard.ByRest(api, sdk, settings).fence(leases.pop)  # type: ignore[arg-type]

    assert fence() == ["b", "a"]
    assert api.paused == ["b", "a"]
    listing[:] = [{"dag_id": "unreachable", "paused": False}, {"dag_id": "c", "paused": False}]
    with pytest.raises(ContinuityError, match="these DAGs cannot be paused without the database: unreachable"):
        fence()
    record = json.loads(sdk.variables["continuity_guard"])
    assert record["paused"] == ["a", "b", "c", "unreachable"]
    assert api.paused == ["b", "a", "unreachable", "c"]
    api.paused.clear()
    leases[:] = [Lease("us-east-1", 4), *[Lease("eu-west-1", 3)] * 2]
    listing[:] = [{"dag_id": "d", "paused": False}, {"dag_id": "e", "paused": False}]
    assert fence() == ["d"], "the lease moved here in between"
    assert api.paused == ["d"]


def test_the_guard_gives_back_without_the_database_too() -> None:
    listing = [{"dag_id": name, "paused": True} for name in ("a", "b", "was")]
    api, sdk = Api(dags=listing), Sdk()
    settings = Settings.parse(
        {**dict.fromkeys(("environment", "snapshot_bucket", "kms_key", "lease_table"), "x"), "region": "us-east-1"}
    )
    record = {"holder": "eu-west-1", "token": 2, "fenced_at": "2026-01-01T00:00:00+00:00", "paused": ["a", "b", "gone"]}
    sdk.variables["continuity_guard"] = json.dumps(record)
    place = guard.ByRest(api, sdk, settings)  # type: ignore[arg-type]
    back = Lease("us-east-1", 3, live=True, committed=1)
    assert place.settle(lambda: Lease("us-east-1", 3, live=False)) == []
    sdk.variables["continuity_drain"] = json.dumps({"drained_at": "x", "paused": []})
    assert place.settle(lambda: back) == [], "what is drained is brought back first"
    del sdk.variables["continuity_drain"]
    moving = [Lease("eu-west-1", 4), back, back]
    assert place.settle(moving.pop) == ["a"], "the lease moved away in between"
    assert "continuity_guard" in sdk.variables
    assert place.settle(lambda: back) == ["a", "b"]
    assert api.unpaused == ["a", "a", "b"]
    assert "continuity_guard" not in sdk.variables
    sdk.variables["continuity_guard"] = json.dumps(record)
    assert place.settle(lambda: Lease("us-east-1", 5, live=True, committed=2)) == [], "the other Region went live"
    assert "continuity_guard" not in sdk.variables


def test_only_a_database_that_may_come_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: one lost connection, and the snapshot holds no history."""
    from continuity import connect, tasks

    tried: list[str] = []
    slept: list[float] = []
    monkeypatch.setattr(tasks.time, "sleep", slept.append)

    def unreachable(may_pass: bool, times: int) -> Any:
        def engine() -> str:
            tried.append("tried")
            if len(tried) <= times:
                raise DatabaseUnreachable("no", may_pass=may_pass)
            return "engine"

        return engine

    monkeypatch.setattr(connect, "engine", unreachable(True, 2))
    assert tasks._engine() == "engine"
    assert slept == [tasks.PAUSE_SECONDS] * 2
    tried.clear()
    monkeypatch.setattr(connect, "engine", unreachable(True, 3))
    with pytest.raises(DatabaseUnreachable):
        tasks._engine()
    tried.clear()
    monkeypatch.setattr(connect, "engine", unreachable(False, 1))
    with pytest.raises(DatabaseUnreachable):
        tasks._engine()
    assert tried == ["tried"]
