"""Where the policies are: statements of roles, boundaries, trust policies, buckets and keys, from moto's state."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from tests.local_aws.authz.evaluate import Statement, statements_of
from tests.local_aws.contract import ACCOUNT_ID


def _document(text: Any) -> dict[str, Any]:
    if isinstance(text, dict):
        return text
    if isinstance(text, bytes):
        text = text.decode()
    loaded: dict[str, Any] = json.loads(urllib.parse.unquote(text) if text.startswith("%") else text)
    return loaded


def _managed_document(policy: Any) -> dict[str, Any]:
    return _document(next(version.document for version in policy.versions if version.is_default))


def role_named(role_arn: str) -> Any | None:
    """moto's role, or None."""
    name = role_arn.rsplit("/", 1)[-1]
    for role in list(iam_backends[ACCOUNT_ID]["aws"].roles.values()):
        if role.name == name and role.arn == role_arn:
            return role
    return None


def trust_statements(role: Any) -> list[Statement]:
    """Statements of the role's trust policy; they have no resource, which here means any."""
    return statements_of(_document(role.assume_role_policy_document))


def role_policies(role: Any) -> dict[str, list[Statement]]:
    """Statements of each identity policy of the role, by policy name."""
    inline = {name: statements_of(_document(text)) for name, text in list(role.policies.items())}
    managed = {policy.name: statements_of(_managed_document(policy)) for policy in list(role.managed_policies.values())}
    return {**inline, **managed}


def boundary_statements(role: Any) -> list[Statement] | None:
    """Statements of the role's permissions boundary; None when it has none."""
    boundary = getattr(role, "permissions_boundary", None)
    if not boundary:
        return None
    policy = iam_backends[ACCOUNT_ID]["aws"].managed_policies.get(boundary)
    return [] if policy is None else statements_of(_managed_document(policy))


def bucket_statements(bucket_name: str) -> list[Statement]:
    """Statements of the bucket's policy."""
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(bucket_name)
    policy = getattr(bucket, "policy", None)
    return statements_of(_document(policy)) if policy else []


def key_statements(key_arn: str) -> list[Statement]:
    """Statements of the key policy; of an unknown key none."""
    region, key_id = key_arn.split(":")[3], key_arn.rsplit("/", 1)[-1]
    key = kms_backends[ACCOUNT_ID][region].keys.get(key_id)
    return [] if key is None else statements_of(_document(key.policy))
