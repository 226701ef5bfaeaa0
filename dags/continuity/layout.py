"""Where the rows of large tables lie, by which a later snapshot tells what has changed since.

PostgreSQL never changes a row version, nor moves it within a table's file: an update writes another version elsewhere,
a deletion ends one. So a range of pages holds what it held at an earlier cut if as many rows in it are visible that
were written before that cut as there were then, and none that were written later ("Database Page Layout" and "System
Columns" in PostgreSQL's manual). That needs no time stamp and no key, and tells deletions. A row counts as written
later when its transaction (`xmin`) is not older than the oldest one that was open at the earlier cut: what was
committed late is among them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from psycopg2 import sql

from continuity.catalog import Catalog, Table
from continuity.chosen import StateIds
from continuity.errors import SnapshotDamaged
from continuity.lanes import shared_out
from continuity.policy import Plan
from continuity.rules import Rule
from continuity.selection import others_by_range, rows_of, selected_rows, selects_itself, state_rows_by_range

NAME = "layout.json.gz"
FORMAT = 1
RANGE_PAGES = 4
#: Smaller tables are copied whole.
LARGE_PAGES = 64
#: Before PostgreSQL 14 a range of pages cannot be read without reading the whole table.
READS_RANGES = 140_000
#: Transactions are numbered in circles: of two that are farther apart, no row says which is the older.
COMPARABLE = 2**31


@dataclass(frozen=True)
class Ranges:
    """Rows of one table by ranges of its pages: `present` are all, `rows` those that a snapshot selects, `state` those
    of its state.

    filenode: the file they are in, another one after VACUUM FULL or TRUNCATE; selection: digest of what is selected.
    """

    filenode: int
    selection: str
    present: tuple[int, ...]
    rows: tuple[int, ...]
    state: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Where the rows of a base lie. database: which one it is; horizon: the oldest transaction open at its cut."""

    database: str
    horizon: int
    range_pages: int
    tables: Mapping[str, Ranges]

    def to_bytes(self) -> bytes:
        return gzip.compress(json.dumps({"format": FORMAT, **asdict(self)}).encode(), 6, mtime=0)

    @classmethod
    def from_bytes(cls, body: bytes) -> Layout:
        """Raises SnapshotDamaged: it is no layout."""
        try:
            document = json.loads(gzip.decompress(body))
            found_format = document.pop("format")
            tables = {
                name: Ranges(
                    filenode=one["filenode"],
                    selection=one["selection"],
                    present=tuple(one["present"]),
                    rows=tuple(one["rows"]),
                    state=tuple(one["state"]),
                )
                for name, one in document.pop("tables").items()
            }
            found = cls(**document, tables=tables)
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SnapshotDamaged(NAME, f"it is no layout ({error})") from None
        if found_format != FORMAT:
            raise SnapshotDamaged(NAME, f"format {found_format!r} is not known here; accepted: {FORMAT}")
        return found


@dataclass(frozen=True)
class Counted:
    """Rows of a table in each range of its pages, by whether they were written since an earlier cut.

    others: how many are not selected, by range. None: not counted, since the row alone decides, and it was not written.
    """

    filenode: int
    selection: str
    old: tuple[int, ...]
    new: tuple[int, ...]
    others: Mapping[int, int] | None = None

    @property
    def present(self) -> tuple[int, ...]:
        return tuple(old + new for old, new in zip(self.old, self.new, strict=True))


@dataclass(frozen=True)
class Survey:
    """How the rows of the large tables lie now; `horizon` and `database` as in Layout."""

    database: str
    horizon: int
    tables: Mapping[str, Counted]


def can_tell(cursor: Any) -> bool:
    """Whether this database reads ranges of pages, and says which one it is."""
    cursor.execute(
        """SELECT current_setting('server_version_num')::int >= %s
        AND has_function_privilege('pg_control_system()', 'EXECUTE')""",
        (READS_RANGES,),
    )
    return bool(cursor.fetchone()[0])


def database_of(cursor: Any) -> str:
    """What tells this database from every other, one that was made anew under the same name included."""
    cursor.execute(
        """SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database())
        FROM pg_control_system()"""
    )
    return "/".join(str(part) for part in cursor.fetchone())


def seconds_until_lasting(cursor: Any, cut_at: datetime) -> float:
    """How long until no crash can take back what a cut saw; 0 if that is so.

    A transaction that does not wait for the disk is there after three times `wal_writer_delay` at most ("Asynchronous
    Commit" in PostgreSQL's manual). Until then its number may be given to another one after a crash.
    """
    cursor.execute(
        """SELECT GREATEST(extract(epoch FROM
        %s + 3 * current_setting('wal_writer_delay')::interval - clock_timestamp()), 0)""",
        (cut_at,),
    )
    return float(cursor.fetchone()[0])


def transactions(cursor: Any) -> tuple[int, int]:
    """The oldest transaction that is open, and the next to come, both counted from the beginning of the database."""
    cursor.execute(
        "SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM (SELECT pg_current_snapshot() AS s) c"
    )
    oldest, following = cursor.fetchone()
    return int(oldest), int(following)


def survey(sessions: Sequence[Any], catalog: Catalog, plan: Plan, since: int | None) -> Survey:
    """Count the rows of every large table that has history; `since`: horizon of an earlier cut, None for none.

    sessions: connections that see the cut.
    """

    def count(session: Any, name: str) -> Counted:
        with session.cursor() as cursor:
            return _count(cursor, catalog, catalog[name], since)

    with sessions[0].cursor() as cursor:
        if not can_tell(cursor):
            return Survey("", 0, {})
        names = large_tables(cursor, catalog, plan)
        database, (horizon, _) = database_of(cursor), transactions(cursor)
    return Survey(database, horizon, dict(zip(names, shared_out(names, sessions, count), strict=True)))


