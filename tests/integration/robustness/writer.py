"""What a busy scheduler does to a metadata database: runs are written, advanced and cleared away, in transactions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg2

from tests.integration.engine.rows import EPOCH, Rows
from tests.integration.engine.worker import Side

DAG_ID = "busy"
TASKS = ("one", "other")
#: Runs that the writers keep; older ones are deleted, as clean-up jobs do.
KEPT = 300
PER_SECOND = 50
WRITERS = 2

#: Every run has both task instances, in the same state, and an XCom of each; a reader that sees a run in part, or
#: pieces without their run, sees no cut.
TORN = """SELECT r.run_id FROM dag_run r
    WHERE r.dag_id = 'busy' AND (
        (SELECT count(*) FROM task_instance t WHERE (t.dag_id, t.run_id) = (r.dag_id, r.run_id)) <> 2
        OR (SELECT count(DISTINCT COALESCE(t.state, '-')) FROM task_instance t
            WHERE (t.dag_id, t.run_id) = (r.dag_id, r.run_id)) <> 1
        OR (SELECT count(*) FROM xcom x WHERE (x.dag_id, x.run_id) = (r.dag_id, r.run_id)) <> 2)
    UNION ALL SELECT x.run_id FROM xcom x WHERE x.dag_id = 'busy'
        AND NOT EXISTS (SELECT 1 FROM dag_run r WHERE r.id = x.dag_run_id AND r.run_id = x.run_id)
    UNION ALL SELECT t.run_id FROM task_instance t WHERE t.dag_id = 'busy'
        AND NOT EXISTS (SELECT 1 FROM dag_run r WHERE (r.dag_id, r.run_id) = (t.dag_id, t.run_id))"""


@dataclass
class Busy:
    """Writers at work on one database; runs: how many they wrote; longest: of any statement or commit, in seconds."""

    side: Side
    runs: int = 0
    longest: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, writer: int) -> None:
        try:
            connection = psycopg2.connect(self.side.dsn)
            try:
                with connection, connection.cursor() as cursor:
                    rows = Rows(cursor, seed=1000 + writer)  # ids unlike those of the source
                number = writer
                while not self.stop.is_set():
                    began = time.monotonic()
                    with connection, connection.cursor() as cursor:
                        rows.cursor = cursor
                        add_run(rows, number)
                        advance(cursor, number - 10 * WRITERS)
                        clear_away(cursor, number - KEPT)
                    took = time.monotonic() - began
                    with self.lock:
                        self.runs += 1
                        self.longest = max(self.longest, took)
                    number += WRITERS
                    self.stop.wait(max(0.0, WRITERS / PER_SECOND - took))
            finally:
                connection.close()
        except BaseException as error:  # noqa: BLE001  (told where the writers are waited for)
            self.failures.append(error)


@contextmanager
def busy(side: Side) -> Iterator[Busy]:
    """Writers at work while the block runs, from their first hundred runs on."""
    add_dag(side)
    work = Busy(side)
    writers = [
        threading.Thread(target=work.write, args=(number,), name=f"writer-{number}") for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    try:
        while work.runs < 100 and not work.failures:
            time.sleep(0.02)
        yield work
    finally:
        work.stop.set()
        for writer in writers:
            writer.join()
    assert not work.failures, work.failures


def add_dag(side: Side) -> None:
    """The DAG whose runs are written, as the parser leaves it."""
    connection = psycopg2.connect(side.dsn)
    with connection, connection.cursor() as cursor:
        rows = Rows(cursor, seed=999)
        rows.insert("dag", dag_id=DAG_ID, is_paused=False, is_active=True, is_stale=False, bundle_name="dags-folder")
        version = rows.insert("dag_version", dag_id=DAG_ID, version_number=1, bundle_name="dags-folder")
        if version:
            rows.insert("serialized_dag", dag_id=DAG_ID, dag_version_id=version, dag_hash="0" * 32)
            rows.insert("dag_code", dag_id=DAG_ID, dag_version_id=version)
    connection.close()


def run_id(number: int) -> str:
    return f"scheduled__{number:08d}"


def add_run(rows: Rows, number: int) -> None:
    date = EPOCH + timedelta(seconds=number)
    dag_run = rows.insert(
        "dag_run",
        dag_id=DAG_ID,
        run_id=run_id(number),
        execution_date=date,
        logical_date=date,
        run_after=date,
        run_type="scheduled",
        state="running",
        start_date=date,
        clear_number=0,
        log_template_id=None,
    )
    for task_id in TASKS:
        key = {"dag_id": DAG_ID, "task_id": task_id, "run_id": run_id(number), "map_index": -1}
        rows.insert("task_instance", **key, state="running", try_number=1, pool="default_pool", pool_slots=1)
        rows.insert("xcom", dag_run_id=dag_run, **key, key="return_value", value=b'{"written": 1}', timestamp=date)


def advance(cursor: Any, number: int) -> None:
    """One task instance after the other, so that a torn read would show."""
    for task_id in TASKS:
        cursor.execute(
            "UPDATE task_instance SET state = 'success' WHERE dag_id = %s AND run_id = %s AND task_id = %s",
            (DAG_ID, run_id(number), task_id),
        )
    cursor.execute("UPDATE dag_run SET state = 'success' WHERE dag_id = %s AND run_id = %s", (DAG_ID, run_id(number)))


def clear_away(cursor: Any, number: int) -> None:
    cursor.execute("DELETE FROM dag_run WHERE dag_id = %s AND run_id = %s", (DAG_ID, run_id(number)))
