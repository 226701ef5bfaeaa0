"""What a plan would change, read from the output of `terraform show -json <plan file>`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from plan_review.attributes import UNKNOWN, Attribute, differences

#: Kinds of changes, the most dangerous first.
REPLACE, DELETE, FORGET, UPDATE, CREATE, IMPORT, MOVE = (
    "replace",
    "delete",
    "forget",
    "update",
    "create",
    "import",
    "move",
)
KINDS: Final = (REPLACE, DELETE, FORGET, UPDATE, CREATE, IMPORT, MOVE)
#: What takes something away that exists.
DANGEROUS: Final = (REPLACE, DELETE)

_BY_ACTIONS: Final[Mapping[tuple[str, ...], str]] = {
    ("create",): CREATE,
    ("update",): UPDATE,
    ("delete",): DELETE,
    ("delete", "create"): REPLACE,
    ("create", "delete"): REPLACE,
    ("forget",): FORGET,
    ("create", "forget"): REPLACE,
}
#: Terraform's reasons, in words.
_REASONS: Final[Mapping[str, str]] = {
    "replace_because_tainted": "its creation did not end well (tainted)",
    "replace_because_cannot_update": "",
    "replace_by_request": "asked for by -replace",
    "replace_by_triggers": "by its replace_triggered_by",
    "delete_because_no_resource_config": "it is no longer in the configuration",
    "delete_because_no_module": "its module is no longer in the configuration",
    "delete_because_wrong_repetition": "count or for_each was put in or taken out",
    "delete_because_count_index": "its index is beyond count",
    "delete_because_each_key": "its key is no longer in for_each",
    "delete_because_no_move_target": "what it was moved to is not in the configuration",
}


class NotAPlan(ValueError):
    """A text is not what `terraform show -json` prints of a plan."""


@dataclass(frozen=True)
class Change:
    """What becomes of one resource."""

    address: str
    type: str
    kind: str  #: one of KINDS
    attributes: tuple[Attribute, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    reason: str = ""
    keeps_running: bool = False  #: a replacement that creates the new one before it deletes the old one
    moved_from: str = ""
    imported: bool = False
    deposed: bool = False  #: what a replacement that was interrupted left behind


@dataclass(frozen=True)
class Plan:
    """Everything one plan would do."""

    label: str
    changes: tuple[Change, ...]
    outputs: tuple[Attribute, ...]
    drift: tuple[Change, ...]
    reads: int  #: data sources that are read while applying
    incomplete: bool  #: planning ended with an error, or put something off

    def of(self, *kinds: str) -> list[Change]:
        """Its changes of some kinds, by address."""
        return [change for change in self.changes if change.kind in kinds]

    def undone(self) -> list[Change]:
        """What was changed or deleted outside of Terraform and would be set back, with the attributes it is about.

        A state differs from reality in much that nobody set: only what the plan changes too is of interest.
        """
        planned = {
            change.address: {found.path for found in change.attributes if found.after != UNKNOWN}
            for change in self.changes
        }
        found = []
        for change in self.drift:
            paths = planned.get(change.address, set())
            about = tuple(attribute for attribute in change.attributes if attribute.path in paths)
            if change.kind == DELETE and change.address in planned:
                found.append(replace(change, attributes=()))
            elif about and change.kind == UPDATE:
                found.append(replace(change, attributes=about))
        return found


def read_plan(label: str, text: str) -> Plan:
    """A plan from what `terraform show -json` printed. Raises `NotAPlan`."""
    try:
        shown = json.loads(text)
    except ValueError as error:
        raise NotAPlan(f"{label}: no JSON ({error}); accepted: the output of terraform show -json PLAN") from None
    if not isinstance(shown, dict) or not isinstance(shown.get("format_version"), str):
        raise NotAPlan(f"{label}: no plan; accepted: the output of terraform show -json PLAN")
    if "resource_changes" not in shown and "planned_values" not in shown and not shown.get("errored"):
        raise NotAPlan(f"{label}: a state, or another document; accepted: the output of terraform show -json PLAN")
    if not shown["format_version"].startswith("1."):
        raise NotAPlan(f"{label}: format {shown['format_version']} is not known here; accepted: 1.x")
    found = [change for item in shown.get("resource_changes", []) if (change := read_change(item)) is not None]
    drift = [change for item in shown.get("resource_drift", []) if (change := read_change(item)) is not None]
    outputs = shown.get("output_changes", {})
    return Plan(
        label=label,
        changes=tuple(sorted(found, key=lambda change: (KINDS.index(change.kind), change.address))),
        outputs=tuple(output for name in sorted(outputs) for output in read_output(name, outputs[name])),
        drift=tuple(sorted(drift, key=lambda change: change.address)),
        reads=sum(item["change"]["actions"] == ["read"] for item in shown.get("resource_changes", [])),
        incomplete=bool(shown.get("errored") or shown.get("complete") is False or shown.get("deferred_changes")),
    )


def read_change(item: Mapping[str, Any]) -> Change | None:
    """One entry of `resource_changes`, or none where nothing becomes of it."""
    change, moved = item["change"], item.get("previous_address", "")
    kind = _BY_ACTIONS.get(tuple(change["actions"]))
    imported = bool(change.get("importing"))
    if item.get("mode") == "data":
        return None
    if kind is None:
        if not moved and not imported:
            return None
        kind = IMPORT if imported else MOVE
    return Change(
        address=item["address"],
        type=item["type"],
        kind=kind,
        attributes=tuple(differences(change)),
        before=change.get("before") or {},
        after=change.get("after") or {},
        reason=_REASONS.get(item.get("action_reason", ""), item.get("action_reason", "")),
        keeps_running=change["actions"][0] == "create" and kind == REPLACE,
        moved_from=moved,
        imported=imported,
        deposed="deposed" in item,
    )


def read_output(name: str, change: Mapping[str, Any]) -> list[Attribute]:
    """The differences of one output."""
    if change["actions"] == ["no-op"]:
        return []
    return [
        Attribute(name + (found.path if found.path[:1] in ("", "[") else f".{found.path}"), found.before, found.after)
        for found in differences(change)
    ]
