"""Write the objects of a snapshot, table by table or piece by piece."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg2 import sql

from continuity import lanes, layout, manifest, policy, secrets
from continuity.catalog import Catalog, Table, high_water_mark
from continuity.chosen import StateIds
from continuity.cut import Cut
from continuity.delta import Changes, TableChanges
from continuity.layout import Survey
from continuity.manifest import ColumnEntry, ObjectEntry, TableEntry
from continuity.rules import Rule
from continuity.selection import count_in, in_order, rows_of
from continuity.storage import GzipUpload, SnapshotStore

SEALED_BATCH = 500
#: How many pieces the history of all tables makes for each session: with more, all end closer together.
PIECES_EACH = 3
#: A piece of less is not worth an object of its own.
LEAST_PIECE_RANGES = 2048


@dataclass(frozen=True)
class Reading:
    """What a cut sees: the tables, what to do with each, which rows are state, the schema's versions.

    sessions: connections that see it.
    """

    cut: Cut
    sessions: Sequence[Any]
    airflow_version: str
    catalog: Catalog
    plan: policy.Plan
    ids: StateIds
    heads: Mapping[str, list[str]]


@dataclass(frozen=True, order=True)
class Piece:
    """What one session writes without a pause: a table, its state (`is_whole` False), or its history in some pages.

    number: which part of the history, from 1; pages: [first, end); rows: about how many.
    """

    table: str
    number: int = 0
    rows: int = 0
    pages: tuple[int, int] | None = None
    is_whole: bool = True


@dataclass(frozen=True)
class Written:
    """The objects of a piece, and how many rows of the table they stand for."""

    objects: Sequence[ObjectEntry]
    rows: int


@dataclass(frozen=True)
class Writer:
    """Writes the objects of one table after the other, read through `cursor`."""

    cursor: Any
    reading: Reading
    store: SnapshotStore
    snapshot_id: str
    fernet: secrets.FernetKeys
    data_key: secrets.DataKey
    survey: Survey
    changes: Changes | None

    def write_all(self) -> tuple[TableEntry, ...]:
        """Write every table in pieces, the largest first: whoever has one, the others have the rest meanwhile."""
        pieces = sorted(self._pieces(), key=lambda piece: -piece.rows)

        def write(session: Any, piece: Piece) -> Written:
            with session.cursor() as cursor:
                return replace(self, cursor=cursor).write(piece)

        written = dict(zip(pieces, lanes.shared_out(pieces, self.reading.sessions, write), strict=True))
        return tuple(
            self._entry(name, [written[piece] for piece in sorted(pieces) if piece.table == name])
            for name in sorted(self.reading.plan.carried())
        )

    def write(self, piece: Piece) -> Written:
        table, rule = self.reading.catalog[piece.table], self.reading.plan.rules[piece.table]
        changed = self.changes.tables.get(table.name) if self.changes else None
        if changed:
            rows = changed.rows + self._count_in(table, changed.pages)
            return Written(self._write_changes(table, rule, changed), rows)
        if rule.verdict == "sealed":
            objects = [self._write_sealed(table, rule)]
        elif piece.pages:
            objects = [self._write_copy(table, rule, "history", [piece.pages], piece.number)]
        elif rule.phase == "split":
            phases = ("state", "history") if piece.is_whole else ("state",)
            objects = [self._write_copy(table, rule, phase) for phase in phases]
        else:
            objects = [self._write_copy(table, rule, rule.phase)]
        return Written(objects, sum(entry.rows for entry in objects))

    def _pieces(self) -> Iterator[Piece]:
        """Every table as one piece; the history of a base's largest ones as several, so that no session ends alone."""
        survey, plan = self.survey, self.reading.plan
        ranges = sum(len(counted.old) for counted in survey.tables.values())
        share = max(LEAST_PIECE_RANGES, ranges // (PIECES_EACH * len(self.reading.sessions)))
        for name in plan.carried():
            counted = survey.tables.get(name)
            spans = () if counted is None or self.changes else layout.parts(counted, share)
            if len(spans) < 2:
                yield Piece(name, rows=sum(counted.present) if counted else 0)
                continue
            if plan.rules[name].phase == "split":
                yield Piece(name, is_whole=False)
            for number, (pages, rows) in enumerate(spans, 1):
                yield Piece(name, number, rows, pages)

    def _entry(self, name: str, written: Sequence[Written]) -> TableEntry:
        table, rule = self.reading.catalog[name], self.reading.plan.rules[name]
        return TableEntry(
            name=name,
            verdict=rule.verdict,
            columns=tuple(ColumnEntry(column.name, column.type) for column in table.columns),
            rows=sum(one.rows for one in written),
            max_id=high_water_mark(self.cursor, table) if table.sequence else None,
            objects=tuple(entry for one in written for entry in one.objects),
        )

    def write_layout(self) -> dict[str, Any]:
        """Say where the rows of this base lie; returns what the manifest says of the object."""
        reading = self.reading
        time.sleep(layout.seconds_until_lasting(self.cursor, reading.cut.at))
        found = layout.described(reading.sessions, self.survey, reading.catalog, reading.plan, reading.ids)
        body = found.to_bytes()
        self.store.put(self.snapshot_id, layout.NAME, body)
        return manifest.plain_entry(layout.NAME, body)

    def _write_changes(self, table: Table, rule: Rule, changed: TableChanges) -> list[ObjectEntry]:
        """The state whole; of the history what lies where something changed."""
        state = [self._write_copy(table, rule, "state")] if rule.phase == "split" else []
        own = [self._write_copy(table, rule, "history", changed.pages)] if changed.pages else []
        return [*state, *changed.holding, *own]

    def _write_copy(
        self,
        table: Table,
        rule: Rule,
        phase: str,
        pages: Sequence[tuple[int, int]] | None = None,
        part: int = 1,
    ) -> ObjectEntry:
        name = f"{table.name}.{phase}.{f'{part}.' if part > 1 else ''}copy.gz"
        rows = rows_of(table, self.reading.catalog, rule, phase, self.reading.ids, pages=pages)
        if table.name in self.survey.tables and not self.changes and not self._comes_as_it_lies(rows):
            rows = in_order(rows)
        query = sql.SQL("COPY ({}) TO STDOUT").format(rows)
        with self.store.upload(self.snapshot_id, name) as upload:
            packed = GzipUpload(upload)
            self.cursor.copy_expert(query, packed, size=1 << 18)
            packed.finish()
        return ObjectEntry(name, phase, self.cursor.rowcount, upload.bytes, upload.sha256)

    def _count_in(self, table: Table, pages: Sequence[tuple[int, int]]) -> int:
        self.cursor.execute(count_in(table, self.reading.catalog, pages))
        return int(self.cursor.fetchone()[0])

    def _comes_as_it_lies(self, rows: sql.Composed) -> bool:
        """Whether the rows come from the first page to the last by themselves: a sort of a long history costs."""
        self.cursor.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(rows))
        return self.cursor.fetchone()[0][0]["Plan"]["Node Type"] in ("Seq Scan", "Tid Range Scan")

    def _write_sealed(self, table: Table, rule: Rule) -> ObjectEntry:
        name = f"{table.name}.sealed"
        rows = 0

        def lines() -> Iterator[bytes]:
            nonlocal rows
            for row in self._text_rows(table, rule):
                where = f"{table.name} {row.get(policy.NAME_OF_ROW.get(table.name, 'id'))!r}"
                secrets.reveal_row(row, rule.secret, self.fernet, where)
                rows += 1
                yield json.dumps(row).encode()

        body = secrets.seal(lines(), self.data_key, f"{self.snapshot_id}/{table.name}")
        with self.store.upload(self.snapshot_id, name) as upload:
            upload.write(body)
        return ObjectEntry(name, "state", rows, upload.bytes, upload.sha256)

    def _text_rows(self, table: Table, rule: Rule) -> Iterator[dict[str, str | None]]:
        """Rows as PostgreSQL prints them, fetched through a cursor of the server."""
        names = [column.name for column in table.columns]
        with self.cursor.connection.cursor(name=f"sealed_{table.name}") as cursor:
            cursor.itersize = SEALED_BATCH
            cursor.execute(rows_of(table, self.reading.catalog, rule, "state", self.reading.ids, as_text=True))
            for row in cursor:
                yield dict(zip(names, row, strict=True))
