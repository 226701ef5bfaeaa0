"""Checks of roles, keys and log groups: may MWAA act, encrypt and log."""

from __future__ import annotations

import json
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws
from mwaa_continuity.preflight_policies import not_admitted
from mwaa_continuity.preflight_subject import Finding, Subject, listed

#: MWAA takes the execution role as both.
SERVICES: Final = ("airflow.amazonaws.com", "airflow-env.amazonaws.com")
SERVICE_LINKED_ROLE: Final = "AWSServiceRoleForAmazonMWAA"
NO_ROLE: Final = "NoSuchEntity"

#: What CloudWatch Logs does with the environment's key.
LOG_ACTIONS: Final = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:DescribeKey",
)

#: Member of the spec's LoggingConfiguration -> last part of the log group's name.
LOG_GROUPS: Final = {
    "DagProcessingLogs": "DAGProcessing",
    "SchedulerLogs": "Scheduler",
    "TaskLogs": "Task",
    "WebserverLogs": "WebServer",
    "WorkerLogs": "Worker",
}


def find_role(name: str) -> dict[str, Any] | None:
    """What IAM knows of a role, or none."""
    try:
        role: dict[str, Any] = aws.client("iam").get_role(RoleName=name)["Role"]
    except ClientError as error:
        if aws.code(error) == NO_ROLE:
            return None
        raise
    return role


def check_execution_role(subject: Subject) -> Finding:
    """Whether the execution role is there and lets MWAA take it."""
    arn = str(subject.document["ExecutionRoleArn"])
    role = find_role(arn.rsplit("/", 1)[-1])
    if role is None or role["Arn"] != arn:
        return Finding(False, f"there is no role {arn}", "terraform apply makes it; a role of your own: make it again")
    context = {
        "aws:sourceaccount": subject.account_id,
        "aws:sourcearn": subject.arn("airflow", f"environment/{subject.settings.environment}"),
    }
    policy = role["AssumeRolePolicyDocument"]
    strangers = [name for name in SERVICES if not_admitted(policy, name, ["sts:AssumeRole"], context)]
    if strangers:
        return Finding(
            False,
            f"{arn} does not trust {' and '.join(strangers)} for this account and environment",
            f"let its trust policy admit sts:AssumeRole by {' and '.join(SERVICES)}",
        )
    return Finding(True, f"{arn} is there and trusts {' and '.join(SERVICES)}")


def check_service_linked_role(_subject: Subject) -> Finding:
    """Whether MWAA's own role in the account is there."""
    role = find_role(SERVICE_LINKED_ROLE)
    if role is None:
        return Finding(
            False,
            f"there is no role {SERVICE_LINKED_ROLE}",
            "aws iam create-service-linked-role --aws-service-name airflow.amazonaws.com (MWAA makes it with the "
            "first environment of an account, where nothing forbids it: better not to find out in a failover)",
        )
    return Finding(True, f"{role['Arn']} is there")


def check_key(subject: Subject) -> Finding:
    """Whether MWAA can use the key that the spec names."""
    key = subject.document.get("KmsKey")
    if not key:
        return Finding(True, "the spec names no key: AWS's own is used")
    if str(key).split(":")[-1].startswith("alias/"):
        return Finding(False, f"{key} is an alias", "name the key by its ARN: MWAA supports no aliases")
    faults = key_faults(aws.client("kms").describe_key(KeyId=key)["KeyMetadata"], subject.settings.region)
    if faults:
        return Finding(False, f"{key}: {listed(faults)}", "use an enabled symmetric key of this Region")
    return Finding(True, f"{key} is enabled, symmetric, of this Region")


def key_faults(key: dict[str, Any], region: str) -> list[str]:
    """What keeps MWAA from using a key. That it is no multi-Region one, the spec's pattern of key ids says already."""
    faults = []
    if key["KeyState"] != "Enabled":
        faults.append(f"its state is {key['KeyState']}")
    if key.get("KeySpec") != "SYMMETRIC_DEFAULT" or key.get("KeyUsage") != "ENCRYPT_DECRYPT":
        faults.append(f"it is a key of kind {key.get('KeySpec')} for {key.get('KeyUsage')}")
    if key["Arn"].split(":")[3] != region:
        faults.append(f"it is of {key['Arn'].split(':')[3]}")
    return faults


def check_key_policy(subject: Subject) -> Finding:
    """Whether the key's policy lets CloudWatch Logs encrypt the environment's log groups with it."""
    key = subject.document.get("KmsKey")
    if not key:
        return Finding(True, "the spec names no key: there is no policy to look at")
    policy = aws.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    suffix = "amazonaws.com.cn" if subject.partition == "aws-cn" else "amazonaws.com"
    service = f"logs.{subject.settings.region}.{suffix}"
    group = subject.arn("logs", f"log-group:airflow-{subject.settings.environment}-Task")
    context = {"kms:encryptioncontext:aws:logs:arn": group, "aws:sourceaccount": subject.account_id}
    refused = not_admitted(parse_policy(policy), service, LOG_ACTIONS, context)
    if refused:
        return Finding(
            False,
            f"the policy of {key} does not let {service} use {', '.join(refused)} for {group}",
            f"admit {service} with kms:EncryptionContext:aws:logs:arn = the log groups airflow-<name>-*",
        )
    return Finding(True, f"the policy of {key} admits {service}")


def parse_policy(text: str) -> dict[str, Any]:
    """A key policy from its JSON text."""
    policy: dict[str, Any] = json.loads(text)
    return policy


def check_log_groups(subject: Subject) -> Finding:
    """Whether the log groups that are there can be written to. MWAA makes those that are missing."""
    configuration = subject.document.get("LoggingConfiguration") or {}
    prefix = f"airflow-{subject.settings.environment}-"
    wanted = [prefix + name for member, name in LOG_GROUPS.items() if configuration.get(member, {}).get("Enabled")]
    pages = aws.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    groups = {group["logGroupName"]: group.get("kmsKeyId") for page in pages for group in page["logGroups"]}
    kms = aws.client("kms")
    for key in sorted({str(groups[name]) for name in wanted if groups.get(name)}):
        state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        if state != "Enabled":
            return Finding(False, f"their key {key} is {state}", "enable the key, or give the log groups another")
    missing = [name for name in wanted if name not in groups]
    if missing:
        what = "MWAA makes them, kept for ever and without your key; terraform apply makes them as configured"
        return Finding(True, f"missing: {', '.join(missing)}: {what}")
    return Finding(True, f"{len(wanted)} of {len(wanted)} log groups are there")
