"""Which IAM actions a call needs, on which ARNs and under which condition keys."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from moto.iam.models import iam_backends
from moto.kms.models import kms_backends

from tests.local_aws.authz.calls import Call
from tests.local_aws.authz.evaluate import ContextValue, Request, as_list
from tests.local_aws.authz.s3_actions import s3_requests
from tests.local_aws.authz.workload_actions import WORKLOAD_REQUESTS
from tests.local_aws.contract import ACCOUNT_ID

#: Airflow roles that `InvokeRestApi` and `CreateWebLoginToken` may ask for, the strongest first.
AIRFLOW_ROLES = ("Admin", "Op", "User", "Viewer", "Public")
#: Operations that any authenticated caller may use.
ALWAYS_ALLOWED = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
#: Operation -> IAM action, where the names differ.
_ACTION_NAMES = {"lambda:Invoke": "lambda:InvokeFunction", "lambda:InvokeAsync": "lambda:InvokeFunction"}


class UnknownResource(NotImplementedError):
    """A role calls a service whose resources are not imitated: the request cannot be judged."""


def _arn(call: Call, resource: str) -> str:
    return f"arn:aws:{call.iam_prefix}:{call.region}:{ACCOUNT_ID}:{resource}"


def _given_arn(call: Call, *names: str) -> str:
    """The first of the parameters that holds an ARN."""
    return next((str(call.params[name]) for name in names if call.params.get(name)), "*")


def key_arn(key: str, region: str) -> str:
    """ARN of a key named by ARN, id or alias; an alias that does not exist stays as it is."""
    if ":alias/" in key:
        region = key.split(":")[3]
        key = key.split(":", 5)[5]
    if key.startswith("alias/"):
        backend = kms_backends[ACCOUNT_ID][region]
        found = backend.get_key_id_from_alias(key)
        key = found if found else key
    if key.startswith("arn:"):
        return key
    resource = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:aws:kms:{region}:{ACCOUNT_ID}:{resource}"


def _kms(call: Call) -> list[str]:
    key = call.params.get("KeyId") or call.params.get("SourceKeyId")
    if key:
        return [key_arn(str(key), call.region)]
    blob = call.params.get("CiphertextBlob")
    return [_key_of_ciphertext(str(blob), call.region)] if blob else ["*"]


def _key_of_ciphertext(blob: str, region: str) -> str:
    """The key that moto's cipher text names: forty bytes of key id come first."""
    raw = base64.b64decode(blob)
    for length in (36, 40):
        candidate = raw[:length].decode("ascii", "replace").strip("\x00 ")
        if candidate in kms_backends[ACCOUNT_ID][region].keys:
            return key_arn(candidate, region)
    return "*"


def _lambda(call: Call) -> list[str]:
    name = str(call.params.get("FunctionName", "*"))
    return [name if name.startswith("arn:") else _arn(call, f"function:{name}")]


def _table(call: Call, name: str, index: str | None) -> str:
    table = name if name.startswith("arn:") else _arn(call, f"table/{name}")
    return f"{table}/index/{index}" if index else table


def _logs(call: Call) -> list[str]:
    if call.operation in ("DescribeLogGroups", "CreateLogDelivery", "DescribeResourcePolicies", "ListLogDeliveries"):
        return ["*"]
    group = str(call.params.get("logGroupName") or call.params.get("logGroupIdentifier") or "*")
    stream = call.params.get("logStreamName")
    if call.operation in ("PutLogEvents", "CreateLogStream", "GetLogEvents"):
        return [_arn(call, f"log-group:{group}:log-stream:{stream}")]
    return [_arn(call, f"log-group:{group}")]


def _states(call: Call) -> list[str]:
    if (call.operation or "").startswith("SendTask") or call.operation in ("ListStateMachines", "CreateActivity"):
        return ["*"]
    return [_given_arn(call, "stateMachineArn", "executionArn", "resourceArn")]


def _sqs(call: Call) -> list[str]:
    name = call.params.get("QueueName") or str(call.params.get("QueueUrl", "*")).rsplit("/", 1)[-1]
    return [_arn(call, str(name))]


def _ssm(call: Call) -> list[str]:
    names = [call.params.get("Name"), call.params.get("Path"), *as_list(call.params.get("Names", []))]
    return [_arn(call, "parameter/" + str(name).lstrip("/")) for name in names if name] or ["*"]


def _events(call: Call) -> list[str]:
    if call.operation == "PutEvents":
        buses = {entry.get("EventBusName", "default") for entry in call.params.get("Entries", [])}
        return [bus if bus.startswith("arn:") else _arn(call, f"event-bus/{bus}") for bus in sorted(buses)]
    return [_arn(call, f"rule/{call.params.get('Name') or call.params.get('Rule') or '*'}")]


def _scheduler(call: Call) -> list[str]:
    group = call.params.get("GroupName") or call.query.get("groupName") or "default"
    return [_arn(call, f"schedule/{group}/{call.params.get('Name', '*')}")]


def _secrets(call: Call) -> list[str]:
    name = str(call.params.get("SecretId") or call.params.get("Name") or "*")
    return [name if name.startswith("arn:") else _arn(call, f"secret:{name}-??????")]


def _cloudwatch(call: Call) -> list[str]:
    if call.operation in ("SetAlarmState", "DescribeAlarmHistory"):
        return [_arn(call, f"alarm:{call.params.get('AlarmName', '*')}")]
    if call.operation == "DescribeAlarms":
        return [_arn(call, "alarm:*")]
    return ["*"]


