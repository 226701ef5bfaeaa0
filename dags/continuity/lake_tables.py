"""What of the metadata database goes to the lake: the tables and columns that `lake_tables.json` names, for the export
and for the Glue catalogue alike.

In the file, of a table: `key`, the columns that tell its rows apart in one environment (`row_key` is a digest of all
columns, where a row has no name that outlives a restore); `day`, what `run_date` is made of (`run`, `of_run`: when the
run was due; `dttm`; `cut`; null: the table has no such column); `changed`, the columns by which a change is told where
row versions cannot be compared (none: all rows are taken). Of a column: `type` as Glue names it, and `from`, the
columns of the database that it may come from, the first that is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DIGEST = "row_key"
DAY = "run_date"
#: Where nothing says when it was: the column must have a value, because rows are found by it.
NO_DAY = "1970-01-01"


@dataclass(frozen=True)
class LakeColumn:
    """A column of the lake; `type` is Glue's."""

    name: str
    type: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class LakeTable:
    """A table of the lake, as `lake_tables.json` describes it."""

    name: str
    key: tuple[str, ...]
    day: str | None
    changed: tuple[str, ...]
    columns: tuple[LakeColumn, ...]

    @property
    def described(self) -> Mapping[str, str]:
        """Name and type of every column of an exported row, in order; the partitions are beside it."""
        return {
            **{column.name: column.type for column in self.columns},
            **({DIGEST: "string"} if DIGEST in self.key else {}),
            **({DAY: "date"} if self.day else {}),
            "region": "string",
            "version": "bigint",
        }


@cache
def lake_tables() -> Mapping[str, LakeTable]:
    """Every table of the lake, by its name."""
    document = json.loads((Path(__file__).parent / "lake_tables.json").read_text(encoding="utf-8"))
    return {
        name: LakeTable(
            name=name,
            key=tuple(table["key"]),
            day=table["day"],
            changed=tuple(table["changed"]),
            columns=tuple(
                LakeColumn(column["name"], column["type"], tuple(column.get("from", [column["name"]])))
                for column in table["columns"]
            ),
        )
        for name, table in document.items()
    }
