"""Insert rows into whatever schema a database has: columns that this Airflow version lacks are dropped, those it has
beyond what a test names are filled with unpleasant values of their type."""

from __future__ import annotations

import json
import pickle
import random
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2 import sql
from psycopg2.extras import Json, execute_values

NASTY = [
    "",
    "plain",
    "\\.",
    "\\N",
    "NULL",
    "line one\nline two",
    "carriage\r\nreturn\r",
    "tab\there",
    'quote " and \'single\' and "",""',
    "a,b;c|d",
    "back\\slash\\n not a newline\\",
    "\n\\.\n",
    "snowman \u2603 and rocket \U0001f680 and e\u0301",
    "  leading and trailing  ",
    "{{ macros.ds_add(ds, 1) }}",
    "\x01\x02\x1f\x7f\u2028\ufeff",
    "%s %(x)s %%",
    "x" * 3000,
]
EPOCH = datetime(2026, 3, 1, tzinfo=UTC)

COLUMNS = """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
    EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f' AND a.attnum = ANY (k.conkey))
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"""


@dataclass(frozen=True)
class Field:
    """A column: its type, whether it may not be NULL, whether each row must name it, whether it points elsewhere."""

    type: str
    not_null: bool
    needed: bool
    points: bool


@dataclass
class Rows:
    """Inserts rows; `counts` says how many per table."""

    cursor: Any
    seed: int
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  (no secret: the same seed gives the same rows)
        self.cursor.execute(COLUMNS)
        self.fields: dict[str, dict[str, Field]] = {}
        for table, name, *rest in self.cursor.fetchall():
            self.fields.setdefault(table, {})[name] = Field(*rest)

    def has(self, table: str, column: str | None = None) -> bool:
        """Whether this Airflow version has the table, and the column."""
        return table in self.fields and (column is None or column in self.fields[table])

    def insert(self, table: str, **values: Any) -> Any:
        """Insert a row; returns its id where it has one, None where this Airflow version has no such table."""
        return self.insert_many(table, [values])[0]

    def insert_many(self, table: str, rows: list[dict[str, Any]]) -> list[Any]:
        if not rows or not self.has(table):
            return [None] * len(rows)
        fields = self.fields[table]
        full = [self._fitted(fields, row) for row in rows]
        if "id" in fields and fields["id"].needed and fields["id"].type != "uuid":
            for row in full:  # as Airflow does for tables whose id has no default
                self.cursor.execute("SELECT nextval(%s)", (f"{table}_id_seq",))
                (row["id"],) = self.cursor.fetchone()
        names = list(full[0])
        returning = sql.SQL("id" if "id" in fields else "1")
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        statement = sql.SQL("INSERT INTO {} ({}) VALUES %s RETURNING {}").format(
            sql.Identifier(table), columns, returning
        )
        values = [tuple(row[name] for name in names) for row in full]
        found = execute_values(self.cursor, statement, values, fetch=True, page_size=1000)
        self.counts[table] = self.counts.get(table, 0) + len(rows)
        return [row[0] for row in found]

    def _fitted(self, fields: dict[str, Field], row: dict[str, Any]) -> dict[str, Any]:
        """The row for these columns."""
        values = {
            name: self.value(fields[name].type)
            if value is None and fields[name].not_null
            else self._typed(fields[name].type, value)
            for name, value in row.items()
            if name in fields
        }
        for name, field_ in fields.items():
            if name in values or (name == "id" and field_.type != "uuid"):
                continue
            if field_.needed:
                values[name] = self.value(field_.type)
            elif not field_.points and not name.endswith("_id") and name not in row and name in EXTRA:
                values[name] = self.value(field_.type) if self.random.random() < 0.5 else None
        return values

    @staticmethod
    def _typed(kind: str, value: Any) -> Any:
        if kind in ("json", "jsonb") and isinstance(value, bytes):
            return Json(json.loads(value) if value[:1] == b"{" else pickle.loads(value))  # noqa: S301  (our own)
        if kind.startswith(("character", "text")) and isinstance(value, int):
            return str(value)
        return value

    def value(self, kind: str) -> Any:
        """Any value of a PostgreSQL type."""
        width = re.search(r"\((\d+)\)", kind)
        if kind.startswith(("character", "text")):
            return self.text(int(width[1]) if width else 4000)
        if kind in ("json", "jsonb"):
            return Json({"text": self.text(), "list": [1, None, 2.5], "nested": {"\u2603": self.text()}})
        if kind.startswith("timestamp"):
            return self.moment() if "with time zone" in kind else self.moment().replace(tzinfo=None)
        makers: dict[str, Callable[[], Any]] = {
            "uuid": lambda: str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            "boolean": lambda: self.random.random() < 0.5,
            "integer": lambda: self.random.randrange(1, 2**31),
            "bigint": lambda: self.random.randrange(1, 2**63),
            "double precision": lambda: self.random.choice([0.0, 0.1, 1e-7, -123456.789012345]),
            "bytea": lambda: self.random.randbytes(40),
        }
        return makers[kind]()

    def text(self, longest: int = 4000, empty: bool = True) -> str:
        return self.random.choice([text for text in NASTY if len(text) <= longest and (text or empty)])

    def maybe(self, value: Any, chance: float = 0.5) -> Any:
        return value if self.random.random() < chance else None

    def moment(self, base: datetime = EPOCH) -> datetime:
        return base + timedelta(microseconds=self.random.randrange(10**11))


#: Columns of some versions that no scheduler and no parser goes by here: any value will do.
EXTRA = frozenset(
    {
        "context_carrier",
        "triggering_user_name",
        "signed_url_template",
        "template_params",
        "version_data",
        "output",
        "retry_reason",
        "retry_delay_override",
        "last_heartbeat_at",
        "scheduled_dttm",
        "partition_key",
        "expires_at",
        "fail_login_count",
        "created_on",
        "changed_on",
        "label",
        "queue",
        "timetable_summary",
        "asset_expression",
    }
)
