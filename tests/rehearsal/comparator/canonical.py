"""Rows in a form in which source and restored rows are equal, value by value, where the restore was right.

Surrogate ids are taken back by the shift of their table, references are replaced by what they refer to, and Fernet
tokens by what they hold. What is left is compared as PostgreSQL prints it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tests.rehearsal.comparator.allowed import ONLY_COLUMNS, RULES
from tests.rehearsal.comparator.dump import Dump, Row
from tests.rehearsal.comparator.schemas import schema_of
from tests.rehearsal.comparator.tables import OWN_PREFIX, Schema, Table

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Secret:
    """A decrypted value; it never shows in a message."""

    value: str = field(repr=False)
    readable: bool = True

    def __repr__(self) -> str:
        return "<secret>" if self.readable else "<not readable with this environment's key>"


@dataclass
class Side:
    """One dump, its Fernet key, and how far each table's ids were shifted in it."""

    dump: Dump
    fernet_key: str
    shifts: Mapping[str, int] = field(default_factory=dict)
    #: Tables that stand in another place of the dump: name -> name there.
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    #: fnmatch patterns of names left out, per table.
    local_names: Mapping[str, Iterable[str]] = field(default_factory=dict)
    #: Paused flags that stand for those of the dump, by DAG.
    paused: Mapping[str, bool] = field(default_factory=dict)
    #: Another moment of the same database, in which a referred row may be too.
    later: Side | None = None

    @cached_property
    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(key.strip()) for key in self.fernet_key.split(",")])

    @cached_property
    def schema(self) -> Schema:
        """What is known about the tables of this dump."""
        return schema_of(self.dump)

    @cached_property
    def _identities(self) -> dict[str, dict[str, Key]]:
        return {}

    @cached_property
    def _ids(self) -> dict[str, set[str]]:
        return {}

    def table(self, name: str) -> Table:
        """What is known about a table; of an undeclared one, its primary key."""
        return self.schema.tables.get(name) or Table(key=self.dump.primary_keys.get(name, self.dump.columns(name)))

    def references(self, name: str) -> dict[str, str]:
        """Column -> table it refers to by surrogate id: the schema's foreign keys and the declared ones."""
        declared = {
            key.columns[0]: key.target
            for key in self.dump.foreign_keys
            if key.table == name and key.target_columns == ("id",)
        }
        return {**declared, **self.table(name).references}

    def raw(self, name: str) -> Iterator[Row]:
        """Rows of a table without those of this project itself and those that stay local to a Region."""
        known = self.table(name)
        named = {"variable": "key", "connection": "conn_id"}.get(name)
        for row in self.dump.rows(self.elsewhere.get(name, name)):
            if known.dag and (row[known.dag] or "").startswith(OWN_PREFIX):
                continue
            if known.instance and _of_own_dag(name, (self._refer("task_instance", row[known.instance]),)):
                continue
            if named and _left_out(row[named] or "", self.local_names.get(name, ())):
                continue
            if name == "dag" and (paused := self.paused.get(row["dag_id"] or "")) is not None:
                row = {**row, "is_paused": "t" if paused else "f"}  # noqa: PLW2901 - as it was before a drain
            yield row

    def rows(self, name: str) -> Iterator[tuple[Key, dict[str, Any]]]:
        """Identity and canonical form of every row of a table."""
        for row in self.raw(name):
            key = self.key(name, row)
            if not _of_own_dag(name, key):
                yield key, self.canonical(name, row)

    def key(self, name: str, row: Row) -> Key:
        """What identifies a row across databases."""
        known = self.table(name)
        if not known.key:
            return (int(row["id"] or 0) - self.shifts.get(name, 0),)
        references = self.references(name)
        return tuple(self._refer(references[c], row[c]) if c in references else row[c] for c in known.key)

    def canonical(self, name: str, row: Row) -> dict[str, Any]:
        """The row as it is compared."""
        known = self.table(name)
        references = self.references(name)
        result: dict[str, Any] = {}
        for column, value in row.items():
            if column in known.ignored or column not in ONLY_COLUMNS.get(name, row):
                continue
            if column == known.serial:
                if known.shifted:
                    result[column] = int(value or 0) - self.shifts.get(name, 0)
            elif column in references:
                result[column] = self._refer(references[column], value)
            elif column in known.secrets:
                result[column] = self._open(value, row.get(known.secrets[column]))
            else:
                result[column] = value
        return result

    def content(self, name: str, row: Row) -> Key:
        """What a row of a shifted table says, apart from ids: equal in both databases whatever the shift is."""
        known = self.table(name)
        if known.key:
            return tuple(row[column] for column in known.key)
        left_out = {
            known.serial,
            *self.references(name),
            *(c for rule in RULES if rule.table == name for c in rule.columns),
        }
        return tuple(
            self._open(value, row.get(known.secrets[column])) if column in known.secrets else value
            for column, value in row.items()
            if column not in left_out
        )

    def _refer(self, table: str, value: str | None) -> Any:
        if value is None:
            return None
        known = self.table(table)
        if table == "trigger":  # a fired trigger is deleted, so what refers to it may outlive it
            return ("trigger", int(value) - self.shifts.get(table, 0))
        if known.key and value in self._identity(table):
            return self._identity(table)[value]
        if not value.isdecimal():  # a UUID, which no restore changes
            return (f"no {table}", value)
        number = int(value) - self.shifts.get(table, 0)
        return (table, number) if not known.key and self._exists(table, value) else (f"no {table}", number)

    def _identity(self, table: str) -> dict[str, Key]:
        if table not in self._identities:
            serial = self.table(table).serial or "id"
            self._identities[table] = {}  # a table that refers to itself does so outside its key
            self._identities[table] = {row[serial] or "": self.key(table, row) for row in self.dump.rows(table)}
        return self._identities[table]

    def _exists(self, table: str, value: str) -> bool:
        if table not in self._ids:
            self._ids[table] = {row["id"] or "" for row in self.dump.rows(table)}
        return value in self._ids[table] or (self.later is not None and self.later._exists(table, value))

    def _open(self, value: str | None, flag: str | None) -> Any:
        if not value or flag == "f" or (flag is None and value.startswith("{")):
            return value if not value else Secret(value)
        try:
            return Secret(self._fernet.decrypt(value.encode()).decode())
        except InvalidToken:
            return Secret(value, readable=False)


