"""Make room for a snapshot in an environment that holds something: what a snapshot of it would select goes.

First the history, in short transactions, then the state, in the transaction that brings the other one: a restore that
ends in between leaves the state that was there. Until the other one is there the ledger says that it is to come, so
that nothing else is done with what is left.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from psycopg2 import sql

from continuity import drain, guard, variables
from continuity import ledger as ledgers
from continuity.carry import reserve_ids
from continuity.catalog import Catalog, Table, insert_order
from continuity.chosen import find_state_ids
from continuity.drain import told
from continuity.errors import RestoreRefused
from continuity.ledger import Ledger
from continuity.policy import HANDED_OVER, OWN_PREFIX, Plan
from continuity.selection import NAMED, history_rows, in_flight, selected_rows
from continuity.settings import Settings, matches
from continuity.transactions import patiently, transaction

log = logging.getLogger(__name__)

#: Pages of a table whose rows go in one transaction.
PAGES = 256
#: From so many rows on, the room they leave is worth being made usable at once.
MANY_ROWS = 1000
#: Rows `t` that stay, though a snapshot would select them: this installation's processes have them. A job of a user's
#: DAG runs no more, as nothing of theirs executes: one that says so was killed.
IN_USE = {
    "job": "t.dag_id IS NULL AND t.state = 'running' AND t.latest_heartbeat > now() - interval '1 day'",
    "slot_pool": "t.pool = 'default_pool'",
}
#: What guard and drain remember of flags that are of another life then.
FORGOTTEN = (guard.VARIABLE, drain.VARIABLE)
#: One part in so many of ids is left free above the restored ones, for a later snapshot in the same place.
HEADROOM = 4


def make_room(
    connection: Any,
    catalog: Catalog,
    plan: Plan,
    begun: Ledger,
    *,
    replace: bool,
    stays: Callable[[Ledger | None], bool],
    check: Callable[[], None] | None = None,
) -> dict[str, int] | None:
    """Where the snapshot of `begun` is to replace what is here, write that ledger and delete the history; returns the
    offsets of ids that may be used again, None where nothing is replaced.

    `stays` says of what is here that it is what is wanted, or better: another restore may have brought it meanwhile.
    `check` is called when no other restore can begin, and raises what speaks against it. Raises RestoreRefused where
    nothing may be replaced, or something is at work.
    """

    def begin(cursor: Any) -> bool:
        ledgers.take_turn(cursor, ledgers.STATE_LOCK)
        before = ledgers.read(cursor, lock=True)
        if stays(before) or not ledgers.must_replace(before, begun, replace=replace):
            return False
        if check:
            check()
        refuse_in_use(cursor)
        # Of what went live, processes may remember ids.
        begun.offsets = before.offsets if before and not before.live else {}
        ledgers.write(cursor, begun)
        return True

    if not patiently(connection, begin):
        return None
    log.info("snapshot %s replaces what this environment holds", begun.snapshot_id)
    patiently(connection, lambda cursor: _end_history(cursor, catalog))
    with transaction(connection) as cursor:
        ids = find_state_ids(cursor, catalog)
    for name in _children_first(catalog, plan):
        rule = plan.rules[name]
        if not rule.key and rule.phase != "state":
            condition = history_rows(catalog[name], catalog, rule, ids)
            rows = _delete_by_pages(connection, name, sql.SQL("{} AND {}").format(condition, _not_in_use(name)), begun)
            log.info("%s: %d rows of history deleted", name, rows)
    return begun.offsets


def clear_state(cursor: Any, catalog: Catalog, plan: Plan, settings: Settings, coming: Iterable[str]) -> None:
    """Delete what is left within the caller's transaction, but for named things of the tables that are `coming`:
    carrying these decides which stay.

    Raises RestoreRefused where something is at work. DAGs cannot be unpaused or parsed until the transaction ends.
    """
    refuse_in_use(cursor, lock=True)
    merged = set(coming)
    for name in _children_first(catalog, plan):
        rule = plan.rules[name]
        if rule.kept or (rule.key and name in merged):
            continue
        cursor.execute(
            sql.SQL("DELETE FROM {} t WHERE {}").format(
                sql.Identifier(name), going(cursor, catalog[name], catalog, settings)
            )
        )
    # Of a DAG that was never parsed here the row is all from a snapshot.
    unparsed = sql.SQL("DELETE FROM dag t WHERE {} AND t.last_parsed_time IS NULL")
    cursor.execute(unparsed.format(selected_rows(catalog["dag"], catalog)))
    for key in FORGOTTEN:
        variables.forget(cursor, key)


def end_watching(cursor: Any, catalog: Catalog) -> None:
    """Delete the triggers of watchers that went with their assets, once these have been carried."""
    left = sql.SQL("DELETE FROM trigger t WHERE {}")
    cursor.execute(left.format(selected_rows(catalog["trigger"], catalog)))


def going(cursor: Any, table: Table, catalog: Catalog, settings: Settings) -> sql.Composable:
    """Condition on a row `t`: it goes, unless the snapshot brings it again."""
    conditions = [selected_rows(table, catalog), _not_in_use(table.name)]
    patterns = settings.local_patterns(table.name)
    if patterns:
        key = sql.Identifier(NAMED[table.name])
        cursor.execute(sql.SQL("SELECT {} FROM {}").format(key, sql.Identifier(table.name)))
        local = [name for (name,) in cursor.fetchall() if name is not None and matches(name, patterns)]
        conditions.append(sql.SQL("(t.{} = ANY ({}::text[])) IS NOT TRUE").format(key, sql.Literal(local)))
    return sql.SQL(" AND ").join(conditions)


def reserve(
    connection: Any, catalog: Catalog, plan: Plan, highest: Mapping[str, int], former: Mapping[str, int] | None
) -> dict[str, int]:
    """As `reserve_ids`; where something is replaced its ids are used again if there is room, since replacing once an
    hour would use up all there are. Named things are few, and those of before may stay. `former`: what `make_room`
    returned."""
    if former is None:
        return reserve_ids(connection, catalog, highest)
    with transaction(connection) as cursor:
        again = {
            name: former[name]
            for name, top in highest.items()
            if name in former
            and not plan.rules[name].key
            and _is_free(cursor, catalog, name, former[name], former[name] + top)
        }
    others = {name: top + top // HEADROOM for name, top in highest.items() if name not in again}
    return {**again, **reserve_ids(connection, catalog, others)}


def refuse_in_use(cursor: Any, *, lock: bool = False) -> None:
    """Raises RestoreRefused while a DAG of users is not paused, or a task instance of theirs executes; `lock` keeps
    DAGs from being unpaused until the transaction ends."""
    statement = "SELECT dag_id, is_paused FROM dag WHERE NOT starts_with(dag_id, %s) ORDER BY dag_id"
    cursor.execute(statement + (" FOR UPDATE" if lock else ""), (OWN_PREFIX,))
    unpaused = [dag_id for dag_id, is_paused in cursor.fetchall() if not is_paused]
    if unpaused:
        more = f", and {len(unpaused) - drain.NAMED} more" if len(unpaused) > drain.NAMED else ""
        raise RestoreRefused(
            "what this environment holds is not replaced while DAGs are not paused: "
            f"{', '.join(unpaused[: drain.NAMED])}{more}; pause them first"
        )
    executing = in_flight(cursor, HANDED_OVER)
    if executing:
        raise RestoreRefused(
            "what this environment holds is not replaced while task instances execute: "
            f"{told(executing)}; wait for them, or end them in Airflow"
        )


def _children_first(catalog: Catalog, plan: Plan) -> list[str]:
    return insert_order(catalog, plan.carried())[::-1]


def _not_in_use(name: str) -> sql.SQL:
    return sql.SQL(f"({IN_USE[name]}) IS NOT TRUE") if name in IN_USE else sql.SQL("TRUE")


def _end_history(cursor: Any, catalog: Catalog) -> None:
    """End the sessions that still carry history of the snapshot that is replaced: it would all be deleted, and its
    rows stand in the way of others. They learn from the ledger that they have nothing more to do."""
    locks = [ledgers.history_lock(name) for name in catalog]
    cursor.execute(
        """SELECT DISTINCT a.pid, (l.classid::bigint << 32) | l.objid::bigint FROM pg_locks l
        JOIN pg_stat_activity a ON a.pid = l.pid AND a.usename = current_user
        WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND a.datname = current_database()
        AND (l.classid::bigint << 32) | l.objid::bigint = ANY (%s)""",
        (locks,),
    )
    held = cursor.fetchall()
    for pid, lock in held:
        log.warning("ending session %d, which carries history that is to be replaced", pid)
        cursor.execute("SELECT pg_terminate_backend(%s)", (pid,))
        ledgers.take_turn(cursor, lock)


def _delete_by_pages(connection: Any, name: str, condition: sql.Composable, begun: Ledger) -> int:
    """Delete these rows of a table, some pages at a time; returns how many."""
    with transaction(connection) as cursor:
        cursor.execute(
            "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::bigint",
            (sql.Identifier(name).as_string(cursor),),
        )
        (pages,) = cursor.fetchone()
    statement = sql.SQL(
        """DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT t.ctid FROM {table} t WHERE t.ctid >= %s::tid AND t.ctid < %s::tid AND {condition}))"""
    ).format(table=sql.Identifier(name), condition=condition)
    rows = 0
    for first in range(0, pages, PAGES):

        def delete(cursor: Any, first: int = first) -> int:
            ledgers.take_turn(cursor, ledgers.STATE_LOCK)
            _refuse_other_business(cursor, begun)
            cursor.execute(statement, (f"({first},0)", f"({first + PAGES},0)"))
            return int(cursor.rowcount)

        rows += patiently(connection, delete)
    if rows >= MANY_ROWS:
        _make_usable(connection, name)
    return rows


def _refuse_other_business(cursor: Any, begun: Ledger) -> None:
    """Raises RestoreRefused where another restore came first, or somebody unpaused a DAG."""
    found = ledgers.read(cursor)
    if found is None or found.state_at or found.snapshot_id != begun.snapshot_id:
        raise RestoreRefused(f"another restore was begun or has ended meanwhile, so that of {begun.snapshot_id} ends")
    refuse_in_use(cursor)


def _make_usable(connection: Any, name: str) -> None:
    """What autovacuum would do later: the next rows find room, and foreign keys are checked without reading the dead
    ones again and again."""
    connection.rollback()
    connection.set_session(autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(name)))


def _is_free(cursor: Any, catalog: Catalog, name: str, above: int, last: int) -> bool:
    """Whether these ids of a table will all be free, and its sequence gives away none of them."""
    table = catalog[name]
    stays = sql.SQL("({} AND {}) IS NOT TRUE").format(selected_rows(table, catalog), _not_in_use(name))
    among = sql.SQL("SELECT EXISTS (SELECT 1 FROM {} t WHERE t.id > {} AND t.id <= {} AND {})").format(
        sql.Identifier(name), sql.Literal(above), sql.Literal(last), stays
    )
    cursor.execute(among)
    taken = bool(cursor.fetchone()[0])
    cursor.execute(sql.SQL("SELECT last_value FROM {}").format(sql.SQL(str(table.sequence))))
    return not taken and int(cursor.fetchone()[0]) >= last
