"""What the database's own catalog says: tables, columns, keys, sequences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

Catalog = Mapping[str, "Table"]


@dataclass(frozen=True)
class Column:
    """A column; `type` as PostgreSQL prints it, for example `character varying(250)`."""

    name: str
    type: str
    not_null: bool = False
    has_default: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """`on_delete`: what PostgreSQL does with a row when the one it points to goes, as `pg_constraint` has it."""

    columns: tuple[str, ...]
    table: str
    target_columns: tuple[str, ...]
    on_delete: str = "a"


@dataclass(frozen=True)
class Table:
    """A table of the metadata database; `sequence` feeds its column `id` (None: no such column, or no sequence)."""

    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    sequence: str | None = None
    primary_key: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def has(self, *names: str) -> bool:
        return all(self.column(name) for name in names)


COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef OR a.attidentity <> '',
       pg_get_expr(d.adbin, d.adrelid), a.attidentity <> '', quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname, a.attnum"""

FOREIGN_KEYS = """
SELECT c.relname, r.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(attnum, nth)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY nth),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(attnum, nth)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY nth),
       k.confdeltype::text
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_class r ON r.oid = k.confrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND n.nspname = current_schema()
ORDER BY c.relname, k.conname"""

PRIMARY_KEYS = """
SELECT c.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(attnum, nth)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY nth)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'p' AND n.nspname = current_schema()"""

SEQUENCES = """
SELECT c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND n.nspname = current_schema()"""


def read_catalog(cursor: Any) -> dict[str, Table]:
    """Every table of the current schema, by name in order."""
    cursor.execute(SEQUENCES)
    sequences = dict(cursor.fetchall())
    cursor.execute(FOREIGN_KEYS)
    foreign_keys: dict[str, list[ForeignKey]] = {}
    for name, target, columns, target_columns, on_delete in cursor.fetchall():
        foreign_keys.setdefault(name, []).append(ForeignKey(tuple(columns), target, tuple(target_columns), on_delete))
    cursor.execute(PRIMARY_KEYS)
    primary_keys = {name: tuple(columns) for name, columns in cursor.fetchall()}
    cursor.execute(COLUMNS)
    columns_of: dict[str, list[Column]] = {}
    fed_by: dict[str, str] = {}
    for name, column, kind, not_null, has_default, default, identity, qualified in cursor.fetchall():
        columns_of.setdefault(name, []).append(Column(column, kind, not_null, has_default))
        if column == "id":
            found = re.match(r"nextval\('(.+)'::regclass\)$", default or "")
            if found:
                fed_by[name] = found[1]
            elif identity:
                fed_by[name] = identity_sequence(cursor, qualified)
            elif f"{name}_id_seq" in sequences:  # a sequence that the application itself asks for its next value
                fed_by[name] = sequences[f"{name}_id_seq"]
    return {
        name: Table(
            name, tuple(columns), tuple(foreign_keys.get(name, ())), fed_by.get(name), primary_keys.get(name, ())
        )
        for name, columns in columns_of.items()
    }


def identity_sequence(cursor: Any, qualified: str) -> str:
    """Sequence behind an identity column `id`."""
    with cursor.connection.cursor() as inner:
        inner.execute("SELECT pg_get_serial_sequence(%s, 'id')", (qualified,))
        return str(inner.fetchone()[0])


def alembic_heads(cursor: Any, catalog: Catalog) -> dict[str, list[str]]:
    """Schema versions by the table that holds them (`alembic_version`, `alembic_version_fab`, ...)."""
    heads = {}
    for name in catalog:
        if name.startswith("alembic_version"):
            cursor.execute(sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(sql.Identifier(name)))
            heads[name] = [row[0] for row in cursor.fetchall()]
    return heads


def insert_order(catalog: Catalog, names: Iterable[str]) -> list[str]:
    """`names` so that a table comes after those its foreign keys point to; by name where that leaves a choice."""
    left = sorted(set(names))
    ordered: list[str] = []
    while left:
        waiting_for = {name: {key.table for key in catalog[name].foreign_keys} & set(left) - {name} for name in left}
        # A cycle of foreign keys has no order; the alphabet is as good as any, and the database says what it misses.
        ready = next((name for name in left if not waiting_for[name]), left[0])
        ordered.append(ready)
        left.remove(ready)
    return ordered


def independent(catalog: Catalog, names: Iterable[str]) -> list[list[str]]:
    """`names` in groups that no foreign key connects, each group in the order of `insert_order`."""
    groups: list[set[str]] = []
    wanted = set(names)
    for name in sorted(wanted):
        connected = {name} | {key.table for key in catalog[name].foreign_keys} & wanted
        for group in [group for group in groups if group & connected]:
            groups.remove(group)
            connected |= group
        groups.append(connected)
    return [insert_order(catalog, group) for group in groups]


def high_water_mark(cursor: Any, table: Table) -> int:
    """The highest id a table has ever given away, 0 for none."""
    if not table.sequence:
        return 0
    cursor.execute(sql.SQL("SELECT COALESCE(max(id), 0) FROM {}").format(sql.Identifier(table.name)))
    highest = int(cursor.fetchone()[0])
    # The name comes from the catalog, quoted as the catalog quotes it.
    cursor.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.SQL(table.sequence)))
    last_value, is_called = cursor.fetchone()
    return max(highest, int(last_value) if is_called else 0)
