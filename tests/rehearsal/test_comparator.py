"""The comparator on real PostgreSQL dumps of the real Airflow schema: what it must accept, and what it must not."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
from cryptography.fernet import Fernet

from tests.postgres import SUPERUSER, Cluster, bin_dir, migrate
from tests.rehearsal import history
from tests.rehearsal.comparator import BadDump, Dump, Sides, TableResult, compare
from tests.rehearsal.sample_data import restored_before_live, restored_statements, source_statements

AIRFLOW = Path(__file__).resolve().parents[2] / "build" / "airflow" / "2.10.3" / "bin" / "airflow"
SOURCE_KEY = Fernet.generate_key().decode()
TARGET_KEY = Fernet.generate_key().decode()
SINCE = datetime(2026, 6, 1, tzinfo=UTC)


class Databases:
    """The source and both moments of the target, in one cluster; each test changes copies."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder

    def execute(self, dbname: str, statements: list[str]) -> None:
        connection = psycopg2.connect(self.cluster.dsn(dbname, SUPERUSER))
        with connection, connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # the order of statements need not follow keys
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    def dump(self, dbname: str, change: str = "") -> Dump:
        """A dump of a database as it is, or of a copy with one change."""
        if change:
            self.cluster.drop("changed")
            self.cluster.create("changed", template=dbname)
            self.execute("changed", [change])
        path = self.folder / f"{dbname}.sql"
        read = self.cluster.dsn("changed" if change else dbname)
        command = [str(bin_dir() / "pg_dump"), "--format=plain", "--no-owner", f"--file={path}", read]
        subprocess.run(command, check=True, env={"PGTZ": "UTC"})
        return Dump(path)

    def compare(
        self, state: str = "", end: str = "", paused: dict[str, bool] | None = None, *, was_cut_off: bool = False
    ) -> dict[str, TableResult]:
        """Results per table, with one change to each moment of the target."""
        sides = Sides(
            self.dump("source"),
            self.dump("state", state),
            self.dump("target", end),
            SOURCE_KEY,
            TARGET_KEY,
            SINCE,
            paused=paused,
            was_cut_off=was_cut_off,
        )
        return {result.name: result for result in compare(sides)}


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    # Not pytest's own temporary folder: that one is closed to the user PostgreSQL runs as.
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="comparator-")))
        folder.chmod(0o755)
        cluster = stack.enter_context(Cluster(folder / "cluster"))
        migrate(cluster, "source", AIRFLOW, SOURCE_KEY)
        made = Databases(cluster, folder)
        made.execute("source", source_statements(SOURCE_KEY))
        cluster.create("target", template="source")
        made.execute("target", restored_statements(TARGET_KEY))
        cluster.create("state", template="target")
        made.execute("state", restored_before_live())
        yield made


def wrong(results: dict[str, TableResult]) -> dict[str, int]:
    return {name: result.mismatched for name, result in results.items() if result.mismatched}


def test_a_right_copy_with_shifted_ids_passes(databases: Databases) -> None:
    results = databases.compare()
    assert wrong(results) == {}, [line for result in results.values() for line in result.differences]
    for name in (
        "dag_run",
        "task_instance",
        "xcom",
        "log",
        "connection",
        "variable",
        "trigger",
        "dataset_dag_run_queue",
    ):
        assert results[name].rows_source == results[name].rows_restored > 0, name
    assert "serialized_dag" not in results


@pytest.mark.parametrize(
    ("dag_id", "was_cut_off", "accepted"), [("NULL", True, True), ("NULL", False, False), ("'killed'", True, False)]
)
def test_only_processes_of_a_target_that_was_cut_off_may_be_left(
    databases: Databases, dag_id: str, was_cut_off: bool, accepted: bool
) -> None:
    left = f"""INSERT INTO job (id, dag_id, state, job_type, start_date, latest_heartbeat)
        VALUES (900001, {dag_id}, 'running', 'TriggererJob', '2026-05-01', '2026-05-31')"""  # noqa: S608
    found = wrong(databases.compare(left, left, was_cut_off=was_cut_off))
    assert found == ({} if accepted else {"job": 1})