def large_tables(cursor: Any, catalog: Catalog, plan: Plan) -> list[str]:
    """Names of the tables that are worth it, the largest first."""
    with_history = [
        name
        for name in plan.carried()
        if plan.rules[name].verdict == "carry"
        and (plan.rules[name].phase == "history" or (plan.rules[name].phase == "split" and catalog[name].primary_key))
    ]
    cursor.execute(
        """SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND relkind = 'r' AND relname = ANY (%s)
        AND pg_relation_size(c.oid) >= %s * current_setting('block_size')::bigint
        ORDER BY pg_relation_size(c.oid) DESC, 1""",
        (with_history, LARGE_PAGES),
    )
    return [name for (name,) in cursor.fetchall()]


def described(sessions: Sequence[Any], found: Survey, catalog: Catalog, plan: Plan, ids: StateIds) -> Layout:
    """The layout of the base that is being taken."""

    def ranges(session: Any, name: str) -> Ranges:
        counted = found.tables[name]
        rows, state = list(counted.present), [0] * len(counted.old)
        with session.cursor() as cursor:
            others = _others(cursor, catalog, name) if counted.others is None else counted.others
            for number, count in others.items():
                rows[number] -= count
            if plan.rules[name].phase == "split":
                cursor.execute(state_rows_by_range(catalog[name], catalog, ids, RANGE_PAGES))
                for number, of_state in cursor.fetchall():
                    state[number] = of_state
        return Ranges(counted.filenode, counted.selection, counted.present, tuple(rows), tuple(state))

    names = list(found.tables)
    tables = dict(zip(names, shared_out(names, sessions, ranges), strict=True))
    return Layout(found.database, found.horizon, RANGE_PAGES, tables)


def parts(counted: Counted, ranges: int) -> list[tuple[tuple[int, int], int]]:
    """[first, end) of the pages of a table in parts of about as many ranges, each with its rows."""
    present = counted.present
    count = max(1, round(len(present) / ranges))
    bounds = [len(present) * number // count for number in range(count + 1)]
    return [((first * RANGE_PAGES, end * RANGE_PAGES), sum(present[first:end])) for first, end in pairwise(bounds)]


def _count(cursor: Any, catalog: Catalog, table: Table, since: int | None) -> Counted:
    of_itself = selects_itself(table, catalog)
    is_new: sql.Composable | None = None
    is_other: sql.Composable | None = None
    if since is not None:  # by this very session: each counts ages from the transaction that is newest when it begins
        cursor.execute("SELECT age(%s::xid)", (str(since % 2**32),))
        is_new = sql.SQL("age(t.xmin) <= {}").format(sql.Literal(cursor.fetchone()[0]))
    elif of_itself:
        is_other = sql.SQL("({}) IS NOT TRUE").format(selected_rows(table, catalog))
    counts = _count_ranges(cursor, table, is_new, is_other)
    # Now, as counting keeps others from giving the table another file until the transaction ends.
    name = sql.Identifier(table.name).as_string(cursor)
    cursor.execute("SELECT pg_relation_filenode(%s::regclass)::bigint", (name,))
    filenode = cursor.fetchone()[0]
    if not of_itself:
        others = _others(cursor, catalog, table.name)
    elif since is None:
        others = {number: count for number, (_, _, count) in enumerate(counts) if count}
    else:
        others = None
    old, new = (tuple(one[side] for one in counts) for side in (0, 1))
    return Counted(filenode, _selection(cursor, catalog, table), old, new, others)


def _others(cursor: Any, catalog: Catalog, name: str) -> dict[int, int]:
    """How many rows are not selected, by range."""
    cursor.execute(others_by_range(catalog[name], catalog, RANGE_PAGES))
    return dict(cursor.fetchall())


def _selection(cursor: Any, catalog: Catalog, table: Table) -> str:
    """Digest of what is selected of a table: the query, and what its columns are; one that was dropped and added again
    is another one, though no row was written."""
    cursor.execute(
        """SELECT attrelid::bigint, attnum, attname, atttypid::bigint, atttypmod, attmissingval::text FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
        (sql.Identifier(table.name).as_string(cursor),),
    )
    everything = rows_of(table, catalog, Rule(phase="history"), "history", StateIds((), ()))
    return hashlib.sha256(f"{cursor.fetchall()} {everything.as_string(cursor)}".encode()).hexdigest()


def _count_ranges(
    cursor: Any, table: Table, is_new: sql.Composable | None, is_other: sql.Composable | None
) -> list[tuple[int, int, int]]:
    """For each range of pages, how many rows are not new, how many are, and how many are others. None: nothing is; what
    need not be counted costs nothing."""

    def counted(which: sql.Composable | None) -> sql.Composable:
        return sql.SQL("count(*) FILTER (WHERE {})").format(which) if which else sql.SQL("0")

    cursor.execute(
        sql.SQL(
            """SELECT c.present - c.new, c.new, c.others
            FROM generate_series(0, (pg_relation_size({name}::regclass) / current_setting('block_size')::bigint - 1)
                                    / {pages}) AS r (number)
            CROSS JOIN LATERAL (
              SELECT count(*) AS present, {new} AS new, {others} AS others FROM {table} t
              WHERE t.ctid >= format('(%s,0)', r.number * {pages})::tid
              AND t.ctid < format('(%s,0)', (r.number + 1) * {pages})::tid) c
            ORDER BY r.number"""
        ).format(
            name=sql.Literal(sql.Identifier(table.name).as_string(cursor)),
            table=sql.Identifier(table.name),
            pages=sql.Literal(RANGE_PAGES),
            new=counted(is_new),
            others=counted(is_other),
        )
    )
    return list(cursor.fetchall())
