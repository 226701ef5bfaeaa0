"""One consistent cut, complete, streamed, and nothing that looks like a snapshot when it fails."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import psycopg2
import pytest
from cryptography.fernet import Fernet
from psycopg2 import sql

from continuity.errors import BadInput, UnreadableSecret
from continuity.writing import Piece, Writer, Written
from tests.integration.engine.nasty import World
from tests.integration.engine.oracle import ask, cursor_on, dated, is_airflow_2
from tests.integration.engine.rows import EPOCH, Rows
from tests.integration.engine.worker import Side
from tests.postgres import Cluster
from tests.waiting import until

SNAPSHOT = "20260401T000000Z-0000000d"
RUN_BOUND = ("dag_run", "task_instance", "xcom", "task_map", "dag_run_note")
OF_MAJOR = {True: ("task_fail", "sla_miss", "dataset_event"), False: ("asset_event", "backfill_dag_run", "dag_code")}
WITHOUT_OWN_ROWS = ("dataset_event", "asset_event", "backfill_dag_run")


def test_state_and_history_are_complements(sides: Callable[..., Side]) -> None:
    """Failure covered: running DAG runs exported without their unfinished tasks; the backup's own run is exported
    too."""
    source = sides("source")
    manifest = source.snapshot(SNAPSHOT)
    for name in (*RUN_BOUND, *OF_MAJOR[is_airflow_2(source)]):
        entry = manifest.table(name)
        assert entry is not None
        assert [stored.phase for stored in entry.objects] == ["state", "history"]
        own = {"dag_run_note": "content = 'own'", **dict.fromkeys(WITHOUT_OWN_ROWS, "FALSE")}
        condition = own.get(name, "dag_id LIKE 'continuity%'")
        count = sql.SQL("SELECT count(*) FROM {} WHERE NOT {}").format(sql.Identifier(name), sql.SQL(condition))
        with cursor_on(source) as cursor:
            cursor.execute(count)
            assert cursor.fetchone() == (entry.rows,), name
        assert all(stored.rows for stored in entry.objects) or name in ("backfill_dag_run", "dag_code"), name
    assert {row[0] for row in manifest.in_flight} <= {f"dag_{n}" for n in range(6)}
    assert (
        len(manifest.in_flight)
        == ask(
            source,
            "SELECT count(*) FROM task_instance"
            " WHERE state IN ('running', 'queued', 'scheduled', 'restarting') AND dag_id LIKE 'dag_%%'",
        )[0][0]
    )
    assert manifest.paused == dict(ask(source, "SELECT dag_id, is_paused FROM dag WHERE dag_id LIKE 'dag_%%'"))
    assert manifest.unknown_tables == []
    assert manifest.exported_snapshot


@pytest.mark.usually_once
def test_the_state_does_not_grow_with_history(sides: Callable[..., Side]) -> None:
    rows = []
    for runs in (8, 60):
        side = sides("empty")
        with cursor_on(side) as cursor:
            World(cursor, seed=3, fernet=Fernet(side.fernet_key), dags=3, runs=runs).fill()
        entry = side.snapshot(SNAPSHOT).table("dag_run")
        assert entry is not None
        rows.append(entry.objects[0].rows)
    assert rows[0] <= rows[1] <= rows[0] + 6


@pytest.mark.usually_once
def test_every_table_is_read_as_of_one_instant(sides: Callable[..., Side]) -> None:
    """Failure covered: one query per table in separate sessions: a task instance without its run breaks the restore."""
    source = sides("source")
    stop = threading.Event()
    writer = threading.Thread(target=keep_adding_runs, args=(source, stop))
    writer.start()
    try:
        manifests = [source.snapshot(f"20260401T00000{n}Z-0000000d") for n in range(3)]
    finally:
        stop.set()
        writer.join()
    for manifest in manifests:
        target = sides("empty", environment=source.environment)
        target.restore_state(manifest.snapshot_id)
        target.restore_history(manifest.snapshot_id)
        # The writer commits a run, its task instance and its XCom together.
        added = ask(
            target,
            """SELECT (SELECT count(*) FROM dag_run WHERE dag_id = 'busy'),
            (SELECT count(*) FROM task_instance WHERE dag_id = 'busy'),
            (SELECT count(*) FROM xcom WHERE dag_id = 'busy')""",
        )[0]
        assert added[0] == added[1] == added[2]


def keep_adding_runs(side: Side, stop: threading.Event) -> None:
    connection = psycopg2.connect(side.dsn)
    number = 0
    while not stop.is_set():
        number += 1
        with connection, connection.cursor() as cursor:
            rows, date = Rows(cursor, seed=number), EPOCH + timedelta(seconds=number)
            key: dict[str, Any] = {"dag_id": "busy", "run_id": f"run {number}"}
            dag_run = rows.insert("dag_run", run_type="manual", state="success", clear_number=0, **key, **dated(date))
            key |= {"task_id": "t", "map_index": -1}
            rows.insert("task_instance", pool="p", pool_slots=1, state="success", **key)
            rows.insert("xcom", dag_run_id=dag_run, key="k", timestamp=date, **key)
    connection.close()


@pytest.mark.any_airflow
def test_a_locked_table_is_waited_for_with_the_cut_exported(sides: Callable[..., Side], cluster: Cluster) -> None:
    """An auditor who holds a carried table has all the time to read the same cut through the exported snapshot."""
    source = sides("source")
    holder = psycopg2.connect(source.dsn)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
    taking = threading.Thread(target=source.snapshot, args=(SNAPSHOT,))
    taking.start()
    try:
        auditor = psycopg2.connect(cluster.dsn("postgres", "postgres"))
        auditor.autocommit = True
        with auditor.cursor() as cursor:
            exported = until("the cut is exported", lambda: exported_snapshots(cursor), 60)
            until("it waits for the table", lambda: waiting_for_lock(cursor), 60)
        auditor.close()
        ask(source, "DELETE FROM log")
        reader = psycopg2.connect(source.dsn)
        reader.set_session(isolation_level="REPEATABLE READ")
        with reader.cursor() as cursor:
            cursor.execute("SET TRANSACTION SNAPSHOT %s", (exported[0],))
            cursor.execute("SELECT count(*) FROM log WHERE dag_id IS DISTINCT FROM 'continuity_snapshot'")
            (seen,) = cursor.fetchone() or (None,)
        reader.close()
    finally:
        holder.close()
        taking.join()
    manifest = source.store.read_json(SNAPSHOT, "manifest.json")
    assert manifest["exported_snapshot"] == exported[0]
    assert next(table["rows"] for table in manifest["tables"] if table["name"] == "log") == seen == 60


def exported_snapshots(cursor: psycopg2.extensions.cursor) -> list[str]:
    cursor.execute("SELECT pg_ls_dir('pg_snapshots')")
    return [name for (name,) in cursor.fetchall()]


def waiting_for_lock(cursor: psycopg2.extensions.cursor) -> list[str]:
    cursor.execute("SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return [query for (query,) in cursor.fetchall()]


@pytest.mark.usually_once
def test_a_secret_that_cannot_be_read_fails_the_snapshot_by_name(sides: Callable[..., Side]) -> None:
    """Failure covered: Fernet cipher text copied to an environment with another key: triggerer and scheduler go down
    on `InvalidToken`."""
    source = sides("source")
    foreign = Fernet(Fernet.generate_key()).encrypt(b"hidden").decode()
    ask(source, "UPDATE connection SET password = %s, is_encrypted = true WHERE conn_id = 'conn 7'", foreign)
    with pytest.raises(UnreadableSecret) as refused:
        source.snapshot(SNAPSHOT)
    assert "connection 'conn 7': password" in str(refused.value)
    assert foreign not in str(refused.value)
    assert source.store.read_if_present(SNAPSHOT, "manifest.json") is None


def test_no_secret_is_stored_in_clear_text(sides: Callable[..., Side]) -> None:
    """Failure covered: decrypted secrets left in files; connections and variables in clear text in S3."""
    source = sides("source")
    source.snapshot(SNAPSHOT)
    s3 = boto3.client("s3")
    listed = s3.list_objects_v2(Bucket=source.bucket, Prefix=source.store.key(SNAPSHOT, ""))["Contents"]
    sealed = [entry["Key"] for entry in listed if entry["Key"].endswith(".sealed")]
    assert [key.rsplit("/", 1)[1] for key in sealed] == ["connection.sealed", "trigger.sealed", "variable.sealed"]
    for key in sealed:
        body = s3.get_object(Bucket=source.bucket, Key=key)["Body"].read()
        assert b"\x1f\x8b" not in body[12:16], "sealed means encrypted, not packed"
    assert not any("variable" in entry["Key"] and entry["Key"].endswith(".gz") for entry in listed)


def test_the_audit_log_gives_no_secret_away(sides: Callable[..., Side]) -> None:
    """Failure covered: connections and variables in clear text in S3, here by way of Airflow's own audit log."""
    side = sides("empty")
    telling = ("api.variable.create", "connection.edit", "cli_variables_set")
    with cursor_on(side) as cursor:
        for event in (*telling, "trigger"):
            cursor.execute("INSERT INTO log (dttm, event, extra) VALUES (now(), %s, %s)", (event, f"value of {event}"))
    entry = side.snapshot(SNAPSHOT).table("log")
    assert entry is not None
    (stored,) = entry.objects
    found = boto3.client("s3").get_object(Bucket=side.bucket, Key=side.store.key(SNAPSHOT, stored.name))
    text = gzip.decompress(found["Body"].read()).decode()
    assert "value of trigger" in text
    for event in telling:
        assert event in text
        assert f"value of {event}" not in text