BOTH = [
    (
        "one flipped byte in an XCom",
        "xcom",
        "UPDATE xcom SET value = set_byte(value, 0, get_byte(value, 0) # 1) WHERE key = 'return_value'",
    ),
    ("one missing row", "xcom", "DELETE FROM xcom WHERE key = 'other'"),
    (
        "a run without its task instance",
        "task_instance",
        "DELETE FROM task_instance WHERE task_id = 'mapped' AND map_index = 1",
    ),
    (
        "a wrong secret",
        "variable",
        "UPDATE variable SET val = (SELECT val FROM variable WHERE key = 'plain_secret') WHERE key = 'nasty'",
    ),
    (
        "cipher text of the lost environment",
        "connection",
        "UPDATE connection SET password = 'gAAAAABh' || repeat('A', 92) WHERE conn_id = 'warehouse'",
    ),
    ("NULL became an empty string", "connection", "UPDATE connection SET schema = '' WHERE conn_id = 'warehouse'"),
    ("an empty string became NULL", "connection", "UPDATE connection SET host = NULL WHERE conn_id = 'warehouse'"),
    ("a NULL port became 0", "connection", "UPDATE connection SET port = 0 WHERE conn_id = 'warehouse'"),
    (
        "a line end was changed",
        "variable",
        "UPDATE variable SET description = replace(description, E'\\r\\n', E'\\n') WHERE key = 'nasty'",
    ),
    (
        "an XCom that kept the old id of its run",
        "xcom",
        "UPDATE xcom SET dag_run_id = dag_run_id - 1000 WHERE key = 'return_value'",
    ),
    (
        "a note on another run",
        "dag_run_note",
        "UPDATE dag_run_note SET dag_run_id = (SELECT max(id) FROM dag_run WHERE dag_id = 'reports')",
    ),
    (
        "a log row inserted twice",
        "log",
        "INSERT INTO log (id, dttm, event, extra) SELECT id + 5000, dttm, event, extra FROM log WHERE event = 'nasty'",
    ),
    ("an extra variable", "variable", "INSERT INTO variable (key, val, is_encrypted) VALUES ('uninvited', 'x', false)"),
    ("one id off the shift", "dag_run", "UPDATE dag_run SET id = id + 7 WHERE run_id = 'scheduled__2'"),
    (
        "a job that still runs",
        "job",
        "UPDATE job SET state = 'running' WHERE dag_id IS NULL AND start_date < '2026-06-01'",
    ),
    ("a queue entry of a dataset lost", "dataset_dag_run_queue", "DELETE FROM dataset_dag_run_queue"),
    ("another log template", "dag_run", "UPDATE dag_run SET log_template_id = NULL WHERE run_id = 'scheduled__1'"),
]


@pytest.mark.parametrize(("what", "table", "change"), BOTH, ids=[case[0] for case in BOTH])
def test_a_difference_is_found_and_named(databases: Databases, what: str, table: str, change: str) -> None:
    """Failure covered: NULL and '' swapped, line ends changed, ids regenerated, `log` doubled, cipher text copied."""
    results = databases.compare(state=change, end=change)
    assert results[table].mismatched >= 1, what
    assert results[table].differences[0].startswith(f"{table} (")
    assert set(wrong(results)) == {table}


BEFORE_LIVE = [
    ("a DAG not paused", "dag", "UPDATE dag SET is_paused = false WHERE dag_id = 'reports'"),
    (
        "a trigger before its time",
        "trigger",
        "INSERT INTO trigger SELECT id + 40, classpath, kwargs, created_date FROM (VALUES (1, 'x', '{}',"
        " timestamptz '2026-01-01')) AS t (id, classpath, kwargs, created_date)",
    ),
    (
        "a time-out that runs through the outage",
        "task_instance",
        "UPDATE task_instance SET trigger_timeout = '2026-01-04 00:00:00' WHERE state = 'deferred'",
    ),
    (
        "the time-out of what is not deferred lost",
        "task_instance",
        "UPDATE task_instance SET trigger_timeout = NULL WHERE run_id = 'scheduled__1'",
    ),
    ("left in flight", "task_instance", "UPDATE task_instance SET state = 'running' WHERE task_id = 'slow'"),
    (
        "a run that someone started",
        "dag_run",
        'INSERT INTO dag_run SELECT (r).* FROM (SELECT jsonb_populate_record(d, \'{"id": 9999, "run_id": '
        '"scheduled__9", "execution_date": "2026-07-01T00:00:00Z"}\') AS r FROM dag_run d WHERE run_id = '
        "'scheduled__1') AS made",
    ),
    ("an unfinished run restored too late", "dag_run", "DELETE FROM dag_run WHERE run_id = 'scheduled__3'"),
]


@pytest.mark.parametrize(("what", "table", "change"), BEFORE_LIVE, ids=[case[0] for case in BEFORE_LIVE])
def test_a_difference_before_going_live_is_found(databases: Databases, what: str, table: str, change: str) -> None:
    assert table in wrong(databases.compare(state=change)), what


AT_END = [
    ("a DAG paused at the cut was unpaused", "dag", "UPDATE dag SET is_paused = false WHERE dag_id = 'dormant'"),
    ("a trigger was never inserted", "trigger", "DELETE FROM trigger"),
    ("a task instance waits for no trigger", "task_instance", "UPDATE task_instance SET trigger_id = NULL"),
    ("a finished run was changed", "dag_run", "UPDATE dag_run SET state = 'failed' WHERE run_id = 'scheduled__1'"),
    (
        "history of a finished run grew",
        "task_fail",
        "INSERT INTO task_fail (id, dag_id, task_id, run_id, map_index) VALUES (777, 'reports', 'fast', "
        "'scheduled__1', -1)",
    ),
]


