"""Reads a plain `pg_dump` file: rows of COPY blocks, foreign keys and primary keys.

The file is scanned once for where each COPY block begins. Rows are decoded one table at a time, so memory is bounded
by the largest table that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Row = dict[str, str | None]

_COPY = re.compile(rb"^COPY ([^ ]+) \((.*)\) FROM stdin;$")
_CONSTRAINED = re.compile(r"^ALTER TABLE ONLY (\S+)$")
_FOREIGN_KEY = re.compile(r"^\s+ADD CONSTRAINT .* FOREIGN KEY \(([^)]*)\) REFERENCES ([^(]+)\(([^)]*)\)")
_PRIMARY_KEY = re.compile(r"^\s+ADD CONSTRAINT .* PRIMARY KEY \(([^)]*)\)")
_TRAILER = b"-- PostgreSQL database dump complete"

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPED = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)


class BadDump(Exception):
    """The file is not a complete plain dump; the message says what is wrong."""


@dataclass(frozen=True)
class ForeignKey:
    """`table (columns)` refers to `target (target_columns)`."""

    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class _Block:
    columns: tuple[str, ...]
    offset: int


@dataclass
class Dump:
    """One plain dump file (`pg_dump --format=plain`), indexed by table. Tables of schema `public` have bare names."""

    path: Path
    #: Rows whose `dag_id` begins so are not there. Empty: all are.
    without: str = ""
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    primary_keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _blocks: dict[str, _Block] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scan()

    @property
    def tables(self) -> list[str]:
        """Names of every table that the dump holds rows of, or could hold rows of."""
        return sorted(self._blocks)

    def columns(self, table: str) -> tuple[str, ...]:
        """Column names of a table in the order of the dump; empty for a table that is not there."""
        block = self._blocks.get(table)
        return block.columns if block else ()

    def rows(self, table: str) -> Iterator[Row]:
        """Every row of a table, values as PostgreSQL prints them, NULL as None; nothing for an absent table."""
        block = self._blocks.get(table)
        if block is None:
            return
        dag_id = block.columns.index("dag_id") if self.without and "dag_id" in block.columns else None
        left_out = self.without.encode()
        with self.path.open("rb") as file:
            file.seek(block.offset)
            for line in file:
                text = line.removesuffix(b"\n")
                if text == rb"\.":
                    return
                parts = text.split(b"\t")
                if len(parts) != len(block.columns):
                    raise BadDump(
                        f"{self.path.name}: {table}: a row has {len(parts)} values for {len(block.columns)} columns"
                    )
                if dag_id is not None and parts[dag_id].startswith(left_out):
                    continue
                values = [decode(part.decode("utf-8", "surrogateescape")) for part in parts]
                yield dict(zip(block.columns, values, strict=True))

    def _scan(self) -> None:
        complete = inside = False
        table_of_statement = ""
        with self.path.open("rb") as file:
            while line := file.readline():
                text = line.removesuffix(b"\n")
                if inside:
                    inside = text != rb"\."
                elif match := _COPY.match(text):
                    self._blocks[_name(match[1].decode())] = _Block(_names(match[2].decode()), file.tell())
                    inside = True
                elif text == _TRAILER:
                    complete = True
                else:
                    table_of_statement = self._constraint(text.decode("utf-8", "replace"), table_of_statement)
        if inside or not complete:
            raise BadDump(f"{self.path.name}: the dump is cut off (no line '{_TRAILER.decode()}' after the last row)")

    def _constraint(self, text: str, table: str) -> str:
        if match := _CONSTRAINED.match(text):
            return _name(match[1])
        if table and (match := _FOREIGN_KEY.match(text)):
            self.foreign_keys.append(ForeignKey(table, _names(match[1]), _name(match[2]), _names(match[3])))
        elif table and (match := _PRIMARY_KEY.match(text)):
            self.primary_keys[table] = _names(match[1])
        return table if text.startswith(" ") else ""


def decode(text: str) -> str | None:
    r"""One value of COPY's text format; `\N` is NULL, an empty text is an empty string."""
    if text == r"\N":
        return None
    return _ESCAPED.sub(_unescape, text) if "\\" in text else text


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8))
    return _ESCAPES.get(code, code)


def _name(quoted: str) -> str:
    return quoted.replace('"', "").removeprefix("public.")


def _names(listed: str) -> tuple[str, ...]:
    return tuple(part.strip().strip('"') for part in listed.split(","))
