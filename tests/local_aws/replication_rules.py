"""Replication rules of a bucket as data: which objects a rule means and what it wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.local_aws.authz.evaluate import as_list


@dataclass(frozen=True)
class Rule:
    """One enabled or disabled rule of a replication configuration."""

    id: str
    enabled: bool
    priority: int
    prefix: str
    tags: Mapping[str, str]
    delete_markers: bool
    kms_objects: bool
    destination: str  #: name of the destination bucket
    replica_key: str | None
    storage_class: str | None

    def means(self, key: str, tags: Mapping[str, str]) -> bool:
        """Whether an object of that name and those tags falls under the rule."""
        return self.enabled and key.startswith(self.prefix) and all(tags.get(k) == v for k, v in self.tags.items())


def _status(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("Status") == "Enabled"


def _filter(rule: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    given = rule.get("Filter") or {}
    part = given.get("And") or given
    tags = {tag["Key"]: tag["Value"] or "" for tag in as_list(part.get("Tag", []))}
    return part.get("Prefix") or rule.get("Prefix") or "", tags


def parse_rule(rule: Mapping[str, Any]) -> Rule:
    """A rule as moto keeps it (parsed XML)."""
    prefix, tags = _filter(rule)
    destination = rule["Destination"]
    return Rule(
        id=str(rule["ID"]),
        enabled=rule.get("Status") == "Enabled",
        priority=int(rule.get("Priority", 0)),
        prefix=prefix,
        tags=tags,
        delete_markers=_status(rule.get("DeleteMarkerReplication")),
        kms_objects=_status((rule.get("SourceSelectionCriteria") or {}).get("SseKmsEncryptedObjects")),
        destination=destination["Bucket"].rsplit(":", 1)[-1],
        replica_key=(destination.get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID"),
        storage_class=destination.get("StorageClass"),
    )


def rules_for(configuration: Mapping[str, Any] | None, key: str, tags: Mapping[str, str]) -> list[Rule]:
    """The rules that an object falls under: per destination the one of the highest priority."""
    best: dict[str, Rule] = {}
    for raw in (configuration or {}).get("Rule", []):
        rule = parse_rule(raw)
        known = best.get(rule.destination)
        if rule.means(key, tags) and (known is None or rule.priority > known.priority):
            best[rule.destination] = rule
    return list(best.values())
