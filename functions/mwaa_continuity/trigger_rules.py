"""The rules of the event trigger: which event leads to which dataset event or DAG run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mwaa_continuity.errors import BadInput
from mwaa_continuity.settings import variable
from mwaa_continuity.trigger_events import BadEvent, TriggerEvent


@dataclass(frozen=True)
class Rule:
    """What one rule asks for. Either `dataset` or `dag_id` is empty."""

    name: str
    buckets: tuple[str, ...]  #: none where a pattern of EventBridge chooses the events
    prefix: str
    suffix: str
    dataset: str  #: URI of a dataset (2.x) or asset (3.x)
    dag_id: str

    def takes(self, event: TriggerEvent) -> bool:
        """Whether an event that names no rule is one of this rule's objects."""
        stored = event.stored
        return (
            stored is not None
            and stored.bucket in self.buckets
            and stored.key.startswith(self.prefix)
            and stored.key.endswith(self.suffix)
        )


def read_rules() -> tuple[Rule, ...]:
    """The rules in variable RULES. Raises `BadInput` where it holds something else than Terraform writes."""
    try:
        return tuple(rule_of(document) for document in json.loads(variable("RULES")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput("RULES holds no rules; accepted: the list that Terraform writes") from None


def rule_of(document: Mapping[str, Any]) -> Rule:
    """One rule; what it leaves out is empty."""
    return Rule(
        name=str(document["name"]),
        buckets=tuple(document.get("buckets") or ()),
        prefix=document.get("prefix") or "",
        suffix=document.get("suffix") or "",
        dataset=document.get("dataset") or "",
        dag_id=document.get("dag_id") or "",
    )


def rules_for(event: TriggerEvent, rules: Sequence[Rule]) -> list[Rule]:
    """The rules that an event is delivered by: the one that EventBridge chose, else every one that fits.

    Raises `BadEvent` where there is none.
    """
    if event.rule:
        found = [rule for rule in rules if rule.name == event.rule]
        missing = f"rule {event.rule[:60]!r} is not there any more"
    else:
        found = [rule for rule in rules if rule.takes(event)]
        missing = "no rule takes it: bucket, prefix and suffix of none fit"
    if not found:
        raise BadEvent("no_rule", missing)
    return found
