"""Whether a snapshot fits a database: told from the manifest and the catalog alone, before anything is touched."""

from __future__ import annotations

import re

from continuity.catalog import Catalog, Column
from continuity.manifest import Manifest, TableEntry
from continuity.policy import Plan

TEXTS = re.compile(r"(character varying|text)(\(\d+\))?")
INTEGERS = ("smallint", "integer", "bigint")


def losses(manifest: Manifest, catalog: Catalog, plan: Plan) -> list[str]:
    """What a restore would lose or could not fill, in words; empty where everything has its place.

    Columns are mapped by name. A column the target lacks is lost if its table has rows; a column the snapshot lacks is
    filled by its default or NULL.
    """
    found = []
    for entry in manifest.tables:
        if entry.rows == 0 or (entry.name in plan.rules and plan.rules[entry.name].verdict == "skip"):
            continue
        if entry.name not in catalog:
            found.append(f"table {entry.name} ({entry.rows} rows): there is no such table here")
        else:
            found += _of_table(entry, catalog)
    return found


def fitting(entry: TableEntry, catalog: Catalog, plan: Plan) -> bool:
    """Whether there is anything of this table to carry into this database."""
    return entry.name in catalog and plan.rules[entry.name].verdict != "skip"


def _of_table(entry: TableEntry, catalog: Catalog) -> list[str]:
    table = catalog[entry.name]
    found = []
    for column in entry.columns:
        here = table.column(column.name)
        if here is None:
            found.append(f"column {entry.name}.{column.name}: there is no such column here")
        elif not _holds(here, column.type):
            found.append(f"column {entry.name}.{column.name}: it is {column.type} there and {here.type} here")
    names = {column.name for column in entry.columns}
    found += [
        f"column {entry.name}.{column.name}: it must have a value here, and the snapshot has none"
        for column in table.columns
        if column.not_null and not column.has_default and column.name not in names
    ]
    return found


def _holds(here: Column, there: str) -> bool:
    if here.type == there:
        return True
    if TEXTS.fullmatch(here.type) and TEXTS.fullmatch(there):
        return _width(here.type) >= _width(there)
    return here.type in INTEGERS and there in INTEGERS and INTEGERS.index(here.type) >= INTEGERS.index(there)


def _width(kind: str) -> float:
    found = re.search(r"\((\d+)\)", kind)
    return int(found[1]) if found else float("inf")
