"""Carry rows from a temporary table into the real one: ids shifted, references following, named things merged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import sql

from continuity.catalog import Catalog, Table
from continuity.errors import RestoreRefused
from continuity.manifest import TableEntry
from continuity.policy import CASELESS, Plan, references
from continuity.schema import INTEGERS
from continuity.staging import naming_table, stage_of

#: Rows that are sorted at a time before they are inserted.
GATHERED = 100_000
#: An id that is kept as a text.
DIGITS = "^[0-9]{1,9}$"


@dataclass
class Carrier:
    """Knows how ids of the source become ids of the target.

    offsets: added to the ids of a table; maps: ids of a table that became others than that, because the target had the
    row; same_schema: whether source and target have the same Airflow schema.
    """

    cursor: Any
    catalog: Catalog
    plan: Plan
    offsets: dict[str, int]
    maps: dict[str, dict[str, int]] = field(default_factory=dict)
    same_schema: bool = True

    def carry(self, entry: TableEntry, others: sql.Composable | None = None) -> int:
        """Insert (or merge) the staged rows of a table; returns how many were inserted.

        others: of a table with a key, condition on the target's rows `t` that go unless they are staged.
        """
        table, rule = self.catalog[entry.name], self.plan.rules[entry.name]
        with naming_table(entry.name, sealed=entry.verdict == "sealed"):
            if rule.key:
                if table.sequence:
                    self._find_matches(table)
                if others:
                    self._delete_unless_staged(entry, others)
                self._update(table, entry)
            inserted = self._insert(table, entry)
            if rule.owner and self.same_schema:
                self._delete_others(table, entry, rule.owner)
        return inserted

    def translated(self, table: Table, column: str) -> sql.Composable:
        """Expression: the target's value of a staged column."""
        value = sql.SQL("s.{}").format(sql.Identifier(column))
        rule = self.plan.rules[table.name]
        target = references(table, rule).get(column)
        if column == "id" and table.sequence:
            target = table.name
        # Without the table, nobody says what the value is; an id of another kind than a sequence's stays as it is.
        if target is None or target not in self.catalog or not self.catalog[target].sequence:
            return value
        kind = next(one.type for one in table.columns if one.name == column)
        if kind in INTEGERS:
            return self._shifted(value, target) if target in self.offsets else sql.SQL("NULL::integer")
        if target not in self.offsets or not (self.offsets[target] or self.maps.get(target)):
            return value
        if column in rule.inside:
            return self._shifted_inside(value, rule.inside[column], kind, target)
        return self._shifted_digits(value, target)

    def _shifted(self, number: sql.Composable, target: str) -> sql.Composed:
        """Expression: the target's id for one of the source."""
        shifted = sql.SQL("{} + {}").format(number, sql.Literal(self.offsets[target]))
        if not self.maps.get(target):
            return shifted
        known = sql.Literal(json.dumps(self.maps[target]))
        return sql.SQL("COALESCE(({}::jsonb ->> {}::text)::bigint, {})").format(known, number, shifted)

    def _shifted_digits(self, text: sql.Composable, target: str) -> sql.Composed:
        """Expression: the same for an id in digits; a text that is none is left alone."""
        number = sql.SQL("({})::bigint").format(text)
        return sql.SQL("CASE WHEN {0} ~ {1} THEN ({2})::text ELSE {0} END").format(
            text, sql.Literal(DIGITS), self._shifted(number, target)
        )

    def _shifted_inside(self, value: sql.Composable, member: str, kind: str, target: str) -> sql.Composed:
        """Expression: the same within JSON, an object that has the id as a text in `member`, or a list of such."""

        def one(found: sql.Composable) -> sql.Composed:
            held = sql.SQL("({} ->> {})").format(found, sql.Literal(member))
            return sql.SQL("CASE WHEN {} ~ {} THEN jsonb_set({}, ARRAY[{}], to_jsonb({})) ELSE {} END").format(
                held, sql.Literal(DIGITS), found, sql.Literal(member), self._shifted_digits(held, target), found
            )

        document = sql.SQL("({})::jsonb").format(value)
        return sql.SQL(
            """CASE jsonb_typeof({document}) WHEN 'object' THEN ({object})::{kind} WHEN 'array' THEN (
            SELECT COALESCE(jsonb_agg({element} ORDER BY nth), '[]')
            FROM jsonb_array_elements({document}) WITH ORDINALITY AS l (e, nth))::{kind} ELSE {value} END"""
        ).format(document=document, object=one(document), element=one(sql.SQL("e")), kind=sql.SQL(kind), value=value)

    def ready(self, entry: TableEntry) -> sql.Composed:
        """`SELECT` of the staged rows as the target will have them."""
        table = self.catalog[entry.name]
        columns = [
            sql.SQL("{} AS {}").format(self.translated(table, column.name), sql.Identifier(column.name))
            for column in entry.columns
        ]
        return sql.SQL("SELECT {} FROM {} s").format(sql.SQL(", ").join(columns), stage_of(entry.name))

    def _gathered(self, entry: TableEntry) -> sql.Composed:
        """The ready rows of a long table, those of a DAG and task side by side: most indexes are ordered by these, and
        the same of their pages are then written again and again. In batches, so that what is of the same time stays
        together in the table: a later snapshot, or who deletes old rows, touches few of its pages."""
        by = [sql.Identifier(name) for name in ("dag_id", "task_id", "run_id") if entry.has(name)]
        if entry.rows < GATHERED or not by:
            return self.ready(entry)
        return sql.SQL(
            "SELECT * FROM (SELECT b.*, (row_number() OVER () - 1) / {} AS continuity_batch FROM ({}) b) g ORDER BY {}"
        ).format(
            sql.Literal(GATHERED), self.ready(entry), sql.SQL(", ").join([sql.Identifier("continuity_batch"), *by])
        )

    def _find_matches(self, table: Table) -> None:
        """Learn which staged rows the target has already, under which id."""
        same = sql.SQL(" AND ").join(
            equal(column, sql.SQL("t.{}").format(sql.Identifier(column)), self.translated(table, column))
            for column in self.plan.rules[table.name].key
        )
        self.cursor.execute(
            sql.SQL("SELECT s.id, (SELECT max(t.id) FROM {} t WHERE {}) FROM {} s").format(
                sql.Identifier(table.name), same, stage_of(table.name)
            )
        )
        offset = self.offsets[table.name]
        self.maps[table.name] = {
            str(old): new for old, new in self.cursor.fetchall() if new is not None and new != old + offset
        }

    def _update(self, table: Table, entry: TableEntry) -> None:
        """Let the snapshot's values win where the target has the row; rows that are equal already stay unlocked."""
        rule = self.plan.rules[table.name]
        columns = [
            column.name
            for column in entry.columns
            if column.name not in ("id", *rule.key) and (rule.overwrite is None or column.name in rule.overwrite)
        ]
        if not columns:
            return
        names = [sql.Identifier(name) for name in columns]
        self.cursor.execute(
            sql.SQL("UPDATE {} t SET {} FROM ({}) r WHERE {} AND ({}) IS DISTINCT FROM ({})").format(
                sql.Identifier(table.name),
                sql.SQL(", ").join(sql.SQL("{0} = r.{0}").format(name) for name in names),
                self.ready(entry),
                self._same_key(entry.name),
                # As text: json has no equality.
                sql.SQL(", ").join(sql.SQL("t.{}::text").format(name) for name in names),
                sql.SQL(", ").join(sql.SQL("r.{}::text").format(name) for name in names),
            )
        )

    def _insert(self, table: Table, entry: TableEntry) -> int:
        rule = self.plan.rules[table.name]
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in entry.columns)
        statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM ({}) r").format(
            sql.Identifier(table.name), columns, columns, self._gathered(entry)
        )
        if rule.key:
            known = sql.SQL("SELECT 1 FROM {} t WHERE {}").format(
                sql.Identifier(table.name), self._same_key(entry.name)
            )
            statement += sql.SQL(" WHERE NOT EXISTS ({})").format(known)
        self.cursor.execute(statement)
        return int(self.cursor.rowcount)

    def _delete_others(self, table: Table, entry: TableEntry, owner: str) -> None:
        """Delete what restored owners have beyond the snapshot: what the source took away stays taken away."""
        parent = references(table, self.plan.rules[table.name])[owner]
        self.cursor.execute(
            sql.SQL(
                "DELETE FROM {} t WHERE {} IN (SELECT p.id FROM ({}) p) AND NOT EXISTS (SELECT 1 FROM ({}) r WHERE {})"
            ).format(
                sql.Identifier(table.name),
                sql.SQL("t.{}").format(sql.Identifier(owner)),
                sql.SQL("SELECT {} AS id FROM {} s").format(
                    self.translated(self.catalog[parent], "id"), stage_of(parent)
                ),
                self.ready(entry),
                self._same_key(entry.name),
            )
        )

    def _delete_unless_staged(self, entry: TableEntry, others: sql.Composable) -> None:
        self.cursor.execute(
            sql.SQL("DELETE FROM {} t WHERE {} AND NOT EXISTS (SELECT 1 FROM ({}) r WHERE {})").format(
                sql.Identifier(entry.name), others, self.ready(entry), self._same_key(entry.name)
            )
        )

    def _same_key(self, name: str) -> sql.Composed:
        return sql.SQL(" AND ").join(
            equal(
                column, sql.SQL("t.{}").format(sql.Identifier(column)), sql.SQL("r.{}").format(sql.Identifier(column))
            )
            for column in self.plan.rules[name].key
        )


