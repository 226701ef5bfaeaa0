"""Which table is treated how, and that nothing is torn apart or lost without a word."""

from __future__ import annotations

import json

import pytest

from continuity.catalog import Column, ForeignKey, Table, insert_order
from continuity.errors import BadInput, SnapshotDamaged
from continuity.manifest import ColumnEntry, Manifest, ObjectEntry, TableEntry
from continuity.policy import counted_attempts, make_plan, references
from continuity.schema import losses


def table(name: str, *columns: str, keys: tuple[ForeignKey, ...] = (), sequence: str | None = None) -> Table:
    return Table(name, tuple(Column(column, "integer") for column in columns), keys, sequence)


RUN_KEY = ForeignKey(("dag_id", "run_id"), "dag_run", ("dag_id", "run_id"))
CATALOG = {
    entry.name: entry
    for entry in (
        table("alembic_version_fab", "version_num"),
        table("dag_run", "id", "dag_id", "run_id", "creating_job_id", sequence="dag_run_id_seq"),
        table("job", "id", sequence="job_id_seq"),
        table("my_plugin", "id", "note"),
        table("my_run_notes", "dag_id", "run_id", "note", keys=(RUN_KEY,)),
        table("serialized_dag", "dag_id"),
        table("task_instance", "dag_id", "run_id", "job_id", keys=(RUN_KEY,)),
    )
}


def test_unknown_tables_are_carried_and_reported() -> None:
    """Failure covered: only a version-specific, hand-written column list is supported."""
    plan = make_plan(CATALOG, {})
    assert plan.unknown == ("my_plugin", "my_run_notes")
    assert plan.rules["my_plugin"].verdict == "carry"
    assert plan.rules["my_plugin"].phase == "state"
    assert plan.rules["my_run_notes"].phase == "split", "what hangs on a run goes where its run goes"
    assert plan.rules["serialized_dag"].verdict == "skip"
    assert plan.rules["alembic_version_fab"].verdict == "skip"
    assert plan.carried() == ["dag_run", "job", "my_plugin", "my_run_notes", "task_instance"]


def test_overrides_choose_tables() -> None:
    plan = make_plan(CATALOG, {"job": "skip", "serialized_dag": "carry", "my_plugin": "skip"})
    assert plan.rules["job"].why == "settings say so"
    assert plan.rules["serialized_dag"].verdict == "carry"
    assert plan.unknown == ("my_run_notes",)


def test_a_parent_cannot_be_left_out_alone() -> None:
    """Failure covered: filters drop a parent and keep its child."""
    with pytest.raises(BadInput, match=r"settings\.tables\.dag_run"):
        make_plan(CATALOG, {"dag_run": "skip"})
    everything = {"dag_run": "skip", "task_instance": "skip", "my_run_notes": "skip"}
    assert make_plan(CATALOG, everything).carried() == ["job", "my_plugin"]


def test_parents_come_before_children() -> None:
    assert insert_order(CATALOG, ["task_instance", "my_run_notes", "job", "dag_run"]) == [
        "dag_run",
        "job",
        "my_run_notes",
        "task_instance",
    ]


def test_a_cycle_of_foreign_keys_still_has_an_order() -> None:
    catalog = {
        "a": table("a", "b_id", keys=(ForeignKey(("b_id",), "b", ("id",)),)),
        "b": table("b", "a_id", keys=(ForeignKey(("a_id",), "a", ("id",)),)),
    }
    assert insert_order(catalog, catalog) == ["a", "b"]


def test_references_name_only_columns_that_are_there() -> None:
    plan = make_plan(CATALOG, {})
    assert references(CATALOG["task_instance"], plan.rules["task_instance"]) == {"job_id": "job"}


@pytest.mark.parametrize(("version", "counted"), [("2.9.2", 1), ("2.10.3", 3), ("2.11.2", 3), ("3.0.6", 3)])
def test_since_2_10_attempts_are_counted_when_they_are_scheduled(version: str, counted: int) -> None:
    assert len(counted_attempts(version)) == counted


def entry(name: str, *columns: tuple[str, str], rows: int = 1) -> TableEntry:
    objects = (ObjectEntry(f"{name}.state.copy.gz", "state", rows, 10, "0" * 64),)
    return TableEntry(name, "carry", tuple(ColumnEntry(*column) for column in columns), rows, None, objects)


def manifest(*tables: TableEntry) -> Manifest:
    return Manifest(
        snapshot_id="20260131T235959Z-0a1b2c3d",
        environment="env",
        region="us-east-1",
        airflow_version="2.10.3",
        alembic_heads={"alembic_version": ["x"]},
        postgres_version="15.1",
        cut_at="t",
        started_at="t",
        completed_at="t",
        exported_snapshot=None,
        encryption={},
        paused={"a": True},
        in_flight=[["a", "r", "t", -1, "running"]],
        tables=tables,
        skipped=[],
        unknown_tables=[],
        spec=None,
    )


HERE = {
    "wide": Table(
        "wide", (Column("name", "character varying(250)"), Column("id", "bigint"), Column("must", "text", True))
    ),
    "session": Table("session", (Column("id", "integer"),)),
}


def test_losses_are_listed_one_by_one() -> None:
    """Failure covered: a new Airflow version breaks it or drops columns."""
    plan = make_plan(HERE, {})
    fine = (("name", "character varying(100)"), ("id", "integer"), ("must", "text"))
    assert losses(manifest(entry("wide", *fine), entry("gone", ("id", "integer"), rows=0)), HERE, plan) == []
    assert losses(manifest(entry("session", ("other", "text"))), HERE, plan) == [], "skipped here: nothing to lose"
    bad = (("name", "text"), ("id", "uuid"), ("more", "text"))
    assert losses(manifest(entry("wide", *bad), entry("gone", ("id", "integer"), rows=3)), HERE, plan) == [
        "column wide.name: it is text there and character varying(250) here",
        "column wide.id: it is uuid there and bigint here",
        "column wide.more: there is no such column here",
        "column wide.must: it must have a value here, and the snapshot has none",
        "table gone (3 rows): there is no such table here",
    ]


def test_a_manifest_comes_back_as_it_was_written() -> None:
    written = manifest(entry("wide", ("id", "integer")))
    assert Manifest.from_document(json.loads(written.to_json())) == written
    assert written.rows == 1
    assert written.stored_bytes == 10


@pytest.mark.parametrize("document", [None, [], {"format": 2}, {"format": 1}, {"format": 1, "tables": [{}]}])
def test_what_is_no_manifest_is_refused(document: object) -> None:
    with pytest.raises(SnapshotDamaged, match=r"manifest\.json"):
        Manifest.from_document(document)
