"""Decides every call of a role and keeps the log that `GET /_local/authz` shows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.local_aws.authz.actions import ALWAYS_ALLOWED, airflow_role_requests, key_arn, requests_of
from tests.local_aws.authz.calls import Call
from tests.local_aws.authz.evaluate import (
    ContextValue,
    Decision,
    Request,
    Statement,
    evaluate,
    principal_is_account_only,
)
from tests.local_aws.authz.policies import (
    boundary_statements,
    bucket_statements,
    key_statements,
    role_named,
    role_policies,
)
from tests.local_aws.authz.s3_actions import kms_use, missing_object
from tests.local_aws.contract import ACCOUNT_ID


class Denied(PermissionError):
    """A role may not do this; the message is worded as AWS words it."""


class Authorizer:
    """Judges requests of roles by their policies."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()
        self._log: list[dict[str, Any]] = []

    def log(self) -> list[dict[str, Any]]:
        """Every checked call: at, role, action, resource, context, allowed, why."""
        with self._lock:
            return list(self._log)

    def check_call(self, role_arn: str, call: Call) -> list[str] | None:
        """Raise Denied unless the role may make the call.

        Returns the Airflow roles it may take on where the call asks for one, else None.
        """
        if f"{call.iam_prefix}:{call.operation}" in ALWAYS_ALLOWED:
            return None
        context: dict[str, ContextValue] = {"aws:RequestedRegion": call.region}
        if (by_role := airflow_role_requests(call)) is not None:
            return self._airflow_roles(role_arn, by_role, context)
        for request in requests_of(call):
            self.check(role_arn, request.action, request.resource, {**context, **request.context})
        if call.service == "s3":
            self._check_s3_extras(role_arn, call, context)
        return None

    def _check_s3_extras(self, role_arn: str, call: Call, context: Mapping[str, ContextValue]) -> None:
        if use := kms_use(call):
            action, key, kms_context = use
            region = str(kms_context["kms:ViaService"]).split(".")[1]
            self.check(role_arn, action, key_arn(key, region), {**context, **kms_context})
        if hidden := missing_object(call):
            self.check(role_arn, hidden.action, hidden.resource, {**context, **hidden.context})

    def _airflow_roles(
        self, role_arn: str, by_role: dict[str, Request], context: Mapping[str, ContextValue]
    ) -> list[str]:
        permitted = [
            name
            for name, request in by_role.items()
            if self.decide(role_arn, request.action, request.resource, context)[0] is Decision.ALLOWED
        ]
        wanted = by_role[permitted[0] if permitted else next(iter(by_role))]
        self.check(role_arn, wanted.action, wanted.resource, context)
        return permitted

    def check(self, role_arn: str, action: str, resource: str, context: Mapping[str, ContextValue]) -> None:
        """Raise Denied unless the role may do the action on the resource; either way the log tells."""
        decision, why = self.decide(role_arn, action, resource, context)
        entry = {
            "at": round(time.time(), 3),
            "role": role_arn,
            "action": action,
            "resource": resource,
            "context": dict(context),
            "allowed": decision is Decision.ALLOWED,
            "why": why,
        }
        with self._lock:
            self._log.append(entry)
            self._file.write(json.dumps(entry, default=str) + "\n")
        if decision is not Decision.ALLOWED:
            raise Denied(f"User: {role_arn} is not authorized to perform: {action} on resource: {resource} {why}")

    def decide(
        self, role_arn: str, action: str, resource: str, context: Mapping[str, ContextValue]
    ) -> tuple[Decision, str]:
        """Decision by boundary, identity policies and the resource's own policy, and why in AWS's words."""
        role = role_named(role_arn)
        if role is None:
            return Decision.IMPLICITLY_DENIED, "because the role does not exist"
        full = {
            # Loopback stands for the network between a client and AWS, where every SDK uses TLS.
            "aws:SecureTransport": "true",
            "aws:PrincipalArn": role_arn,
            "aws:PrincipalAccount": ACCOUNT_ID,
            "aws:ResourceAccount": ACCOUNT_ID,
            **context,
        }
        request = Request(action, resource, full)
        identity = evaluate([s for part in role_policies(role).values() for s in part], request)
        boundary = boundary_statements(role)
        within = Decision.ALLOWED if boundary is None else evaluate(boundary, request)
        own = _resource_decision(Request(action, resource, full, {"AWS": role_arn}))
        return _combine(identity, within, own, action)


def _resource_decision(request: Request) -> tuple[Decision, bool]:
    """What the resource's policy says, and whether identity policies count (a key must delegate to the account)."""
    statements: list[Statement]
    delegates = True
    if request.resource.startswith("arn:aws:s3:::"):
        statements = bucket_statements(request.resource.removeprefix("arn:aws:s3:::").split("/", 1)[0])
    elif request.action.startswith("kms:") and ":key/" in request.resource:
        statements = key_statements(request.resource)
        account = [s for s in statements if principal_is_account_only(s, ACCOUNT_ID)]
        delegates = evaluate(account, request) is Decision.ALLOWED
    else:
        return Decision.IMPLICITLY_DENIED, True
    granting = [s for s in statements if s.get("Effect") == "Deny" or not principal_is_account_only(s, ACCOUNT_ID)]
    return evaluate(granting, request), delegates


def _combine(
    identity: Decision, boundary: Decision, resource: tuple[Decision, bool], action: str
) -> tuple[Decision, str]:
    own, delegates = resource
    named = {"identity-based policy": identity, "permissions boundary": boundary, "resource-based policy": own}
    for name, decision in named.items():
        if decision is Decision.EXPLICITLY_DENIED:
            return decision, f"with an explicit deny in a {name}"
    if boundary is not Decision.ALLOWED:
        return boundary, f"because no permissions boundary allows the {action} action"
    if own is Decision.ALLOWED:
        return own, "resource-based policy"
    if not delegates:
        return own, f"because no resource-based policy allows the {action} action"
    if identity is Decision.ALLOWED:
        return identity, "identity-based policy"
    return identity, f"because no identity-based policy allows the {action} action"
