"""Probes of the patches of awslambda."""

from __future__ import annotations

from typing import Any

from tests.integration.local_aws.probes.inside import ACCOUNT, client, role


def configuration_members() -> Any:
    functions = client("lambda")
    functions.create_function(
        FunctionName="f",
        Runtime="python3.11",
        Role=role(),
        Handler="m.h",
        Code={"ZipFile": b"x"},
        DeadLetterConfig={"TargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"},
        LoggingConfig={"LogFormat": "JSON", "LogGroup": "/g"},
    )
    kept = functions.get_function_configuration(FunctionName="f")
    functions.update_function_configuration(FunctionName="f", TracingConfig={"Mode": "Active"})
    traced = functions.get_function_configuration(FunctionName="f")["TracingConfig"]["Mode"]
    return [kept.get("DeadLetterConfig", {}).get("TargetArn"), kept.get("LoggingConfig", {}).get("LogGroup"), traced]
