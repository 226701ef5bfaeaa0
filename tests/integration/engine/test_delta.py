"""A delta restores to exactly what the database held at its cut, whatever happened since its base."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from continuity import delta, layout, verify, writing
from continuity.errors import ContinuityError, NoBase, SnapshotDamaged
from continuity.secrets import FernetKeys
from continuity.snapshot import Source, take_snapshot
from mwaa_continuity import snapshots
from mwaa_continuity.errors import SnapshotRefused
from tests.conftest import is_long
from tests.integration.engine.history import CHANGED, KINDS, History, lying_nth
from tests.integration.engine.oracle import add, ask, assert_restores, cursor_on, is_airflow_2
from tests.integration.engine.rows import EPOCH
from tests.integration.engine.worker import Side
from tests.postgres import Cluster

Make = Callable[..., Side]


@pytest.fixture(autouse=True)
def finely(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for a million rows is done for a hundred."""
    monkeypatch.setattr(layout, "LARGE_PAGES", 1)
    monkeypatch.setattr(layout, "RANGE_PAGES", 1)
    monkeypatch.setattr(writing, "LEAST_PIECE_RANGES", 1)
    monkeypatch.setattr(writing, "PIECES_EACH", 8)
    monkeypatch.setattr(delta, "WORTHWHILE", 1.0)


def nth(number: int) -> str:
    """The id of a snapshot of now: a base is looked for among those of late."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{number:08x}"


def test_any_history_ends_in_what_the_database_holds(sides: Make, request: pytest.FixtureRequest) -> None:
    """Failures covered: a row stamped before the cut and committed after it is lost; what was deleted comes back; what
    was cleared stands twice."""
    deltas = 0

    @settings(
        phases=(Phase.explicit, Phase.reuse, Phase.generate),  # an example takes seconds: shrinking it takes minutes
        max_examples=request.config.getoption("--seeds"),
        derandomize=not is_long(request.config),  # the long tests look for new histories
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        st.lists(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 999)), max_size=8), min_size=2, max_size=4)
    )
    def check(periods: list[list[tuple[str, int]]]) -> None:
        nonlocal deltas
        source = sides("source")
        history = History(source)
        source.proven_snapshot(nth(0))
        for number, period in enumerate(periods, start=1):
            for kind, lot in period:
                history.happen(kind, lot)
            taken = source.proven_snapshot(nth(number))
            deltas += taken.base is not None
        history.give_up()
        assert_restores(source, sides("target", environment=source.environment), taken.snapshot_id)

    check()
    assert deltas, "no delta was taken, so nothing was shown"


@pytest.mark.any_airflow
def test_what_is_committed_late_is_in_the_next_snapshot(sides: Make) -> None:
    """Failure covered: a watermark passes rows whose transaction was open at the cut; nobody ever looks at them
    again."""
    source = sides("source")
    history = History(source)
    for lot in (1, 2, 3):
        history.happen("begin", lot)
    base = source.proven_snapshot(nth(0))
    history.happen("commit", 0)
    history.happen("begin", 4)
    first = source.proven_snapshot(nth(1))
    history.happen("commit", 0)
    history.happen("roll_back", 1)
    second = source.proven_snapshot(nth(2))
    assert first.base == second.base == base.snapshot_id
    history.give_up()
    assert_restores(source, sides("target", environment=source.environment), second.snapshot_id)


@pytest.mark.any_airflow
def test_a_late_row_in_the_place_of_a_deleted_one_is_seen(sides: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: as many rows as before, but others."""
    monkeypatch.setattr(layout, "RANGE_PAGES", 1000)
    source = sides("source")
    history = History(source)
    history.happen("begin", 0)
    history.happen("delete", 1)  # a later transaction that is over before the cut
    base = source.proven_snapshot(nth(0))
    for table in ("log", "dag_run"):
        ask(source, sql.SQL("DELETE FROM {} WHERE ctid = {}").format(sql.Identifier(table), lying_nth(table, 3)))
    history.happen("commit", 0)
    found = source.proven_snapshot(nth(1))
    assert found.base == base.snapshot_id
    assert_restores(source, sides("target", environment=source.environment), found.snapshot_id)