@pytest.mark.usually_once
def test_tables_can_be_chosen(sides: Callable[..., Side]) -> None:
    """Failure covered: a new Airflow version breaks it or drops columns: an unknown table is carried and reported."""
    source = sides("source", tables={"log": "skip", "dag_tag": "carry"})
    ask(source, "CREATE TABLE plugin_notes (id serial PRIMARY KEY, dag_id text, note text)")
    ask(source, "INSERT INTO plugin_notes (dag_id, note) VALUES ('dag_0', E'a\\nb'), ('continuity_beat', 'own')")
    manifest = source.snapshot(SNAPSHOT)
    assert manifest.table("log") is None
    assert manifest.table("dag_tag") is not None
    assert {"name": "log", "why": "settings say so"} in manifest.skipped
    assert manifest.unknown_tables == ["plugin_notes"]
    target = sides("target", environment=source.environment)
    ask(target, "CREATE TABLE plugin_notes (id serial PRIMARY KEY, dag_id text, note text)")
    ask(target, "INSERT INTO plugin_notes (dag_id, note) VALUES ('x', 'here')")
    target.restore_state(SNAPSHOT)
    assert ask(target, "SELECT dag_id, note FROM plugin_notes ORDER BY id") == [("x", "here"), ("dag_0", "a\nb")]


@pytest.mark.usually_once
@pytest.mark.any_airflow
@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"dag_run": "skip"}, "settings.tables.dag_run: .* pointing at rows"),
        ({"nowhere": "skip"}, "settings.tables.nowhere"),
    ],
)
def test_a_choice_of_tables_that_tears_rows_apart_is_refused(
    sides: Callable[..., Side], tables: dict[str, str], message: str
) -> None:
    """Failure covered: filters drop a parent and keep its child."""
    source = sides("source", tables=tables)
    with pytest.raises(BadInput, match=message):
        source.snapshot(SNAPSHOT)


@pytest.mark.any_airflow
def test_a_snapshot_is_completed_when_everything_is_written(
    sides: Callable[..., Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failure covered: the duration that is published is that of choosing what to write."""
    written: list[datetime] = []
    write = Writer.write

    def noted(self: Writer, piece: Piece) -> Written:
        done = write(self, piece)
        written.append(datetime.now(UTC))
        return done

    monkeypatch.setattr(Writer, "write", noted)
    manifest = sides("source").snapshot(SNAPSHOT)
    assert len(written) == len(manifest.tables)
    assert datetime.fromisoformat(manifest.started_at) < max(written) <= datetime.fromisoformat(manifest.completed_at)