@pytest.mark.parametrize(("what", "table", "change"), AT_END, ids=[case[0] for case in AT_END])
def test_a_difference_at_the_end_is_found(databases: Databases, what: str, table: str, change: str) -> None:
    """Failure covered: a DAG paused in the primary is unpaused by the next drill; a trigger is lost."""
    assert table in wrong(databases.compare(end=change)), what


def test_flags_are_compared_with_what_they_were_before_a_drain(databases: Databases) -> None:
    """Failure covered: what a drain had paused stays paused when the environment comes back."""
    drained = {"reports": True, "dormant": False}
    assert "dag" in wrong(databases.compare(paused=drained))
    assert wrong(databases.compare(end="UPDATE dag SET is_paused = NOT is_paused", paused=drained)) == {}


def test_a_difference_in_a_secret_does_not_show_it(databases: Databases) -> None:
    change = "UPDATE variable SET val = (SELECT val FROM variable WHERE key = 'plain_secret') WHERE key = 'nasty'"
    (line,) = databases.compare(state=change, end=change)["variable"].differences
    assert "val: <secret> became <secret>" in line
    assert "hunter2" not in line


#: Every id of a long history is another one, as after a restore.
SHIFTED = [
    f"UPDATE {table} SET {column} = {column} + {by} WHERE starts_with(dag_id, '{history.PREFIX}')"  # noqa: S608
    for table, column, by in (
        ("dag_run", "id", 200_000),
        ("xcom", "dag_run_id", 200_000),
        ("job", "id", 3000),
        ("task_instance", "job_id", 3000),
        ("task_instance", "queued_by_job_id", 3000),
        ("log", "id", 1_000_000),
    )
]


@pytest.fixture(scope="module")
def grown(databases: Databases) -> str:
    """A database with a long history; `regrown` is the same with other ids."""
    databases.cluster.create("grown", template="source")
    # The sample's rows have ids of their own.
    databases.execute("grown", [f"SELECT setval('{name}_id_seq', 100000)" for name in ("dag_run", "job", "log")])
    history.load(databases.cluster.url("grown"), history.AT_LEAST)
    databases.cluster.create("regrown", template="grown")
    databases.execute("regrown", SHIFTED)
    return "grown"


IN_HISTORY = [
    ("nothing", {}, "SELECT 1"),
    ("a value", {"task_instance": 1}, "UPDATE task_instance SET duration = 0.25 WHERE task_id = 'task_0' AND IN_LAST"),
    ("NULL and an empty text", {"xcom": 1}, "UPDATE xcom SET value = '' WHERE task_id = 'task_0' AND IN_LAST"),
    ("a missing row", {"log": 1}, "DELETE FROM log WHERE id = (SELECT max(id) FROM log)"),
    ("a row too many", {"job": 1}, "INSERT INTO job (id, dag_id) VALUES (900000, 'history_dag_0')"),
    ("one id off the shift", {"dag_run": 2}, "UPDATE dag_run SET id = id + 7 WHERE IN_LAST"),
    ("a flag", {"dag": 1}, "UPDATE dag SET is_paused = false WHERE dag_id = 'history_dag_7'"),
]
#: In the last run of the history.
IN_LAST = """(dag_id, run_id) = (SELECT dag_id, run_id FROM dag_run WHERE id =
    (SELECT max(id) FROM dag_run WHERE starts_with(dag_id, 'history_')))"""


@pytest.mark.parametrize(("what", "found", "change"), IN_HISTORY, ids=[case[0] for case in IN_HISTORY])
def test_a_long_history_is_compared_row_by_row(
    databases: Databases, grown: str, what: str, found: dict[str, int], change: str
) -> None:
    cluster = databases.cluster
    cluster.drop("changed")
    cluster.create("changed", template="regrown")
    databases.execute("changed", [change.replace("IN_LAST", IN_LAST)])
    results = history.compare(cluster.url(grown), cluster.url("changed"))
    assert {r.name: r.mismatched for r in results if r.mismatched} == {f"{t} (history)": n for t, n in found.items()}
    assert {r.name: r.rows_source for r in results}["task_instance (history)"] == history.AT_LEAST
    assert all(r.rows_source for r in results), what


def test_a_long_history_is_left_out_of_a_dump(databases: Databases, grown: str) -> None:
    without, small = Dump(databases.dump(grown).path, without=history.PREFIX), databases.dump("source")
    for table in history.TABLES:
        assert list(without.rows(table)) == list(small.rows(table)), table


def test_a_truncated_dump_is_refused(databases: Databases, tmp_path: Path) -> None:
    whole = databases.dump("source").path.read_bytes()
    cut = tmp_path / "cut.sql"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadDump, match="cut off"):
        Dump(cut)
