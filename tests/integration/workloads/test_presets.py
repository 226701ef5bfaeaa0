"""What the policies of the presets say to requests: those that DAGs make, and their neighbours."""

from __future__ import annotations

import json
from typing import Any

from policy_sentry.querying.actions import get_action_data

from tests.integration.workloads.conftest import REGION
from tests.local_aws.authz.evaluate import ContextValue, Decision, Request, as_list, evaluate, statements_of
from tests.local_aws.contract import ACCOUNT_ID

_BUCKET = f"arn:aws:s3:::lake-{ACCOUNT_ID}"
_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/"


def _own(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


_CLUSTER: dict[str, ContextValue] = {"ecs:cluster": _own("ecs", "cluster/analytics-us-west-2-containers")}
_OTHER_CLUSTER: dict[str, ContextValue] = {"ecs:cluster": _own("ecs", "cluster/somebody-elses")}
_FAMILY = _own("ecs", "task-definition/analytics-us-west-2-report")
_TO_TASKS: dict[str, ContextValue] = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
_TO_EMR: dict[str, ContextValue] = {"iam:PassedToService": "elasticmapreduce.amazonaws.com"}
_OURS: dict[str, ContextValue] = {"elasticmapreduce:ResourceTag/airflow": "analytics"}
_ASKED: dict[str, ContextValue] = {"elasticmapreduce:RequestTag/airflow": "analytics"}
_BY_S3: dict[str, ContextValue] = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}

