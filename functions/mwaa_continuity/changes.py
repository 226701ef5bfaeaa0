"""What of a live environment differs from its spec, and what of that MWAA can change. Pure functions.

Both are CreateEnvironment documents. Only what the spec names is compared, and what it could name but does not where
that means "none": files and configuration options. Messages name members, never their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mwaa_continuity import spec
from mwaa_continuity.spec import OBJECT_VERSIONS, Document

#: Compared in ways of their own, below.
OWN_WAYS: Final = frozenset(
    {
        "AirflowConfigurationOptions",
        "AirflowVersion",
        "KmsKey",
        "LoggingConfiguration",
        "Name",
        "NetworkConfiguration",
        "Tags",
        *OBJECT_VERSIONS,
        *OBJECT_VERSIONS.values(),
    }
)


@dataclass
class Changes:
    """What would make an environment match its spec."""

    update: Document = field(default_factory=dict)  #: members of UpdateEnvironment, without the name
    tags: dict[str, str] = field(default_factory=dict)  #: to be added or changed
    fixed: list[str] = field(default_factory=list)  #: members that differ, and that MWAA changes in no environment

    @property
    def names(self) -> list[str]:
        """Members that differ."""
        return sorted([*self.update, *(["Tags"] if self.tags else []), *self.fixed])


def changes(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Changes:
    """What is to be changed in a live environment. Tags that only the live one has are left to whoever set them."""
    found = Changes()
    updatable = spec.update_members()
    for name in sorted(set(wanted) - OWN_WAYS):
        if wanted[name] == live.get(name):
            continue
        if name in updatable:
            found.update[name] = wanted[name]
        else:
            found.fixed.append(name)
    compare_key(found, live, wanted)
    compare_version(found, live, wanted)
    compare_options(found, live, wanted)
    compare_network(found, live, wanted)
    compare_logging(found, live, wanted)
    compare_files(found, live, wanted)
    tags = live.get("Tags") or {}
    found.tags = {name: value for name, value in (wanted.get("Tags") or {}).items() if tags.get(name) != value}
    return found


def compare_key(found: Changes, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """An environment keeps the key that it was created with, or AWS's own."""
    if wanted.get("KmsKey") != live.get("KmsKey"):
        found.fixed.append("KmsKey")


def compare_version(found: Changes, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """MWAA upgrades in place within a major version, and never goes back."""
    before, after = str(live.get("AirflowVersion", "")), str(wanted.get("AirflowVersion", ""))
    if not after or before == after:
        return
    if spec.ordered(before) < spec.ordered(after) and spec.ordered(before)[0] == spec.ordered(after)[0]:
        found.update["AirflowVersion"] = after
    else:
        found.fixed.append(f"AirflowVersion ({before} to {after})")


def compare_options(found: Changes, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Options are replaced as a whole: one that the spec no longer names goes."""
    options = wanted.get("AirflowConfigurationOptions") or {}
    if options != (live.get("AirflowConfigurationOptions") or {}):
        found.update["AirflowConfigurationOptions"] = dict(options)


def compare_network(found: Changes, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Security groups can be changed, subnets cannot; the order of either says nothing."""
    network, asked = live.get("NetworkConfiguration") or {}, wanted.get("NetworkConfiguration") or {}
    if set(asked.get("SubnetIds", [])) != set(network.get("SubnetIds", [])):
        found.fixed.append("NetworkConfiguration.SubnetIds")
    groups = asked.get("SecurityGroupIds", [])
    if set(groups) != set(network.get("SecurityGroupIds", [])):
        found.update["NetworkConfiguration"] = {"SecurityGroupIds": list(groups)}


def compare_logging(found: Changes, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """MWAA tells of every log, those that nobody named included; a log that is not sent stays as it is."""
    logging = live.get("LoggingConfiguration") or {}
    differing = {
        name: dict(asked)
        for name, asked in (wanted.get("LoggingConfiguration") or {}).items()
        if any((logging.get(name) or {}).get(member) != value for member, value in asked.items())
    }
    if differing:
        found.update["LoggingConfiguration"] = differing


def compare_files(found: Changes, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """A path goes with its version; "" takes a file away. Where the spec names no version, any will do."""
    for version_member, path_member in OBJECT_VERSIONS.items():
        path, version = wanted.get(path_member) or "", wanted.get(version_member) or ""
        before = live.get(version_member) or ""
        if path == (live.get(path_member) or "") and (not version or version == before):
            continue
        found.update[path_member] = path
        if version or before:
            found.update[version_member] = version
