"""The instant as of which a snapshot reads every table."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

from continuity import lanes

log = logging.getLogger(__name__)

#: The transaction holds back vacuum, so it may not last for ever; but a table that someone locks is waited for.
LIMITS = {
    "statement_timeout": "45min",
    "lock_timeout": "15min",
    "idle_in_transaction_session_timeout": "1h",  # one of two sessions may wait for the other's longest statement
}
#: How values are printed must not depend on the session that prints them.
PLAIN_FORMATS = {
    "client_encoding": "UTF8",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
#: Compiling a query takes longer than running any of ours; sorting every run stays in memory, which is given back.
PLANS = {"jit": "off", "work_mem": "32MB"}
#: Rows of a base come as they lie, from the first page on.
AS_THEY_LIE = {"synchronize_seqscans": "off", "max_parallel_workers_per_gather": "0"}
OF_CUT = {**LIMITS, **PLAIN_FORMATS, **PLANS, **AS_THEY_LIE}


@dataclass(frozen=True)
class Cut:
    """The instant of a snapshot: everything read through `cursor` is as of then."""

    cursor: Any
    exported_snapshot: str | None
    at: datetime


@contextmanager
def consistent_cut(connection: Any) -> Iterator[Cut]:
    """One REPEATABLE READ READ ONLY transaction, exported before the first table is read."""
    connection.rollback()
    connection.set_session(isolation_level=extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True, autocommit=False)
    with connection.cursor() as cursor:
        try:
            cut = _begin(cursor, export=True)
        except psycopg2.Error as error:  # a proxy between us and the database may not allow it
            if connection.closed:
                raise
            log.warning("the database exports no snapshot (%s); only this transaction sees the cut", error.pgcode)
            connection.rollback()
            cut = _begin(cursor, export=False)
        try:
            yield cut
        finally:
            if not connection.closed:  # what ended it is what is to be told
                connection.rollback()


def _begin(cursor: Any, export: bool) -> Cut:
    lanes.set_local(cursor, OF_CUT)
    exported = "pg_export_snapshot()" if export else "NULL"
    cursor.execute(sql.SQL("SELECT {}, statement_timestamp()").format(sql.SQL(exported)))
    exported_snapshot, at = cursor.fetchone()
    return Cut(cursor, exported_snapshot, at.astimezone(UTC))
