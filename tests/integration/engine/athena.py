"""As much of Athena as the lake needs: its statements, translated by sqlglot, on DuckDB over the exported objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from tests.tools.lake_module import LakeModule

#: Types of Glue in DuckDB.
TYPES = {
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
}


class Athena:
    """A lake: what environments exported below a prefix of a bucket, and the tables that are made of it."""

    def __init__(self, module: LakeModule, s3: Any, bucket: str, prefix: str, folder: Path) -> None:
        self.module, self.folder = module, folder
        self._s3, self._bucket, self._prefix = s3, bucket, prefix
        self._database = duckdb.connect()
        self._database.execute("SET TimeZone = 'UTC'")

    def merge(self) -> None:
        """What the state machine does, each statement as it is deployed."""
        self.fetch()
        for statement in self.module.statements:
            self.run(statement["create"])
            ((since,),) = self.run(statement["since"])
            ((first_day,),) = self.run(filled(statement["first_day"], since))
            if first_day != "none":
                self.run(filled(statement["merge"], since, first_day))
        self.run(self.module.view)

    def fetch(self) -> None:
        """Bring what was exported, as the catalogue describes it."""
        for key in self.keys():
            path = self.folder / key.removeprefix(self._prefix)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())
        for name, table in self.module.tables.items():
            self._describe(name, {column["name"]: TYPES[column["type"]] for column in table["columns"]})

    def keys(self) -> Iterator[str]:
        """Keys of all objects that were exported."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}exports/"
        )
        for page in pages:
            yield from (found["Key"] for found in page.get("Contents", ()))

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Its rows; of a statement that has none, what DuckDB says it did."""
        return self._database.execute(translated(statement)).fetchall()

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a query by the names of its columns."""
        found = self._database.execute(translated(statement))
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def saved(self, name: str) -> list[dict[str, Any]]:
        """The rows of a saved query."""
        return self.rows(self.module.queries[name])

    def _describe(self, name: str, columns: dict[str, str]) -> None:
        files = self.folder / "exports" / name
        if any(files.rglob("*.jsonl.gz")):
            source = (
                f"read_json('{files}/*/*/*.jsonl.gz', format = 'newline_delimited', columns = {json.dumps(columns)},"
                " hive_partitioning = true, hive_types = {'environment': VARCHAR, 'date': VARCHAR})"
            )
        else:
            values = {**columns, "environment": "VARCHAR", "date": "VARCHAR"}
            nothing = ", ".join(f'NULL::{kind} AS "{column}"' for column, kind in values.items())
            source = f"(SELECT {nothing} WHERE false)"
        self._database.execute(f"CREATE OR REPLACE VIEW exported_{name} AS SELECT * FROM {source}")  # noqa: S608


def filled(statement: str, *values: str) -> str:
    """What `States.Format` makes of it."""
    for value in values:
        statement = statement.replace("{}", value, 1)
    return statement


def translated(statement: str) -> str:
    """The statement for DuckDB; where a table lies, and how its files are cut, means nothing there."""
    (parsed,) = sqlglot.parse(statement, read="athena")
    assert parsed is not None
    if isinstance(parsed, exp.Create) and parsed.kind == "TABLE":
        parsed.set("properties", None)
    return parsed.sql(dialect="duckdb")
