"""Pause the DAGs of users and remember which: the one way in which guard and drain do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from continuity.errors import DagsOutOfReach
from continuity.lanes import set_local
from continuity.ledger import take_turn
from continuity.policy import OWN_PREFIX
from continuity.rest import RestApi

#: One of them at a time, also before there is a record to lock. The number is arbitrary and ours.
LOCK = 7_011_226_492
#: Whoever is kept waiting longer tries again; a task blocked in the database would not hear of its own time-out.
LIMITS = {"lock_timeout": "15s", "statement_timeout": "30s"}


@contextmanager
def turn(connection: Any) -> Iterator[Any]:
    """A cursor in a transaction in which nobody else pauses or unpauses; commits when the block ends well."""
    with connection, connection.cursor() as cursor:
        set_local(cursor, LIMITS)
        take_turn(cursor, LOCK)
        yield cursor


def pause_all(cursor: Any) -> list[str]:
    """Pause every DAG but the metadata DAGs within the caller's transaction; returns those that were not paused.

    Task instances that were queued or run already go on.
    """
    # In one order, as rows are locked: the scheduler and the parser write here too.
    cursor.execute(
        """UPDATE dag SET is_paused = true WHERE dag_id IN (
            SELECT dag_id FROM dag WHERE NOT is_paused AND NOT starts_with(dag_id, %s) ORDER BY dag_id FOR UPDATE
        ) RETURNING dag_id""",
        (OWN_PREFIX,),
    )
    return sorted(row[0] for row in cursor.fetchall())


def unpause(cursor: Any, dag_ids: Iterable[str]) -> list[str]:
    """Unpause these DAGs within the caller's transaction; returns those that are there, sorted."""
    cursor.execute(
        """UPDATE dag SET is_paused = false WHERE dag_id IN (
            SELECT dag_id FROM dag WHERE dag_id = ANY (%s) ORDER BY dag_id FOR UPDATE) RETURNING dag_id""",
        (list(dag_ids),),
    )
    return sorted(row[0] for row in cursor.fetchall())


def unpaused_by_rest(api: RestApi) -> list[str]:
    """DAGs that are not paused, but for the metadata DAGs."""
    listed = api.every("/dags", "dags", "dag_id", paused=False)
    return [dag["dag_id"] for dag in listed if not dag["dag_id"].startswith(OWN_PREFIX)]


def known_by_rest(api: RestApi, dag_ids: Iterable[str]) -> list[str]:
    """Those of these DAGs that are there, sorted."""
    known = {dag["dag_id"] for dag in api.every("/dags", "dags", "dag_id", exclude_stale=False)}
    return sorted(known.intersection(dag_ids))


def set_paused_by_rest(api: RestApi, dag_ids: Iterable[str], paused: bool) -> None:
    """Pause or unpause DAG by DAG. Raises DagsOutOfReach naming those that cannot be reached, after all others."""
    unreachable = [dag_id for dag_id in dag_ids if not api.set_paused(dag_id, paused)]
    if unreachable:
        raise DagsOutOfReach(unreachable, paused)
