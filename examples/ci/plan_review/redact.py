"""A plan reduced to what the comment needs, without what is sensitive: fit to be handed from one job to another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_KEPT: Final = ("format_version", "terraform_version", "errored", "complete", "applyable")
_OF_CHANGE: Final = (
    "actions",
    "before",
    "after",
    "after_unknown",
    "before_sensitive",
    "after_sensitive",
    "replace_paths",
    "importing",
)
_OF_RESOURCE: Final = ("address", "previous_address", "mode", "type", "name", "index", "deposed", "action_reason")


def redacted(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What `terraform show -json` printed, reduced. What is sensitive differs still where it differed."""
    reduced: dict[str, Any] = {name: shown[name] for name in _KEPT if name in shown}
    for part in ("resource_changes", "resource_drift"):
        if part in shown:
            reduced[part] = [
                resource(item) for item in shown[part] if item["change"]["actions"] != ["no-op"] or moved(item)
            ]
    if "output_changes" in shown:
        outputs = shown["output_changes"].items()
        reduced["output_changes"] = {name: change(item) for name, item in outputs if item["actions"] != ["no-op"]}
    if shown.get("deferred_changes"):
        reduced["complete"] = False
    return reduced


def moved(item: Mapping[str, Any]) -> bool:
    """Whether something becomes of a resource that stays as it is."""
    return "previous_address" in item or bool(item["change"].get("importing"))


def resource(item: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of `resource_changes`."""
    return {**{name: item[name] for name in _OF_RESOURCE if name in item}, "change": change(item["change"])}


def change(item: Mapping[str, Any]) -> dict[str, Any]:
    """One `change`, with words in the place of sensitive values."""
    reduced = {name: item[name] for name in _OF_CHANGE if name in item}
    before, after = item.get("before"), item.get("after")
    reduced["before"] = masked(before, item.get("before_sensitive", False), before)
    reduced["after"] = masked(after, item.get("after_sensitive", False), before)
    return reduced


def masked(value: Any, mark: Any, other: Any) -> Any:
    """A value without its sensitive parts. These say only whether they are what they were on the other side."""
    if mark is True and value is not None:
        return "sensitive" if json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True) else "another"
    if isinstance(value, dict) and isinstance(mark, dict):
        others = other if isinstance(other, dict) else {}
        return {key: masked(member, mark.get(key, False), others.get(key)) for key, member in value.items()}
    if isinstance(value, list) and isinstance(mark, list):
        marks = [*mark, *[False] * (len(value) - len(mark))]
        others_listed = other if isinstance(other, list) else []
        places = [*others_listed, *[None] * (len(value) - len(others_listed))]
        return [masked(*three) for three in zip(value, marks, places, strict=False)]
    return value