@pytest.mark.usually_once
def test_a_long_history_is_stored_in_parts(sides: Make) -> None:
    """Failures covered: one of two sessions waits while the other copies the largest table; rows between two parts."""
    source = sides("source")
    base = source.proven_snapshot(nth(0))
    parted = [table for table in base.tables if len(table.history) > 1]
    assert parted
    for table in parted:
        names = [f"{table.name}.history.{number}.copy.gz" for number in range(2, len(table.history) + 1)]
        assert [one.name for one in table.history] == [f"{table.name}.history.copy.gz", *names]
        assert sum(one.rows for one in table.history) == table.history_rows
    assert_restores(source, sides("target", environment=source.environment), base.snapshot_id)


@pytest.mark.any_airflow
def test_rows_are_numbered_as_they_lie_whatever_the_plan(sides: Make) -> None:
    """Failure covered: the planner takes an index, and the numbers mean other rows."""
    source = sides("source")
    name = sql.Identifier(source.dsn.rpartition("/")[2])
    for way in ("enable_seqscan", "enable_tidscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin"):
        ask(source, sql.SQL("ALTER DATABASE {} SET {} = off").format(name, sql.Identifier(way)))
    for table in ("xcom", "task_instance"):  # every second row goes to the end, in which an index does not list them
        ask(source, sql.SQL("UPDATE {0} SET run_id = run_id WHERE dag_id > 'dag_2'").format(sql.Identifier(table)))
    source.proven_snapshot(nth(0))
    for table in ("xcom", "task_instance"):
        ask(source, sql.SQL("DELETE FROM {} WHERE ctid = {}").format(sql.Identifier(table), lying_nth(table, 50)))
    found = source.proven_snapshot(nth(1))
    assert found.base
    assert_restores(source, sides("target", environment=source.environment), found.snapshot_id)


@pytest.mark.usually_once
def test_only_what_changed_is_written(sides: Make) -> None:
    source = sides("source")
    base = source.proven_snapshot(nth(0))
    updated = sql.SQL("UPDATE task_instance SET hostname = 'written' WHERE ctid = {}")
    ask(source, updated.format(lying_nth("task_instance", 5)))
    ask(source, sql.SQL("DELETE FROM xcom WHERE ctid = {}").format(lying_nth("xcom", 5)))
    found = source.proven_snapshot(nth(1))
    assert found.base == base.snapshot_id
    own = {entry.name: entry.own_objects for entry in found.tables if any(o.snapshot_id for o in entry.objects)}
    written = {
        name: sum(stored.rows for stored in objects if stored.phase == "history") for name, objects in own.items()
    }
    whole = {entry.name: entry.history_rows for entry in base.tables if entry.name in written}
    assert {name for name, rows in written.items() if rows} == {"task_instance", "xcom"}
    assert all(written[name] < whole[name] / 2 for name in ("task_instance", "xcom"))
    assert found.stored_bytes < base.stored_bytes


@pytest.mark.any_airflow
def test_a_table_in_another_file_is_copied_whole(sides: Make) -> None:
    """Failure covered: rows are taken for others after VACUUM FULL moved them."""
    source = sides("source")
    source.proven_snapshot(nth(0))
    ask(source, "DELETE FROM xcom WHERE ctid IN (SELECT ctid FROM xcom ORDER BY ctid LIMIT 3)")
    History(source).happen("vacuum_full", sorted(CHANGED).index("task_instance"))
    found = source.proven_snapshot(nth(1))
    moved = found.table("task_instance")
    assert moved
    assert found.base
    assert not [stored for stored in moved.objects if stored.snapshot_id]
    assert_restores(source, sides("target", environment=source.environment), found.snapshot_id)