#: preset, action, resource, what the request carries, whether it is allowed. "KEY" is the key of data and secrets.
_REQUESTS: list[tuple[str, str, str, dict[str, ContextValue], bool]] = [
    ("ecs", "ecs:RunTask", f"{_FAMILY}:3", _CLUSTER, True),
    ("ecs", "ecs:RunTask", _FAMILY, _CLUSTER, True),
    ("ecs", "ecs:RunTask", f"{_FAMILY}:3", _OTHER_CLUSTER, False),
    ("ecs", "ecs:RunTask", f"{_FAMILY}:3", {}, False),
    ("ecs", "ecs:RunTask", f"{_FAMILY}-of-others:3", _CLUSTER, False),
    ("ecs", "ecs:DescribeTasks", _own("ecs", "task/analytics-us-west-2-containers/0a1b"), {}, True),
    ("ecs", "ecs:StopTask", _own("ecs", "task/somebody-elses/0a1b"), {}, False),
    ("ecs", "ecs:ListTasks", "*", _CLUSTER, True),
    ("ecs", "ecs:ListTasks", "*", _OTHER_CLUSTER, False),
    ("ecs", "ecs:RegisterTaskDefinition", "*", {}, False),
    (
        "ecs",
        "ecs:TagResource",
        _own("ecs", "task/analytics-us-west-2-containers/*"),
        {"ecs:CreateAction": "RunTask"},
        True,
    ),
    ("ecs", "ecs:TagResource", _own("ecs", "task/analytics-us-west-2-containers/*"), {}, False),
    ("ecs", "iam:PassRole", f"{_ROLE}analytics-us-west-2-report-task", _TO_TASKS, True),
    ("ecs", "iam:PassRole", f"{_ROLE}analytics-us-west-2-report-start", _TO_TASKS, True),
    ("ecs", "iam:PassRole", f"{_ROLE}analytics-us-west-2-report-task", _TO_EMR, False),
    ("ecs", "iam:PassRole", f"{_ROLE}administrator", _TO_TASKS, False),
    (
        "ecs",
        "logs:GetLogEvents",
        _own("logs", "log-group:/ecs/analytics-us-west-2-report:log-stream:task/report/0a1b"),
        {},
        True,
    ),
    ("ecs", "logs:GetLogEvents", _own("logs", "log-group:/ecs/somebody-elses:log-stream:x"), {}, False),
    ("glue", "glue:StartJobRun", _own("glue", "job/orders-to-parquet"), {}, True),
    ("glue", "glue:BatchStopJobRun", _own("glue", "job/sales-by-product"), {}, True),
    ("glue", "glue:StartJobRun", _own("glue", "job/orders-to-parquet-of-others"), {}, False),
    ("glue", "glue:UpdateJob", _own("glue", "job/orders-to-parquet"), {}, False),
    ("athena", "athena:StartQueryExecution", _own("athena", "workgroup/reports"), {}, True),
    ("athena", "athena:StartQueryExecution", _own("athena", "workgroup/primary"), {}, False),
    ("athena", "glue:GetTable", _own("glue", "table/sales/orders"), {}, True),
    ("athena", "glue:GetTable", _own("glue", "table/payroll/salaries"), {}, False),
    ("athena", "glue:CreateTable", _own("glue", "table/sales/new"), {}, True),
    ("athena", "glue:GetDatabase", _own("glue", "database/default"), {}, True),
    ("athena", "glue:GetTables", _own("glue", "database/default"), {}, False),
    ("athena", "s3:GetObject", f"{_BUCKET}/sales/day=2026-01-31/0.parquet", {}, True),
    ("athena", "s3:GetObject", f"{_BUCKET}/sales-of-others/0.parquet", {}, False),
    ("athena", "s3:PutObject", f"{_BUCKET}/sales/0.parquet", {}, False),
    ("athena", "s3:PutObject", f"{_BUCKET}/results/0a1b.csv", {}, True),
    ("athena", "s3:DeleteObject", f"{_BUCKET}/results/0a1b.csv", {}, False),
    ("athena", "s3:ListBucket", _BUCKET, {"s3:prefix": "sales/day=2026-01-31/"}, True),
    ("athena", "s3:ListBucket", _BUCKET, {"s3:prefix": "payroll/"}, False),
    ("athena", "s3:ListBucket", _BUCKET, {}, False),
    ("athena", "kms:Decrypt", "KEY", _BY_S3, True),
    ("athena", "kms:Decrypt", "KEY", {}, False),
    ("emr", "elasticmapreduce:AddJobFlowSteps", _own("elasticmapreduce", "cluster/j-1ABC"), {}, True),
    ("emr", "elasticmapreduce:AddJobFlowSteps", _own("elasticmapreduce", "cluster/j-2DEF"), {}, False),
    ("emr", "elasticmapreduce:AddJobFlowSteps", _own("elasticmapreduce", "cluster/j-2DEF"), _OURS, True),
    ("emr", "elasticmapreduce:TerminateJobFlows", _own("elasticmapreduce", "cluster/j-1ABC"), {}, False),
    ("emr", "elasticmapreduce:TerminateJobFlows", _own("elasticmapreduce", "cluster/j-2DEF"), _OURS, True),
    ("emr", "elasticmapreduce:RunJobFlow", "*", _ASKED, True),
    ("emr", "elasticmapreduce:RunJobFlow", "*", {"elasticmapreduce:RequestTag/airflow": "other"}, False),
    ("emr", "elasticmapreduce:AddTags", _own("elasticmapreduce", "cluster/j-2DEF"), {}, False),
    ("emr", "iam:PassRole", f"{_ROLE}workloads-emr-service", _TO_EMR, True),
    ("emr", "iam:PassRole", f"{_ROLE}workloads-emr-instances", {"iam:PassedToService": "ec2.amazonaws.com"}, True),
    ("emr", "iam:PassRole", f"{_ROLE}workloads-emr-service", _TO_TASKS, False),
    ("lambda", "lambda:InvokeFunction", _own("lambda", "function:score"), {}, True),
    ("lambda", "lambda:InvokeFunction", _own("lambda", "function:score:live"), {}, True),
    ("lambda", "lambda:InvokeFunction", _own("lambda", "function:score-others"), {}, False),
    ("lambda", "lambda:UpdateFunctionCode", _own("lambda", "function:score"), {}, False),
    (
        "secrets_manager_backend",
        "kms:Decrypt",
        "KEY",
        {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"},
        True,
    ),
    ("secrets_manager_backend", "kms:Decrypt", "KEY", _BY_S3, False),
]


def test_a_preset_allows_what_dags_do_and_denies_its_neighbour(outputs: dict[str, Any]) -> None:
    """Failure covered: `iam:PassRole` on `*`; a grant that reaches what another team owns."""
    assert {preset for preset, *_ in _REQUESTS} == set(outputs["policy_documents"])
    wrong = []
    for preset, action, resource, context, allowed in _REQUESTS:
        statements = statements_of(json.loads(outputs["policy_documents"][preset]))
        request = Request(action, outputs["key_arn"] if resource == "KEY" else resource, context)
        if (evaluate(statements, request) is Decision.ALLOWED) is not allowed:
            wrong.append((preset, action, resource, context))
    assert wrong == []


def test_every_action_is_one_of_aws_and_all_resources_only_where_there_is_no_finer_one(outputs: dict[str, Any]) -> None:
    """Failure covered: an action that does not exist grants nothing; a resource that is wider than it has to be."""
    unknown, too_wide = [], []
    for preset, document in outputs["policy_documents"].items():
        for statement in statements_of(json.loads(document)):
            for action in as_list(statement["Action"]):
                service, name = action.split(":")
                found = get_action_data(service, name)
                if not found:
                    unknown.append((preset, action))
                elif "*" in as_list(statement["Resource"]):
                    types = {row["resource_arn_format"] for row in found[service]}
                    too_wide += [(preset, action, kind) for kind in sorted(types - {"*"})]
    assert unknown == []
    # Container instances, which Fargate has none of.
    assert [(preset, action) for preset, action, _ in too_wide] == [("ecs", "ecs:ListTasks")]
