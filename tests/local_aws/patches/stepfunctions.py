"""Patches of moto's Step Functions: its interpreter comes from LocalStack, with some parts cut off."""

from __future__ import annotations

import json
import uuid
from typing import Any

from moto.core.config import default_user_config
from moto.stepfunctions import responses
from moto.stepfunctions.parser import models
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk,
    state_task_service_lambda,
)
from moto.stepfunctions.parser.asl.component.state.fail import state_fail
from moto.stepfunctions.parser.asl.eval.callback import callback
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

#: Names of services in the errors of AWS SDK integrations; AWS takes them from its Java SDK.
_ERROR_NAMES = {
    "cloudwatch": "CloudWatch",
    "dynamodb": "DynamoDb",
    "eventbridge": "EventBridge",
    "kms": "Kms",
    "lambda": "Lambda",
    "mwaa": "Mwaa",
    "s3": "S3",
    "s3control": "S3Control",
    "scheduler": "Scheduler",
    "secretsmanager": "SecretsManager",
    "sfn": "Sfn",
    "sns": "Sns",
    "sqs": "Sqs",
    "ssm": "Ssm",
    "sts": "Sts",
}


def execution() -> None:
    """moto starts executions that never run, unless told otherwise. AWS runs them."""
    default_user_config["stepfunctions"]["execute_state_machine"] = True


def validate_definition() -> None:
    """moto lacks ValidateStateMachineDefinition, which the provider calls in every plan. AWS has it."""

    def validate(response: Any) -> str:
        diagnostics = []
        try:
            AmazonStateLanguageParser.parse(response._get_param("definition"))
        except Exception as error:  # noqa: BLE001  # the parser raises whatever it meets
            code = "SCHEMA_VALIDATION_FAILED"
            diagnostics = [{"severity": "ERROR", "code": code, "message": str(error)[:500], "location": "/"}]
        result = "FAIL" if diagnostics else "OK"
        return json.dumps({"result": result, "diagnostics": diagnostics, "truncated": False})

    responses.StepFunctionResponse.validate_state_machine_definition = validate


def list_versions() -> None:
    """moto lacks ListStateMachineVersions, which the provider calls when it reads a machine. AWS has it."""

    def list_state_machine_versions(response: Any) -> str:
        machine = response.stepfunction_backend.describe_state_machine(response._get_param("stateMachineArn"))
        versions = [
            {"stateMachineVersionArn": version.arn, "creationDate": version.creation_date.timestamp()}
            for version in getattr(machine, "versions", {}).values()
        ]
        return json.dumps({"stateMachineVersions": versions[::-1]})

    responses.StepFunctionResponse.list_state_machine_versions = list_state_machine_versions


def execution_names() -> None:
    """moto names every execution that was started without a name `None`: the second collides. AWS makes up a UUID."""
    start = models.StepFunctionsParserBackend.start_execution

    def start_execution(
        backend: Any, state_machine_arn: str, name: str | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        return start(backend, state_machine_arn, name or str(uuid.uuid4()), *args, **kwargs)

    models.StepFunctionsParserBackend.start_execution = start_execution


def heartbeat_without_limit() -> None:
    """moto answers InvalidToken to a heartbeat of a task that has no HeartbeatSeconds. AWS accepts it."""
    heartbeat = callback.CallbackPoolManager.heartbeat

    def heartbeat_of_any_task(pool: Any, callback_id: str) -> bool:
        return heartbeat(pool, callback_id) or callback_id in pool._pool

    callback.CallbackPoolManager.heartbeat = heartbeat_of_any_task


def starting_executions() -> None:
    """moto looks for a task token in executions that have no environment yet, and fails. AWS finds the token's own."""
    executions = models.StepFunctionsParserBackend._get_executions

    def started(backend: Any, status: Any = None) -> list[Any]:
        return [e for e in executions(backend, status) if e.exec_worker is not None and e.exec_worker.env is not None]

    models.StepFunctionsParserBackend._get_executions = started


def sdk_error_names() -> None:
    """moto says `mwaa.ResourceNotFoundException` in AWS SDK integrations. AWS says `Mwaa.ResourceNotFoundException`."""
    state_task_service_aws_sdk._SERVICE_ERROR_NAMES.update(_ERROR_NAMES)


def early_answers() -> None:
    """moto loses an answer that comes before it starts to wait for heartbeats. AWS takes it."""
    setup = callback.CallbackEndpoint.setup_heartbeat_endpoint

    def setup_heartbeat_endpoint(endpoint: Any, heartbeat_seconds: int) -> Any:
        heartbeats = setup(endpoint, heartbeat_seconds)
        if endpoint.get_outcome() is not None:
            heartbeats.notify()
        return heartbeats

    callback.CallbackEndpoint.setup_heartbeat_endpoint = setup_heartbeat_endpoint


def lambda_parameters() -> None:
    """moto drops InvocationType of a task that invokes a function, and so waits for the function. AWS passes it on."""
    state_task_service_lambda._SUPPORTED_API_PARAM_BINDINGS["invoke"].add("InvocationType")


def fail_with_any_error() -> None:
    """moto cannot end in a Fail state whose ErrorPath leads to `States.Timeout` or alike. AWS reports the error."""
    state_fail.CustomErrorName = ErrorName


def parse_once() -> None:
    """moto parses a definition whenever an execution starts, most of a second's work. Here a text is parsed once.

    What is evaluated is made anew each time, of the same syntax tree.
    """
    trees: dict[str, Any] = {}
    parse = AmazonStateLanguageParser.parse
    validate = models.StepFunctionsParserBackend._validate_definition

    def parse_new(definition: str) -> tuple[Any, Any]:
        if definition in trees:
            return Preprocessor().visit(trees[definition]), trees[definition]
        program, trees[definition] = parse(definition)
        return program, trees[definition]

    def validate_new(definition: str) -> None:
        if definition not in trees:
            validate(definition)

    AmazonStateLanguageParser.parse = staticmethod(parse_new)
    models.StepFunctionsParserBackend._validate_definition = staticmethod(validate_new)


PATCHES = [
    parse_once,
    early_answers,
    lambda_parameters,
    fail_with_any_error,
    execution,
    validate_definition,
    list_versions,
    execution_names,
    heartbeat_without_limit,
    starting_executions,
    sdk_error_names,
]
