"""How tasks of a state machine call AWS: under the machine's role, in the shapes that Step Functions uses."""

from __future__ import annotations

import datetime
import functools
import importlib
import pkgutil
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task import service as task_services
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask

from tests.local_aws.client_env import ADMIN_ACCESS_KEY, ADMIN_SECRET_KEY
from tests.local_aws.sessions import Session, assume_as_service

if TYPE_CHECKING:
    from tests.local_aws.platform import LocalPlatform

#: Sessions are renewed long before they end.
_SESSION_SECONDS = 900.0
_botocore = botocore.session.Session()
_botocore_lock = threading.Lock()


def tasks_use_their_role(platform: LocalPlatform) -> None:
    """moto calls every service as nobody in particular, with host prefixes, in boto's own shapes.

    AWS calls under the machine's role, accepts `Payload` and `Body` as JSON, and answers times and bodies as text.
    """
    sessions = _Sessions()
    creation = threading.Lock()

    def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        if state_credentials is None:
            session = Session("", ADMIN_ACCESS_KEY, ADMIN_SECRET_KEY, "")
        else:
            session = sessions.of(state_credentials.role_arn, getattr(state_credentials, "source_arn", ""))
        arguments = {key: value for key, value in session.client_arguments().items() if value}
        config = Config(
            parameter_validation=False,
            inject_host_prefix=False,
            retries={"total_max_attempts": 1},
            read_timeout=1000,
            s3={"addressing_style": "path"},
        )
        with creation:
            return boto3.session.Session().client(
                service, region_name=region, endpoint_url=platform.endpoint_url, config=config, **arguments
            )

    for module in pkgutil.iter_modules(task_services.__path__, f"{task_services.__name__}."):
        importlib.import_module(module.name)
    for name, loaded in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.parser.") and hasattr(loaded, "boto_client_for"):
            loaded.boto_client_for = boto_client_for


def credentials_name_their_machine() -> None:
    """moto does not say for which machine a role is assumed. AWS does: trust policies may ask for aws:SourceArn."""
    original = StateTask._eval_state_credentials

    def eval_state_credentials(task: Any, env: Any) -> Any:
        credentials = original(task, env)
        credentials.source_arn = env.states.context_object.context_object_data["StateMachine"]["Id"]
        return credentials

    StateTask._eval_state_credentials = eval_state_credentials


class _Sessions:
    """One session per role, kept for a while."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, str], tuple[float, Session]] = {}
        self._lock = threading.Lock()

    def of(self, role_arn: str, machine_arn: str) -> Session:
        with self._lock:
            since, session = self._sessions.get((role_arn, machine_arn), (0.0, None))
            if session is None or time.monotonic() - since > _SESSION_SECONDS:
                session = assume_as_service(role_arn, "states.amazonaws.com", "step-functions", machine_arn)
                self._sessions[role_arn, machine_arn] = (time.monotonic(), session)
            return session


@functools.cache
def _operation_model(service: str, action: str) -> Any | None:
    with _botocore_lock:
        model = _botocore.get_service_model(service)
    wanted = action.replace("_", "").lower()
    return next((model.operation_model(name) for name in model.operation_names if name.lower() == wanted), None)


def _as_text(value: Any) -> Any:
    """Times as Step Functions writes them."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value


def request_and_response_shapes() -> None:
    """moto leaves out the step that maps parameters and answers between the language's shapes and boto's."""

    def operation(
        task: Any, boto_service_name: str | None = None, service_action_name: str | None = None
    ) -> Any | None:
        service = task._get_boto_service_name(boto_service_name)
        return _operation_model(service, service_action_name or task.resource.api_action)

    def normalise_parameters(task: Any, parameters: Any, **names: str) -> None:
        model = operation(task, **names)
        if model is not None and model.input_shape is not None:
            task._to_boto_request(parameters, model.input_shape)

    def normalise_response(task: Any, response: Any, **names: str) -> None:
        model = operation(task, **names)
        if not isinstance(response, dict):
            return
        if model is not None and model.output_shape is not None:
            task._from_boto_response(response, model.output_shape)
        texts = _as_text(response)
        response.clear()
        response.update(texts)

    StateTaskService._normalise_parameters = normalise_parameters
    StateTaskService._normalise_response = normalise_response


def connection_errors() -> None:
    """moto says States.Runtime when a service does not answer. AWS says `<Service>.SdkClientException`."""
    original = StateTaskServiceAwsSdk._from_error

    def from_error(task: Any, env: Any, ex: Exception) -> Any:
        if isinstance(ex, BotoCoreError) and not isinstance(ex, ClientError):
            service = task._normalise_service_error_name(task.resource.api_name)
            return task._get_task_failure_event(env=env, error=f"{service}.SdkClientException", cause=str(ex))
        return original(task, env=env, ex=ex)

    StateTaskServiceAwsSdk._from_error = from_error


PATCHES = [credentials_name_their_machine, request_and_response_shapes, connection_errors]
