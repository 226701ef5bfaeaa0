"""IAM actions of the services that DAGs put to work: ECS, Glue jobs, Athena queries and EMR.

None says that a call is none of those that are known here.
"""

from __future__ import annotations

from typing import Any

from moto.athena.models import athena_backends
from moto.ecs.exceptions import EcsClientException
from moto.ecs.models import ecs_backends
from moto.emr.models import emr_backends
from moto.iam.models import iam_backends

from tests.local_aws.authz.calls import Call
from tests.local_aws.authz.evaluate import ContextValue, Request
from tests.local_aws.contract import ACCOUNT_ID


def _arn(call: Call, resource: str) -> str:
    return f"arn:aws:{call.iam_prefix}:{call.region}:{ACCOUNT_ID}:{resource}"


def _pass_roles(roles: list[str | None], service: str) -> list[Request]:
    return [Request("iam:PassRole", role, {"iam:PassedToService": service}) for role in roles if role]


def _cluster_name(call: Call) -> str:
    return str(call.params.get("cluster", "default")).rsplit("/", 1)[-1]


def _ecs_tasks(call: Call) -> list[str]:
    ids = call.params.get("tasks") or [call.params.get("task", "*")]
    return [_arn(call, f"task/{_cluster_name(call)}/{str(task).rsplit('/', 1)[-1]}") for task in ids]


def _run_task(call: Call) -> list[Request]:
    """A task definition in a cluster, under its two roles; and tags, if the task gets any."""
    in_cluster: dict[str, ContextValue] = {"ecs:cluster": _arn(call, f"cluster/{_cluster_name(call)}")}
    named = str(call.params.get("taskDefinition", "*")).rsplit("/", 1)[-1]
    try:
        definition = ecs_backends[ACCOUNT_ID][call.region].describe_task_definition(named)
    except EcsClientException:
        return [Request("ecs:RunTask", _arn(call, f"task-definition/{named}"), in_cluster)]
    override = call.params.get("overrides") or {}
    roles = [
        override.get("taskRoleArn") or definition.task_role_arn,
        override.get("executionRoleArn") or definition.execution_role_arn,
    ]
    requests = [Request("ecs:RunTask", definition.arn, in_cluster), *_pass_roles(roles, "ecs-tasks.amazonaws.com")]
    propagates = call.params.get("propagateTags") == "TASK_DEFINITION" and definition.tags
    if call.params.get("tags") or propagates:
        new_task = _arn(call, f"task/{_cluster_name(call)}/*")
        requests.append(Request("ecs:TagResource", new_task, {"ecs:CreateAction": "RunTask"}))
    return requests


def _ecs(call: Call) -> list[Request] | None:
    action = f"ecs:{call.operation}"
    if call.operation == "RunTask":
        return _run_task(call)
    if call.operation in ("DescribeTasks", "StopTask"):
        return [Request(action, task, {}) for task in _ecs_tasks(call)]
    if call.operation == "ListTasks":
        return [Request(action, "*", {"ecs:cluster": _arn(call, f"cluster/{_cluster_name(call)}")})]
    return None


def _glue(call: Call) -> list[Request] | None:
    if "JobName" not in call.params:
        return None
    return [Request(f"glue:{call.operation}", _arn(call, f"job/{call.params['JobName']}"), {})]


def _athena(call: Call) -> list[Request] | None:
    if "Query" not in str(call.operation):
        return None
    workgroup = call.params.get("WorkGroup", "primary")
    if execution_id := call.params.get("QueryExecutionId"):
        execution = athena_backends[ACCOUNT_ID][call.region].executions.get(str(execution_id))
        workgroup = _name_of(execution.workgroup) if execution else "*"
    return [Request(f"athena:{call.operation}", _arn(call, f"workgroup/{workgroup}"), {})]


def _name_of(workgroup: Any) -> str:
    return str(getattr(workgroup, "name", workgroup))


def _emr(call: Call) -> list[Request] | None:
    action = f"elasticmapreduce:{call.operation}"
    if call.operation == "RunJobFlow":
        return _run_job_flow(call)
    named = call.params.get("JobFlowId") or call.params.get("ClusterId")
    ids = call.params.get("JobFlowIds") or ([named] if named else [])
    requests = [Request(action, _arn(call, f"cluster/{one}"), _emr_tags(call.region, one)) for one in ids]
    return requests or None


def _emr_tags(region: str, cluster_id: str) -> dict[str, ContextValue]:
    cluster = emr_backends[ACCOUNT_ID][region].clusters.get(cluster_id)
    tags = cluster.tags if cluster else []
    return {f"elasticmapreduce:ResourceTag/{tag['Key']}": tag["Value"] for tag in tags}


def _run_job_flow(call: Call) -> list[Request]:
    tags: dict[str, ContextValue] = {
        f"elasticmapreduce:RequestTag/{tag['Key']}": tag["Value"] for tag in call.params.get("Tags", [])
    }
    requests = [Request("elasticmapreduce:RunJobFlow", "*", tags)]
    if tags:
        requests.append(Request("elasticmapreduce:AddTags", _arn(call, "cluster/*"), tags))
    requests += _pass_roles([_role_arn(call.params.get("ServiceRole"))], "elasticmapreduce.amazonaws.com")
    return requests + _pass_roles([_profile_role(call.params.get("JobFlowRole"))], "ec2.amazonaws.com")


def _role_arn(role: str | None) -> str | None:
    return role if not role or role.startswith("arn:") else f"arn:aws:iam::{ACCOUNT_ID}:role/{role}"


def _profile_role(profile: str | None) -> str | None:
    """ARN of the role in an instance profile; one that does not exist is told by its own name."""
    if not profile:
        return None
    name = profile.rsplit("/", 1)[-1]
    profiles = iam_backends[ACCOUNT_ID]["aws"].instance_profiles.values()
    roles = [role.arn for found in profiles if found.name == name for role in found.roles]
    return roles[0] if roles else _role_arn(name)


#: botocore's name of a service -> what its calls need.
WORKLOAD_REQUESTS = {"ecs": _ecs, "glue": _glue, "athena": _athena, "emr": _emr}
