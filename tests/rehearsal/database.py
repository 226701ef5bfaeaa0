"""The metadata databases from outside: the exact cut, dumps of it, and an audit of triggers."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions

from tests.postgres import bin_dir
from tests.rehearsal.comparator import OWN_PREFIX

#: Tables that no scheduler waits for, also not by a foreign key that follows updates, as notes follow a task instance
#: to its next try: of Airflow 2, and 3, where only what records an asset event reads it.
GATES = ("sla_miss", "asset_alias_asset")


#: States of a task instance that was handed to an executor.
EXECUTES = ("queued", "running", "restarting")


class NoCut(Exception):
    """The snapshot's transaction did not show up; the message says what was there."""


def dsn(database_url: str) -> str:
    """libpq's form of SQLAlchemy's URL."""
    return database_url.replace("postgresql+psycopg2://", "postgresql://", 1)


def query(database_url: str, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Rows of one statement."""
    connection = psycopg2.connect(dsn(database_url))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def exists(database_url: str) -> bool:
    """Whether the database is there. Raises psycopg2.OperationalError where its server does not answer."""
    try:
        query(database_url, "SELECT 1")
    except psycopg2.OperationalError as error:
        if "does not exist" not in str(error):
            raise
        return False
    return True


def paused_flags(database_url: str) -> dict[str, bool]:
    """Paused flags of the user's DAGs."""
    statement = "SELECT dag_id, is_paused FROM dag WHERE NOT starts_with(dag_id, %s)"
    return {row[0]: row[1] for row in query(database_url, statement, (OWN_PREFIX,))}


def executing(database_url: str) -> list[tuple[str, str, str, int]]:
    """Task instances of the user's DAGs that were handed to an executor: what a drain waits for."""
    statement = """SELECT dag_id, run_id, task_id, map_index FROM task_instance
        WHERE state = ANY (%s) AND NOT starts_with(dag_id, %s)"""
    rows = query(database_url, statement, (list(EXECUTES), OWN_PREFIX))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def dump(database_url: str, snapshot: str, path: Path) -> Path:
    """`pg_dump` of an exported snapshot, schema and rows, times in UTC."""
    command = [str(bin_dir() / "pg_dump"), "--format=plain", "--no-owner", f"--snapshot={snapshot}", f"--file={path}"]
    environment = {**os.environ, "PGTZ": "UTC"}
    done = subprocess.run([*command, dsn(database_url)], env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pg_dump failed: {done.stderr.strip()}")
    return path


@contextmanager
def frozen(database_url: str, imported: str | None = None) -> Iterator[tuple[str, Any]]:
    """A REPEATABLE READ transaction, of now or of somebody's exported snapshot; yields its own export and a cursor."""
    connection = psycopg2.connect(dsn(database_url))
    connection.set_session(isolation_level=extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    try:
        with connection.cursor() as cursor:
            if imported:
                cursor.execute("SET TRANSACTION SNAPSHOT %s", (imported,))
            cursor.execute("SELECT pg_export_snapshot()")
            ((exported,),) = cursor.fetchall()
            yield exported, cursor
    finally:
        connection.rollback()
        connection.close()


def dump_of_now(database_url: str, path: Path) -> Path:
    """A consistent dump as of this moment."""
    with frozen(database_url) as (exported, _):
        return dump(database_url, exported, path)


class Gate:
    """Holds the snapshot engine at one table until its exported snapshot has been imported here.

    The engine exports its snapshot before it reads anything; the export is gone with its transaction. So a table is
    locked before the snapshot starts, and one of the engine's sessions waits for it. The one that exported is told by
    its snapshot being there to import, as nobody else exports any: the name of an exported snapshot is the virtual
    transaction it belongs to.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        present = query(database_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        self._table = next(name for name in GATES if (name,) in present)
        self._lock = psycopg2.connect(dsn(database_url))
        with self._lock.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {self._table} IN ACCESS EXCLUSIVE MODE")

    def dump_cut(self, path: Path, seconds: float, still_going: Callable[[], None]) -> str:
        """Wait for the engine, dump what it sees, let it go on; returns the name of its exported snapshot."""
        deadline = time.monotonic() + seconds
        while not (name := self._dump_of_waiting(path)):
            still_going()
            if time.monotonic() > deadline:
                raise NoCut(f"nobody who had exported a snapshot waited to read {self._table} within {seconds:.0f} s")
            time.sleep(0.3)
        return name

    def _dump_of_waiting(self, path: Path) -> str:
        """Dump what the engine sees once one of its sessions may wait; its exported snapshot's name, or ""."""
        for transaction in self._open_transactions():
            backend, number = transaction.split("/")
            name = f"{int(backend):08X}-{int(number):08X}-1"
            try:
                with frozen(self._url, imported=name) as (exported, _):
                    self.open()
                    dump(self._url, exported, path)
            except psycopg2.errors.InvalidParameterValue:  # somebody of Airflow's, who exported nothing
                continue
            return name
        return ""

    def open(self) -> None:
        """Let the engine pass."""
        if not self._lock.closed:
            self._lock.rollback()
            self._lock.close()

    def _open_transactions(self) -> list[str]:
        """Virtual transactions of this database, while somebody waits to read the table."""
        rows = query(
            self._url,
            """SELECT DISTINCT l.virtualtransaction FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
            AND EXISTS (SELECT 1 FROM pg_locks w WHERE w.relation = to_regclass(%s) AND NOT w.granted
                        AND w.mode = 'AccessShareLock')""",
            (self._table,),
        )
        return [row[0] for row in rows]


def install_audit(database_url: str) -> None:
    """Keep a copy of every trigger that is ever inserted, and of every link of a task instance to one.

    Triggers fire and are deleted within seconds of going live: a dump would come too late to see them.
    """
    query(database_url, AUDIT_SQL)


AUDIT_SQL = """
CREATE SCHEMA rehearsal_audit;
CREATE TABLE rehearsal_audit.trigger AS SELECT * FROM public.trigger WITH NO DATA;
CREATE TABLE rehearsal_audit.link (dag_id text, task_id text, run_id text, map_index integer, trigger_id integer);
CREATE FUNCTION rehearsal_audit.keep_trigger() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO rehearsal_audit.trigger SELECT NEW.*; RETURN NULL; END $$;
CREATE FUNCTION rehearsal_audit.keep_link() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO rehearsal_audit.link VALUES (NEW.dag_id, NEW.task_id, NEW.run_id, NEW.map_index, NEW.trigger_id);
     RETURN NULL; END $$;
CREATE TRIGGER keep_trigger AFTER INSERT ON public.trigger FOR EACH ROW
  EXECUTE FUNCTION rehearsal_audit.keep_trigger();
CREATE TRIGGER keep_link AFTER INSERT OR UPDATE OF trigger_id ON public.task_instance FOR EACH ROW
  WHEN (NEW.trigger_id IS NOT NULL) EXECUTE FUNCTION rehearsal_audit.keep_link();
"""
AUDITED_TRIGGERS = "rehearsal_audit.trigger"
AUDITED_LINKS = "rehearsal_audit.link"