def shift_of(table: str, source: Side, restored: Iterable[Side]) -> int:
    """By how much ids of the restored rows exceed the source's, as most rows with equal content say."""
    of_source: dict[Key, list[int]] = defaultdict(list)
    for row in source.raw(table):
        of_source[source.content(table, row)].append(int(row["id"] or 0))
    votes: Counter[int] = Counter()
    for side in restored:
        of_restored: dict[Key, list[int]] = defaultdict(list)
        for row in side.raw(table):
            content = side.content(table, row)
            if content in of_source:
                of_restored[content].append(int(row["id"] or 0))
        for content, ids in of_restored.items():
            votes.update(there - here for here, there in zip(sorted(of_source[content]), sorted(ids), strict=False))
    return votes.most_common(1)[0][0] if votes else 0


def users_rows(dump: Dump, table: str) -> list[Row]:
    """Rows of a table with a column `dag_id`, without those of the metadata DAGs."""
    return [row for row in dump.rows(table) if not (row["dag_id"] or "").startswith(OWN_PREFIX)]


def _left_out(name: str, patterns: Iterable[str]) -> bool:
    return name.startswith(OWN_PREFIX) or any(fnmatchcase(name, pattern) for pattern in patterns)


def _of_own_dag(name: str, key: Any) -> bool:
    """Whether a row without a DAG column belongs to a metadata DAG: a permission on it, a note of one of its runs."""
    if name.startswith("ab_"):
        return f"'DAG:{OWN_PREFIX}" in repr(key)
    return isinstance(key[0], tuple) and str(key[0][0]).startswith(OWN_PREFIX)