def _airflow(call: Call) -> list[str]:
    if call.operation == "ListEnvironments":
        return ["*"]
    if call.operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        return [str(call.params.get("ResourceArn", "*"))]
    return [_arn(call, f"environment/{call.params.get('Name') or call.params.get('EnvironmentName') or '*'}")]


def _sts(call: Call) -> list[str]:
    return [_given_arn(call, "RoleArn")]


def _iam(call: Call) -> list[str]:
    if "RoleName" not in call.params:
        return ["*"]
    name = call.params["RoleName"]
    # By its ARN, which has the path; one that does not exist has none.
    paths = (role.arn for role in iam_backends[ACCOUNT_ID]["aws"].roles.values() if role.name == name)
    return [next(paths, f"arn:aws:iam::{ACCOUNT_ID}:role/{name}")]


def _s3control(call: Call) -> list[str]:
    job = call.params.get("JobId")
    return [f"arn:aws:s3:{call.region}:{ACCOUNT_ID}:job/{job}"] if job else ["*"]


def _sns(call: Call) -> list[str]:
    return [_given_arn(call, "TopicArn", "TargetArn", "ResourceArn")]


_RESOURCES: dict[str, Callable[[Call], list[str]]] = {
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "stepfunctions": _states,
    "sqs": _sqs,
    "ssm": _ssm,
    "events": _events,
    "scheduler": _scheduler,
    "secretsmanager": _secrets,
    "cloudwatch": _cloudwatch,
    "mwaa": _airflow,
    "sts": _sts,
    "iam": _iam,
    "s3control": _s3control,
    "sns": _sns,
    "ec2": lambda _call: ["*"],
    "servicequotas": lambda _call: ["*"],
}


def _dynamodb_requests(call: Call) -> list[Request]:
    params, action = call.params, f"dynamodb:{call.operation}"
    if call.operation in ("TransactWriteItems", "TransactGetItems"):
        names = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "Get": "GetItem"}
        parts = [(kind, part) for item in params.get("TransactItems", []) for kind, part in item.items()]
        return [
            Request(f"dynamodb:{names.get(kind, 'ConditionCheckItem')}", _table(call, part["TableName"], None), {})
            for kind, part in parts
        ]
    if call.operation in ("BatchGetItem", "BatchWriteItem"):
        return [Request(action, _table(call, name, None), {}) for name in params.get("RequestItems", {})]
    if "TableName" not in params:
        return [Request(action, str(params.get("ResourceArn", "*")), {})]
    return [Request(action, _table(call, params["TableName"], params.get("IndexName")), {})]


def _kms_condition_keys(call: Call) -> dict[str, ContextValue]:
    encryption_context = call.params.get("EncryptionContext") or {}
    context: dict[str, ContextValue] = {"kms:CallerAccount": ACCOUNT_ID}
    for key, value in encryption_context.items():
        context[f"kms:EncryptionContext:{key}"] = str(value)
    if encryption_context:
        context["kms:EncryptionContextKeys"] = sorted(encryption_context)
    return context


def _context(call: Call) -> dict[str, ContextValue]:
    if call.service == "kms":
        return _kms_condition_keys(call)
    if call.service == "cloudwatch" and "Namespace" in call.params:
        return {"cloudwatch:namespace": str(call.params["Namespace"])}
    return {}


def requests_of(call: Call) -> list[Request]:
    """Every action the call needs; all must be allowed. Raises UnknownResource.

    For calls that ask for an Airflow role see `airflow_role_requests`.
    """
    if call.service == "s3":
        return s3_requests(call)
    if call.service == "dynamodb":
        return _dynamodb_requests(call)
    if call.service in WORKLOAD_REQUESTS and (requests := WORKLOAD_REQUESTS[call.service](call)):
        return requests
    if call.service not in _RESOURCES:
        raise UnknownResource(f"the stand-in cannot judge {call.service}:{call.operation} for a role")
    prefix = "s3" if call.service == "s3control" else call.iam_prefix
    action = f"{prefix}:{call.operation}"
    action = _ACTION_NAMES.get(action, action)
    requests = [Request(action, resource, _context(call)) for resource in _RESOURCES[call.service](call)]
    return [*requests, *_dependent_requests(call)]


def _dependent_requests(call: Call) -> list[Request]:
    """What else the call needs: to pass a role to the service, and to tag what it creates."""
    requests = []
    if call.service == "s3control" and call.operation == "CreateJob":
        role = call.params.get("CreateJobRequest", {}).get("RoleArn", "*")
        requests.append(_pass_role(role, "batchoperations.s3.amazonaws.com"))
    if call.service == "mwaa" and call.params.get("ExecutionRoleArn"):
        requests.append(_pass_role(call.params["ExecutionRoleArn"], "airflow.amazonaws.com"))
    if call.service == "mwaa" and call.operation == "CreateEnvironment" and call.params.get("Tags"):
        requests.append(Request("airflow:TagResource", _airflow(call)[0], {}))
    return requests


def _pass_role(role_arn: str, service: str) -> Request:
    return Request("iam:PassRole", role_arn, {"iam:PassedToService": service})


def airflow_role_requests(call: Call) -> dict[str, Request] | None:
    """For calls that act under an Airflow role: a request per role, of which one must be allowed; else None."""
    if call.service != "mwaa" or call.operation not in ("InvokeRestApi", "CreateWebLoginToken"):
        return None
    name: Any = call.params.get("Name", "*")
    return {role: Request(f"airflow:{call.operation}", _arn(call, f"role/{name}/{role}"), {}) for role in AIRFLOW_ROLES}
