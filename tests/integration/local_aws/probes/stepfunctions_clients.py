"""Probes of the patches of stepfunctions_clients."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import EndpointConnectionError

from tests.integration.local_aws.probes.inside import client, run, sdk_task


def request_and_response_shapes() -> Any:
    client("s3").create_bucket(Bucket="bucket")
    body = {"Bucket": "bucket", "Key": "k", "Body": {"a": 1}}
    states = {
        "A": {**sdk_task("s3:putObject", body), "End": False, "Next": "B", "ResultPath": None},
        "B": sdk_task("s3:getObject", {"Bucket": "bucket", "Key": "k"}),
    }
    del states["A"]["End"]
    done = run(states)
    output = json.loads(done.get("output", "{}"))
    return [done["status"], output.get("Body"), str(output.get("LastModified", ""))[-1:]]


def connection_errors() -> Any:
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk as sdk

    def refuse(**_arguments: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    original, sdk.boto_client_for = sdk.boto_client_for, refuse
    try:
        return run({"A": sdk_task("dynamodb:listTables", {})}).get("error")
    finally:
        sdk.boto_client_for = original


def credentials_name_their_machine() -> Any:
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk as sdk

    seen: list[Any] = []
    original = sdk.boto_client_for

    def remember(region: str, service: str, state_credentials: Any = None) -> Any:
        seen.append(getattr(state_credentials, "source_arn", None))
        return original(region=region, service=service)

    sdk.boto_client_for = remember
    try:
        run({"A": sdk_task("dynamodb:listTables", {})})
    finally:
        sdk.boto_client_for = original
    return seen
