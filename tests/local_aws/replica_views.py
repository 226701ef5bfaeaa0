"""A Region that is cut off sees of a DynamoDB table what it saw then, and what it wrote since."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table

from tests.local_aws.contract import ACCOUNT_ID

Items = dict[tuple[str, str | None], Any]


class ReplicaViews:
    """Replicas that are apart from their homes, by Region and table: the items as both had them last."""

    def __init__(self) -> None:
        self._shared: dict[tuple[str, str], Items] = {}

    def part(self, region: str) -> None:
        """From now on what either side writes stays there."""
        tables = dynamodb_backends[ACCOUNT_ID][region].tables
        for name, table in list(tables.items()):
            if _home(table) != region and (region, name) not in self._shared:
                self._shared[region, name] = _flat(copy.deepcopy(table.items))
                apart = copy.copy(table)
                apart.items = copy.deepcopy(table.items)
                tables[name] = apart

    def join(self, region: str) -> None:
        """Carry over what the replica wrote, and let it see its home again.

        AWS lets the last writer win, item by item; here the home does, which both wrote an item of in no test.
        """
        tables = dynamodb_backends[ACCOUNT_ID][region].tables
        for key in [key for key in self._shared if key[0] == region]:
            shared, name = self._shared.pop(key), key[1]
            apart = tables[name]
            home: Table = dynamodb_backends[ACCOUNT_ID][_home(apart)].tables[name]
            here, there = _flat(home.items), _flat(apart.items)
            for item in _changed(shared, there) - _changed(shared, here):
                _set(home, item, there.get(item))
            tables[name] = home


def _home(table: Any) -> str:
    return str(table.table_arn.split(":")[3])


def _flat(items: Mapping[Any, Any]) -> Items:
    """Items by their keys' values; a table without a sort key has one item for each hash."""
    found: Items = {}
    for held in items.values():
        for item in held.values() if isinstance(held, dict) else [held]:
            found[item.hash_key.value, item.range_key.value if item.range_key else None] = item
    return found


def _changed(before: Items, after: Items) -> set[tuple[str, str | None]]:
    return {key for key in before.keys() | after.keys() if _json(before.get(key)) != _json(after.get(key))}


def _json(item: Any) -> Any:
    return None if item is None else item.to_json()


def _set(table: Any, key: tuple[str, str | None], item: Any) -> None:
    held = _flat(table.items).get(key)
    known = item or held
    if known is None:
        return
    if known.range_key is None:
        if item is None:
            del table.items[known.hash_key]
        else:
            table.items[known.hash_key] = item
    elif item is None:
        del table.items[known.hash_key][known.range_key]
    else:
        table.items[known.hash_key][known.range_key] = item
