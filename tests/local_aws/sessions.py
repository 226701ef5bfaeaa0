"""Sessions of roles: who may assume which role, and which role stands behind an access key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from tests.local_aws.authz.evaluate import Decision, Request, evaluate
from tests.local_aws.authz.policies import role_named, trust_statements
from tests.local_aws.contract import ACCOUNT_ID

_SESSION_NAME_EXTRA = re.compile(r"[^\w+=,.@-]")


class RoleCannotBeAssumed(PermissionError):
    """The role does not exist, or its trust policy does not admit the principal."""


@dataclass(frozen=True)
class Session:
    """Temporary credentials of a role."""

    role_arn: str
    access_key: str
    secret_key: str
    token: str

    def environment(self) -> dict[str, str]:
        """The session as environment variables."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": self.token,
        }

    def client_arguments(self) -> dict[str, str]:
        """The session as keyword arguments of `boto3.client`."""
        return {
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_session_token": self.token,
        }


def check_trust(role_arn: str, principal: dict[str, str], context: dict[str, str]) -> None:
    """Raise RoleCannotBeAssumed unless the trust policy admits it, e.g. `{"Service": "lambda.amazonaws.com"}`."""
    role = role_named(role_arn)
    if role is None:
        raise RoleCannotBeAssumed(f"role {role_arn} does not exist")
    request = Request("sts:AssumeRole", role_arn, {"aws:SourceAccount": ACCOUNT_ID, **context}, principal)
    if evaluate(trust_statements(role), request) is not Decision.ALLOWED:
        raise RoleCannotBeAssumed(f"the trust policy of {role_arn} does not admit {principal}")


def assume_as_service(role_arn: str, service: str, session_name: str, source_arn: str = "") -> Session:
    """A session of the role for an AWS service, e.g. `lambda.amazonaws.com`, that acts for the resource `source_arn`.

    Raises RoleCannotBeAssumed.
    """
    check_trust(role_arn, {"Service": service}, {"aws:SourceArn": source_arn} if source_arn else {})
    role: Any = sts_backends[ACCOUNT_ID]["aws"].assume_role(
        region_name="us-east-1",
        role_session_name=_SESSION_NAME_EXTRA.sub("-", session_name)[:64].ljust(2, "-"),
        role_arn=role_arn,
        policy=None,
        duration=3600,
        external_id=None,
    )
    return Session(role_arn, role.access_key_id, role.secret_access_key, role.session_token)


def role_behind(access_key: str) -> str | None:
    """ARN of the role whose session the access key belongs to; None for the account's administrator."""
    if not access_key.startswith("ASIA"):
        return None
    session: Any = sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key)
    return None if session is None else str(session.role_arn)


def roles() -> dict[str, Any]:
    """Every role of the account by ARN."""
    return {role.arn: role for role in iam_backends[ACCOUNT_ID]["aws"].roles.values()}
