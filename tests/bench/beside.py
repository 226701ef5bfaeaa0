"""A session beside the work that does what a scheduler does, and how long it has to wait for each of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg2
from psycopg2 import errors

PERIOD_SECONDS = 0.05
#: The statements of one round, each committed by itself. A scheduler asks for the pools without patience: what it is
#: refused it asks for again in its next round.
STATEMENTS = {
    "lock the pools": "SELECT id FROM slot_pool ORDER BY id FOR UPDATE NOWAIT",
    "update a task instance": "UPDATE task_instance SET updated_at = now() WHERE (dag_id, run_id, task_id, map_index) ="
    " ('{dag_id}', '{run_id}', 'task_1', -1)",
    "update a run": "UPDATE dag_run SET last_scheduling_decision = now()"
    " WHERE (dag_id, run_id) = ('{dag_id}', '{run_id}')",
    "insert a job": "INSERT INTO job (dag_id, state, job_type) VALUES ('{dag_id}', 'success', 'LocalTaskJob')",
    "insert a log row": "INSERT INTO log (dttm, dag_id, event) VALUES (now(), '{dag_id}', 'running')",
}


@dataclass
class Waits:
    """By statement, the longest it took (or was refused for, one refusal after the other), in seconds; how many rounds
    there were."""

    longest: dict[str, float] = field(default_factory=dict)
    rounds: int = 0


@contextmanager
def scheduling_beside(dsn: str) -> Iterator[Waits]:
    """Do in a thread what a scheduler does with the newest run there is, until the block ends."""
    waits, over, failed = Waits(dict.fromkeys(STATEMENTS, 0.0)), threading.Event(), []

    def act() -> None:
        try:
            _act(dsn, waits, over.wait)
        except psycopg2.Error as error:
            failed.append(error)

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()
    if failed:
        raise failed[0]


def _act(dsn: str, waits: Waits, pause: Callable[[float], bool]) -> None:
    refused_since: dict[str, float] = {}
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT dag_id, run_id FROM dag_run ORDER BY id DESC LIMIT 1")
        dag_id, run_id = cursor.fetchone()
        connection.rollback()
        while not pause(PERIOD_SECONDS):
            waits.rounds += 1
            for name, statement in STATEMENTS.items():
                began = time.monotonic()
                try:
                    cursor.execute(statement.format(dag_id=dag_id, run_id=run_id))
                    connection.commit()
                except errors.LockNotAvailable:
                    connection.rollback()
                    refused_since.setdefault(name, began)
                    continue
                since = refused_since.pop(name, began)
                waits.longest[name] = max(waits.longest[name], time.monotonic() - since)
