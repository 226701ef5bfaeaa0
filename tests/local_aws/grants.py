"""Compares what roles may do with what they did: a grant that nothing used is one too many, or untested."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.local_aws.authz.evaluate import as_list, matches, statements_of

#: Grants that no run uses, each with the reason why it stays.
ALLOWED_FILE = Path(__file__).with_name("unused_grants.json")


@dataclass(frozen=True, order=True)
class Grant:
    """One action pattern on one resource pattern that an identity policy of a role allows."""

    role: str
    policy: str
    action: str
    resource: str

    def used_by(self, entry: Mapping[str, Any]) -> bool:
        """Whether a line of the authorizer's log needed this grant."""
        return (
            bool(entry["allowed"])
            and entry["role"] == self.role
            and matches(self.action, entry["action"], ignore_case=True)
            and matches(self.resource, entry["resource"])
        )


@dataclass(frozen=True)
class Allowance:
    """An entry of the allow-list: shell patterns, and why the grant stays although no run uses it."""

    role: str
    action: str
    resource: str
    reason: str

    def covers(self, grant: Grant) -> bool:
        """Whether the grant is meant. Roles are compared by name."""
        return (
            fnmatchcase(grant.role.rsplit("/", 1)[-1], self.role)
            and fnmatchcase(grant.action, self.action)
            and fnmatchcase(grant.resource, self.resource)
        )


class BadAllowList(ValueError):
    """The allow-list is not valid; the message names the entry and the field."""


def read_allow_list(path: Path = ALLOWED_FILE) -> list[Allowance]:
    """The allow-list; raises BadAllowList."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    for number, entry in enumerate(entries):
        for field in ("role", "action", "resource", "reason"):
            if not isinstance(entry.get(field), str) or not entry[field].strip():
                raise BadAllowList(f"{path.name}, entry {number}, {field}: accepted: a non-empty string")
    return [Allowance(**entry) for entry in entries]


def grants_of(role_arn: str, policy: str, document: Mapping[str, Any]) -> list[Grant]:
    """Every grant of one policy document."""
    return [
        Grant(role_arn, policy, action, resource)
        for statement in statements_of(document)
        if statement.get("Effect") == "Allow"
        for action in as_list(statement.get("Action", []))
        for resource in as_list(statement.get("Resource", []))
    ]


def all_grants(iam: Any) -> list[Grant]:
    """Every grant of every role, read through a boto3 client of IAM."""
    grants: list[Grant] = []
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            grants += _grants_of_role(iam, role["RoleName"], role["Arn"])
    return grants


def _grants_of_role(iam: Any, name: str, arn: str) -> list[Grant]:
    grants: list[Grant] = []
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        grants += grants_of(arn, policy, document)
    for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"][
            "Document"
        ]
        grants += grants_of(arn, attached["PolicyName"], document)
    return grants


def wide(grants: Iterable[Grant]) -> list[Grant]:
    """Grants of more than one action at a time: nobody knows what they come to when AWS adds actions."""
    return sorted(grant for grant in set(grants) if "*" in grant.action or "?" in grant.action)


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison: what to look at, and what is accepted."""

    unused: list[Grant]  #: nothing used them and nothing explains them
    explained: list[Grant]  #: nothing used them; the allow-list says why they stay
    stale: list[Allowance]  #: entries of the allow-list that cover no unused grant
    denied: list[dict[str, Any]]  #: calls that were refused


def compare(grants: Iterable[Grant], log: Iterable[dict[str, Any]], allowed: Iterable[Allowance]) -> Comparison:
    """Hold grants against the log of `GET /_local/authz`."""
    entries, allowances = list(log), list(allowed)
    idle = sorted(grant for grant in set(grants) if not any(grant.used_by(entry) for entry in entries))
    explained = [grant for grant in idle if any(allowance.covers(grant) for allowance in allowances)]
    return Comparison(
        unused=[grant for grant in idle if grant not in explained],
        explained=explained,
        stale=[allowance for allowance in allowances if not any(allowance.covers(grant) for grant in idle)],
        denied=[entry for entry in entries if not entry["allowed"]],
    )