def equal(column: str, one: sql.Composable, other: sql.Composable) -> sql.Composed:
    """Condition: two values of a key column mean the same."""
    if column in CASELESS:
        return sql.SQL("lower({}) = lower({})").format(one, other)
    return sql.SQL("{} = {}").format(one, other)


def reserve_ids(connection: Any, catalog: Catalog, highest: Mapping[str, int]) -> dict[str, int]:
    """Move the target's sequences past all ids a snapshot will bring; returns what to add to the ids of each table.

    `highest` is the highest id the snapshot knows per table. Committed at once and before the rows come, so that what a
    live scheduler inserts meanwhile never meets them; ids that are reserved and not used are gaps, as a rolled back
    insert leaves them.
    """
    offsets = {}
    with connection, connection.cursor() as cursor:
        for name, top in highest.items():
            offsets[name] = _reserve(cursor, catalog[name], top)
    return offsets


#: Ids that sessions may draw between our look at a sequence and our moving it.
MARGIN = 1000
LARGEST_ID = {"smallint": 2**15 - 1, "integer": 2**31 - 1}


def _reserve(cursor: Any, table: Table, top: int) -> int:
    if top == 0:
        return 0
    cursor.execute(sql.SQL("SELECT max(id) FROM {}").format(sql.Identifier(table.name)))
    present = cursor.fetchone()[0]
    sequence = sql.Literal(table.sequence)
    if present is None:
        cursor.execute(sql.SQL("SELECT setval({0}, GREATEST({1}, nextval({0})))").format(sequence, sql.Literal(top)))
        return 0
    kind = next(column.type for column in table.columns if column.name == "id")
    cursor.execute(sql.SQL("SELECT nextval({})").format(sequence))
    offset = max(int(cursor.fetchone()[0]), int(present)) + MARGIN
    if offset + top + MARGIN > LARGEST_ID.get(kind, 2**63 - 1):
        raise RestoreRefused(f"table {table.name}: ids up to {top} do not fit above those that are there ({present})")
    cursor.execute(sql.SQL("SELECT setval({}, {})").format(sequence, sql.Literal(offset + top)))
    return offset
