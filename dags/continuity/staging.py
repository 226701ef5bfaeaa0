"""Bring objects of a snapshot into temporary tables of the current transaction, checked byte by byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql

from continuity import secrets
from continuity.catalog import Table
from continuity.errors import ContinuityError, SnapshotDamaged
from continuity.manifest import ObjectEntry, TableEntry
from continuity.rules import RULES
from continuity.storage import GunzipReader, Readable, RowSlices, SnapshotStore

PREFIX = "continuity_stage_"
ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
#: Errors whose detail names keys; that of others may show a whole row.
HARMLESS_DETAIL = (errorcodes.UNIQUE_VIOLATION, errorcodes.FOREIGN_KEY_VIOLATION)


def stage_of(table: str) -> sql.Identifier:
    """Name of the temporary table that holds a table's rows as the snapshot has them."""
    return sql.Identifier(f"{PREFIX}{table}")


@dataclass(frozen=True)
class Stager:
    """Loads objects of one snapshot; secrets are encrypted under the target's keys on the way."""

    cursor: Any
    store: SnapshotStore
    snapshot_id: str
    data_key: secrets.DataKey
    fernet: secrets.FernetKeys

    def load(self, table: TableEntry, entry: ObjectEntry) -> None:
        """Fill a new temporary table with the object's rows; it is dropped when the transaction ends."""
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
        stage = stage_of(table.name)
        with naming_table(table.name, sealed=table.verdict == "sealed"):
            self._create(stage, table, columns)
            self.fill(stage, table, entry)

    def load_history(self, entry: TableEntry, table: Table) -> None:
        """Fill a new temporary table with the rows of a table's history, of whatever snapshots they are.

        Raises SnapshotDamaged where they are not as many as there were at the cut.
        """
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in entry.columns)
        stage = stage_of(entry.name)
        with naming_table(entry.name):
            self._create(stage, entry, columns)
            for stored in entry.history:
                self.fill(stage, entry, stored)
            if entry.state and any(stored.snapshot_id for stored in entry.history):
                self._leave_out_state(stage, entry, entry.state, table, columns)
            self.cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(stage))
        rows = self.cursor.fetchone()[0]
        if rows != entry.history_rows:
            raise SnapshotDamaged(entry.history_name, f"it comes to {rows} rows, not {entry.history_rows}")

    def _leave_out_state(
        self, stage: sql.Identifier, entry: TableEntry, state: ObjectEntry, table: Table, columns: sql.Composed
    ) -> None:
        """Rows of the base that are state by now were restored as that."""
        by_now = sql.Identifier(f"{PREFIX}state_{entry.name}")
        self._create(by_now, entry, columns)
        self.fill(by_now, entry, state)
        key = [sql.Identifier(name) for name in table.primary_key]
        self.cursor.execute(
            sql.SQL("DELETE FROM {} s USING {} n WHERE ({}) = ({})").format(
                stage,
                by_now,
                sql.SQL(", ").join(sql.SQL("s.{}").format(name) for name in key),
                sql.SQL(", ").join(sql.SQL("n.{}").format(name) for name in key),
            )
        )

    def _create(self, stage: sql.Identifier, entry: TableEntry, columns: sql.Composed) -> None:
        self.cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                stage, columns, sql.Identifier(entry.name)
            )
        )

    def fill(self, stage: sql.Identifier, table: TableEntry, entry: ObjectEntry) -> None:
        """Bring the object's rows into a table that has its columns."""
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(stage, columns)
        if table.verdict == "sealed":
            self.cursor.copy_expert(statement, LineReader(self._unsealed(table, entry)))
        else:
            self._copy(statement, entry)
        if self.cursor.rowcount != entry.taken:
            raise SnapshotDamaged(entry.name, f"it has {self.cursor.rowcount} rows, its manifest says {entry.taken}")

    def _copy(self, statement: sql.Composed, entry: ObjectEntry) -> None:
        body = self.store.open(self.snapshot_id, entry)
        reader: Readable = GunzipReader(body, entry.name)
        if entry.take is not None:
            reader = RowSlices(reader, entry.take)
        try:
            self.cursor.copy_expert(statement, reader, size=1 << 18)
        finally:
            body.drain()  # an altered object is told as that, not as what PostgreSQL stumbled over

    def _unsealed(self, table: TableEntry, entry: ObjectEntry) -> Iterator[bytes]:
        """COPY lines of a sealed object."""
        sealed = b"".join(self.store.open(self.snapshot_id, entry).chunks())
        names = [column.name for column in table.columns]
        secret = RULES[table.name].secret
        for line in secrets.unseal(sealed, self.data_key, f"{self.snapshot_id}/{table.name}", entry.name):
            row = json.loads(line)
            secrets.protect_row(row, secret, self.fernet)
            yield copy_line([row[name] for name in names])


class LineReader:
    """File for `COPY ... FROM STDIN` over lines made as they are read."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._buffer = next(
            lines, b""
        )  # what is wrong with the object shows here, outside of COPY, which would hide it

    def read(self, size: int = 8192) -> bytes:
        while len(self._buffer) < size:
            line = next(self._lines, None)
            if line is None:
                break
            self._buffer += line
        head, self._buffer = self._buffer[:size], self._buffer[size:]
        return head


def copy_line(values: list[str | None]) -> bytes:
    """A row in COPY's text format."""
    return ("\t".join("\\N" if value is None else value.translate(ESCAPES) for value in values) + "\n").encode()


@contextmanager
def naming_table(table: str, sealed: bool = False) -> Iterator[None]:
    """Turn an error of the database into one that names the table, and shows no value of a row."""
    refused: psycopg2.Error | None = None
    try:
        yield
    except psycopg2.Error as error:
        refused = error
    if refused is None:
        return
    text = "" if sealed else refused.diag.message_primary or str(refused).strip()
    if not sealed and refused.pgcode in HARMLESS_DETAIL and refused.diag.message_detail:
        text += f": {refused.diag.message_detail}"
    # Raised outside the handler: the cause may show rows.
    raise ContinuityError(f"table {table}: {text or 'the database refused it'} (SQLSTATE {refused.pgcode})")