@pytest.mark.usually_once
def test_why_a_snapshot_becomes_a_base(sides: Make, cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """Failure covered: a delta that nobody can restore, because its base is no good or of another database."""
    caplog.set_level("INFO")
    source = sides("source")
    numbers = iter(range(100))

    def becomes_base(side: Side) -> str:
        caplog.clear()
        assert side.proven_snapshot(nth(next(numbers))).base is None
        return next(record.getMessage() for record in caplog.records if "becomes a base" in record.getMessage())

    assert "there is no recent one" in becomes_base(source)
    base = source.store.snapshot_ids()[0]
    source.snapshot(nth(next(numbers)))  # a delta, not read back: what counts is its base
    assert source.proven_snapshot(nth(next(numbers))).base == base
    assert "another airflow_version" in becomes_base(replace(source, airflow_version="2.11.0"))
    assert source.proven_snapshot(nth(next(numbers))).base == base, "one of another version stands in nobody's way"
    copied = sides("empty", environment=source.environment)
    cluster.drop(copied.dsn.rpartition("/")[2])
    cluster.create(copied.dsn.rpartition("/")[2], template=source.dsn.rpartition("/")[2])
    assert "is of another database" in becomes_base(replace(copied, fernet_key=source.fernet_key))


@pytest.mark.any_airflow
def test_a_base_that_was_cut_later_is_none(sides: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: of two snapshots begun at the same time the second builds on the first, which saw more."""
    monkeypatch.setattr(layout, "RANGE_PAGES", 1000)
    source = sides("source")
    history = History(source)
    history.happen("begin", 1)  # so that the other's horizon is as old as this cut

    @contextmanager
    def slowly() -> Iterator[Any]:
        ask(source, sql.SQL("DELETE FROM log WHERE ctid = {}").format(lying_nth("log", 3)))
        add(source, "log", {"dttm": EPOCH, "event": "after the cut", "dag_id": "dag_1"})
        source.proven_snapshot(nth(0))
        with source.connection() as second:
            yield second

    with source.connection() as connection:
        keys = FernetKeys(source.fernet_key)
        asked = Source(connection, keys, source.airflow_version, slowly)
        found = take_snapshot(asked, source.store, source.client("kms"), source.parsed(), nth(1))
    history.give_up()
    assert found.base is None


@pytest.mark.any_airflow
def test_a_column_that_was_dropped_and_added_again_is_another(sides: Make) -> None:
    """Failure covered: a migration goes down and up again; no row was written, but the values are gone."""
    source = sides("source")
    ask(source, "ALTER TABLE log ADD COLUMN noted integer")
    ask(source, "UPDATE log SET noted = 4711")
    base = source.proven_snapshot(nth(0))
    ask(source, "ALTER TABLE log DROP COLUMN noted")
    ask(source, "ALTER TABLE log ADD COLUMN noted integer")
    found = source.proven_snapshot(nth(1))
    assert found.base == base.snapshot_id
    entry = found.table("log")
    assert entry
    assert entry.objects == entry.own_objects


@pytest.mark.usually_once
@pytest.mark.any_airflow
@pytest.mark.parametrize("rewrite", ["TRUNCATE log", "ALTER TABLE log ALTER COLUMN id TYPE bigint"])
def test_a_table_that_is_rewritten_meanwhile_fails_the_snapshot(sides: Make, rewrite: str) -> None:
    """Failure covered: a migration beside a snapshot, in which the table is empty."""
    source = sides("source")

    @contextmanager
    def slowly() -> Iterator[Any]:
        ask(source, rewrite)
        with source.connection() as second:
            yield second

    with source.connection() as connection:
        keys = FernetKeys(source.fernet_key)
        asked = Source(connection, keys, source.airflow_version, slowly)
        with pytest.raises(ContinuityError, match="something rewrote log"):
            take_snapshot(asked, source.store, source.client("kms"), source.parsed(), nth(0))
    assert source.store.read_if_present(nth(0), "manifest.json") is None


@pytest.mark.usually_once
def test_what_is_left_out_for_its_parent_is_left_out_of_a_delta(sides: Make) -> None:
    """Failure covered: a row is not written, but what it points to is, and it is selected no longer."""
    source = sides("source")
    word = "dataset" if is_airflow_2(source) else "asset"
    consumed, event = sql.Identifier(f"dagrun_{word}_event"), sql.Identifier(f"{word}_event")
    source.proven_snapshot(nth(0))
    update = sql.SQL("UPDATE {} SET source_dag_id = 'continuity_x' WHERE id IN (SELECT min(event_id) FROM {})")
    ask(source, update.format(event, consumed))
    found = source.proven_snapshot(nth(1))
    assert found.base
    whole = replace(source, airflow_version="2.11.0").proven_snapshot(nth(2))
    assert whole.base is None
    rows = {entry.name: entry.rows for entry in whole.tables}
    assert {entry.name: entry.rows for entry in found.tables} == rows


@pytest.mark.any_airflow
def test_a_base_lasts_so_many_hours(sides: Make) -> None:
    source = sides("source", base_interval_hours=2)
    base = source.proven_snapshot(nth(0))
    later = datetime.now(UTC) + timedelta(hours=3)
    found = source.snapshot(f"{later:%Y%m%dT%H%M%SZ}-00000001")
    assert found.base == base.snapshot_id
    fits = {"airflow_version": base.airflow_version, "alembic_heads": base.alembic_heads}
    with cursor_on(source) as cursor:
        for hours in (1, 2):
            now = datetime.now(UTC) + timedelta(hours=hours)
            find = partial(delta.find_base, cursor, source.store, source.parsed(), now, fits)
            if hours == 1:
                assert find().manifest.snapshot_id == base.snapshot_id
            else:
                with pytest.raises(NoBase, match=r"is 2\.0 hours old, of 2"):
                    find()


@pytest.mark.any_airflow
def test_a_delta_is_no_better_than_its_base(sides: Make) -> None:
    """Failure covered: the newest snapshot is chosen, and its base has rotted away."""
    source = sides("source")
    base = source.proven_snapshot(nth(0))
    History(source).happen("insert", 2)
    taken = source.proven_snapshot(nth(1))
    named = next(stored for stored in taken.table("xcom").history if stored.snapshot_id)
    key = source.store.key(base.snapshot_id, named.name)
    body = source.client("s3").get_object(Bucket=source.bucket, Key=key)["Body"].read()

    assert proven(source, taken.snapshot_id) == proven_new(source, taken.snapshot_id) == taken.rows
    source.client("s3").put_object(Bucket=source.bucket, Key=key, Body=body[:-1] + b"?")
    with pytest.raises(SnapshotRefused, match=f"in its base {base.snapshot_id} {named.name} was altered"):
        proven(source, taken.snapshot_id)
    target = sides("target", environment=source.environment)
    target.restore_state(taken.snapshot_id)
    with pytest.raises(SnapshotDamaged, match=r"xcom.*its content is not what its manifest says"):
        target.restore_history(taken.snapshot_id)

    source.client("s3").delete_object(Bucket=source.bucket, Key=key)
    with pytest.raises(SnapshotDamaged, match=r"xcom.*it is missing"):
        sides("target", environment=source.environment).restore_state(taken.snapshot_id)
    report = verify.read_back(source.store, source.client("kms"), taken.snapshot_id)
    assert [fault.name for fault in report.faults] == [f"{base.snapshot_id}/{named.name}"]

    source.client("s3").put_object(Bucket=source.bucket, Key=key, Body=body)
    target.restore_history(taken.snapshot_id)
    verify.record(source.store, verify.Report(base, (verify.Fault("log", "altered"),)))
    with pytest.raises(SnapshotDamaged, match=r"altered \(found when the snapshot was read back"):
        sides("target", environment=source.environment).restore_state(taken.snapshot_id)


def proven(side: Side, snapshot_id: str) -> int:
    """Rows of a snapshot that the functions find good, as before a restore."""
    found = snapshots.prove(side.client("s3"), side.client("kms"), side.bucket, side.environment, snapshot_id)
    return found.rows


def proven_new(side: Side, snapshot_id: str) -> int:
    """The same as right after it was taken."""
    found = snapshots.prove_new(side.client("s3"), side.client("kms"), side.bucket, side.environment, snapshot_id)
    return found.rows
