"""Transactions of a restore: short limits of their own, plain formats, and patience with whoever was there first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from psycopg2 import extensions

from continuity import lanes
from continuity.cut import PLAIN_FORMATS, PLANS

log = logging.getLogger(__name__)

LIMITS = {"statement_timeout": "2h", "lock_timeout": "5min", "idle_in_transaction_session_timeout": "10min"}
ATTEMPTS = 5

T = TypeVar("T")


@contextmanager
def transaction(connection: Any) -> Iterator[Any]:
    """A cursor in a transaction that commits when the block ends well."""
    connection.rollback()
    connection.set_session(isolation_level=extensions.ISOLATION_LEVEL_READ_COMMITTED, readonly=False, autocommit=False)
    try:
        with connection.cursor() as cursor:
            lanes.set_local(cursor, {**LIMITS, **PLAIN_FORMATS, **PLANS})
            yield cursor
        connection.commit()
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise


def patiently(connection: Any, act: Callable[[Any], T]) -> T:
    """What it returns for a cursor, in a transaction; begun anew where that one and another waited for each other."""
    for _ in range(ATTEMPTS - 1):
        try:
            with transaction(connection) as cursor:
                return act(cursor)
        except extensions.TransactionRollbackError as error:
            log.warning("trying again: %s", str(error).partition("\n")[0])
    with transaction(connection) as cursor:
        return act(cursor)
