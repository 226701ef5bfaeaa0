"""What happens to a metadata database between two snapshots: rows come, change and go, in transactions that may stay
open over several cuts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import sql

from tests.integration.engine.oracle import dated
from tests.integration.engine.rows import EPOCH, Rows
from tests.integration.engine.worker import Side

#: A column that may be written over in each table with history.
CHANGED = {
    "dag_run": "queued_at",
    "task_instance": "hostname",
    "log": "owner",
    "job": "hostname",
    "dag_run_note": "content",
    "task_reschedule": "duration",
}
VALUES = {"queued_at": (EPOCH, EPOCH.replace(month=5)), "duration": (1, 2)}
DELETED = ("log", "xcom", "task_reschedule", "rendered_task_instance_fields", "dag_run_note", "task_instance_note")
#: How long a change waits for a row that an open transaction holds before it is left out.
PATIENCE = "200ms"


@dataclass
class History:
    """Changes one database; every change is one of `kinds` and a number drawn by lot."""

    side: Side
    happened: int = 0
    open: list[Any] = field(default_factory=list)

    def happen(self, kind: str, lot: int) -> None:
        """One change, committed at once. It is left out where an open transaction stands in the way."""
        self.happened += 1
        if kind in ("vacuum", "vacuum_full"):
            self._tidy("VACUUM FULL" if kind == "vacuum_full" else "VACUUM", lot)
        elif kind == "begin":
            self._begin(lot)
        elif kind in ("commit", "roll_back"):
            self._end(lot, commit=kind == "commit")
        else:
            connection = self._connect()
            try:
                with connection, connection.cursor() as cursor:
                    self.changes[kind](self, cursor, lot)
            except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
                connection.rollback()
            finally:
                connection.close()

    def give_up(self) -> None:
        """Roll back what is still open."""
        while self.open:
            self._end(0, commit=False)

    def _connect(self) -> Any:
        connection = psycopg2.connect(self.side.dsn, options=f"-c lock_timeout={PATIENCE}")
        connection.set_session(isolation_level="READ COMMITTED")
        return connection

    def _begin(self, lot: int) -> None:
        """A transaction that has written, and stays open. Its rows are new: nobody waits for them."""
        connection = self._connect()
        with connection.cursor() as cursor:
            self._insert(cursor, lot)
        self.open.append(connection)

    def _end(self, lot: int, *, commit: bool) -> None:
        if not self.open:
            return
        connection = self.open.pop(lot % len(self.open))
        if commit:
            connection.commit()
        else:
            connection.rollback()
        connection.close()

    def _tidy(self, command: str, lot: int) -> None:
        """What autovacuum does, or an administrator: pages get room again, or a table another file."""
        connection = self._connect()
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                table = sorted(CHANGED)[lot % len(CHANGED)]
                cursor.execute(sql.SQL("{} {}").format(sql.SQL(command), sql.Identifier(table)))
        except psycopg2.errors.LockNotAvailable:
            return
        finally:
            connection.close()

    def _insert(self, cursor: Any, lot: int) -> None:
        """A run with task instances and what hangs on them."""
        rows = Rows(cursor, lot)
        dag_id, run_id = f"dag_{lot % 6}", f"manual__{self.happened}_{lot}"
        moment = EPOCH.replace(year=2026 + lot % 3, microsecond=self.happened, second=lot % 60)
        run = rows.insert(
            "dag_run",
            dag_id=dag_id,
            run_id=run_id,
            run_type="manual",
            state=("success", "failed", "running", "queued")[lot % 4],
            **dated(moment),
        )
        for task in range(1 + lot % 4):
            key = {"dag_id": dag_id, "task_id": f"task_{task}", "run_id": run_id, "map_index": -1}
            rows.insert("task_instance", **key, state=("success", "failed", None)[lot % 3], pool="default_pool")
            rows.insert("xcom", **key, dag_run_id=run, key="return_value", timestamp=moment)
        rows.insert("log", dttm=moment, dag_id=dag_id, event=f"event {lot}", run_id=run_id)

    def _update(self, cursor: Any, lot: int) -> None:
        table, column = sorted(CHANGED.items())[lot % len(CHANGED)]
        known = VALUES.get(column, (f"written {self.happened}",))
        cursor.execute(
            sql.SQL("UPDATE {} SET {} = %s WHERE ctid = {}").format(
                sql.Identifier(table), sql.Identifier(column), lying_nth(table, lot)
            ),
            (known[lot % len(known)],),
        )

    def _finish(self, cursor: Any, lot: int) -> None:
        """A run ends: it may leave the state for the history."""
        self._set_run(cursor, lot, "success")

    def _clear(self, cursor: Any, lot: int) -> None:
        """A run of long ago is to run again: it comes back from the history into the state."""
        self._set_run(cursor, lot, None)

    @staticmethod
    def _set_run(cursor: Any, lot: int, state: str | None) -> None:
        cursor.execute(
            sql.SQL("UPDATE dag_run SET state = %s, end_date = %s WHERE ctid = {} RETURNING dag_id, run_id").format(
                lying_nth("dag_run", lot)
            ),
            (state or "queued", EPOCH.replace(month=5) if state else None),
        )
        for dag_id, run_id in cursor.fetchall():
            cursor.execute(
                """UPDATE task_instance SET state = %s, trigger_id = NULL, trigger_timeout = NULL
                WHERE (dag_id, run_id) = (%s, %s)""",
                (state, dag_id, run_id),
            )

    @staticmethod
    def _delete_run(cursor: Any, lot: int) -> None:
        cursor.execute(sql.SQL("DELETE FROM dag_run WHERE ctid = {}").format(lying_nth("dag_run", lot)))

    @staticmethod
    def _delete(cursor: Any, lot: int) -> None:
        table = DELETED[lot % len(DELETED)]
        cursor.execute(sql.SQL("DELETE FROM {} WHERE ctid = {}").format(sql.Identifier(table), lying_nth(table, lot)))

    @staticmethod
    def _prune(cursor: Any, lot: int) -> None:
        """The oldest go, as `airflow db clean` has it."""
        cursor.execute(
            "DELETE FROM log WHERE id IN (SELECT id FROM log ORDER BY id LIMIT (SELECT count(*) / %s FROM log))",
            (2 + lot % 5,),
        )
        cursor.execute(
            """DELETE FROM dag_run WHERE state IN ('success', 'failed') AND id IN (
            SELECT id FROM dag_run ORDER BY id LIMIT (SELECT count(*) / %s FROM dag_run))""",
            (3 + lot % 7,),
        )

    changes: dict[str, Callable[[History, Any, int], None]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.changes = {
            "insert": History._insert,
            "update": History._update,
            "finish": History._finish,
            "clear": History._clear,
            "delete_run": lambda _self, cursor, lot: History._delete_run(cursor, lot),
            "delete": lambda _self, cursor, lot: History._delete(cursor, lot),
            "prune": lambda _self, cursor, lot: History._prune(cursor, lot),
        }


#: What may happen, and how often in comparison.
KINDS = (
    *("insert", "update", "finish", "clear", "delete_run", "delete") * 2,
    *("prune", "begin", "begin", "commit", "commit", "roll_back", "vacuum", "vacuum_full"),
)


def lying_nth(table: str, lot: int) -> sql.Composed:
    """Where some row of a table lies, as SQL."""
    return sql.SQL(
        "(SELECT ctid FROM {0} ORDER BY ctid OFFSET (SELECT mod({1}, GREATEST(count(*), 1)) FROM {0}) LIMIT 1)"
    ).format(sql.Identifier(table), sql.Literal(lot))
