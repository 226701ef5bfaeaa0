"""Runs Lambda functions: the deployed zip, under AWS's runtime client, with the credentials of their role."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.local_aws.authz.actions import key_arn
from tests.local_aws.authz.authorizer import Denied
from tests.local_aws.client_env import boto_env
from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.runtime_api import Outcome, RuntimeApi
from tests.local_aws.sessions import RoleCannotBeAssumed, Session, assume_as_service

_BOOTSTRAP = Path(__file__).with_name("lambda_bootstrap.py")
#: AWS retries an asynchronous invocation twice, after one and after two minutes.
_ASYNC_RETRY_SECONDS = (60.0, 120.0)


@dataclass
class Sandbox:
    """One running function process."""

    region: str
    process: subprocess.Popen[bytes]


@dataclass(frozen=True)
class Invocation:
    """One invocation that is about to start."""

    function: Any  #: moto's LambdaFunction
    session: Session
    request_id: str
    deadline: float
    stream: str
    started: float = field(default_factory=time.time)


def _failed(kind: str, message: str) -> Outcome:
    return Outcome(False, json.dumps({"errorType": kind, "errorMessage": message}).encode())


class LambdaRuntime:
    """Takes the place of moto's Docker executor. One process per invocation, any number at once."""

    def __init__(self, platform: LocalPlatform) -> None:
        self._platform = platform
        self._code_dir = platform.state_dir / "functions"
        self._tmp_dir = platform.state_dir / "tmp" / "lambda"
        self._sandboxes: dict[str, Sandbox] = {}
        self._lock = threading.Lock()

    def install(self) -> None:
        """Make moto's functions run here."""
        from moto.awslambda.models import LambdaFunction

        runtime = self

        def invoke_lambda(function: Any, event: Any = None) -> tuple[str, bool, str]:
            payload = event if isinstance(event, str) else json.dumps({} if event is None else event)
            outcome, log = runtime.run(function, payload.encode())
            return outcome.payload.decode(), not outcome.succeeded, log

        def invoke(function: Any, body: Any, request_headers: Any, response_headers: Any) -> bytes:
            payload = body.encode() if isinstance(body, str) else body or b"{}"
            kind = request_headers.get("x-amz-invocation-type", "RequestResponse")
            if kind == "DryRun":
                return b""
            if kind == "Event":
                threading.Thread(target=runtime.run_async, args=(function, payload), daemon=True).start()
                return b""
            outcome, log = runtime.run(function, payload)
            if not outcome.succeeded:
                response_headers["x-amz-function-error"] = "Unhandled"
            response_headers["x-amz-log-result"] = base64.b64encode(log[-4096:].encode()).decode()
            return outcome.payload

        LambdaFunction._invoke_lambda = invoke_lambda
        LambdaFunction.invoke = invoke

    def run_async(self, function: Any, payload: bytes) -> None:
        """An asynchronous invocation with AWS's two retries; a last failure goes to the dead-letter queue or topic."""
        outcome, _ = self.run(function, payload)
        for delay in _ASYNC_RETRY_SECONDS:
            if outcome.succeeded or self._platform.stopping.wait(delay):
                return
            outcome, _ = self.run(function, payload)
        if not outcome.succeeded:
            self._dead_letter(function, payload)

    def _dead_letter(self, function: Any, payload: bytes) -> None:
        target = (getattr(function, "dead_letter_config", None) or {}).get("TargetArn")
        if not target:
            return
        session = assume_as_service(function.role, "lambda.amazonaws.com", function.function_name)
        service = target.split(":")[2]
        client = self._platform.session_client(service, function.region, session)
        if service == "sns":
            client.publish(TopicArn=target, Message=payload.decode())
        else:
            url = client.get_queue_url(QueueName=target.rsplit(":", 1)[-1])["QueueUrl"]
            client.send_message(QueueUrl=url, MessageBody=payload.decode())
        self._platform.record("lambda_dead_letter", function.region, function=function.function_name, target=target)

    def run(self, function: Any, payload: bytes) -> tuple[Outcome, str]:
        """Run the function once and wait for it; returns its outcome and its log."""
        request_id, name = str(uuid.uuid4()), function.function_name
        started = time.time()
        try:
            session = self._session(function)
        except (RoleCannotBeAssumed, Denied) as error:
            outcome, log = _failed("AccessDeniedException", str(error)), f"{error}\n"
        else:
            stream = f"{datetime.now(UTC):%Y/%m/%d}/[{function.version}]{uuid.uuid4().hex}"
            deadline = started + float(function.timeout)
            outcome, log = self._run(Invocation(function, session, request_id, deadline, stream), payload)
            self._write_log(function, session, stream, log)
        self._platform.record(
            "invocation",
            function.region,
            function=name,
            request_id=request_id,
            succeeded=outcome.succeeded,
            seconds=round(time.time() - started, 3),
            error=None if outcome.succeeded else outcome.payload.decode(errors="replace")[:2000],
        )
        return outcome, log

    def _session(self, function: Any) -> Session:
        """The role's session, after what Lambda itself does with the role before it runs a function."""
        session = assume_as_service(
            function.role, "lambda.amazonaws.com", function.function_name, function.function_arn
        )
        context = {"aws:RequestedRegion": function.region}
        check = self._platform.authorizer.check
        for action, resource in _network_interface_calls(function.region, function.vpc_config or {}):
            check(function.role, action, resource, context)
        if function.kms_key_arn and function.environment_vars:
            keys = {"kms:ViaService": f"lambda.{function.region}.amazonaws.com", "kms:CallerAccount": ACCOUNT_ID}
            encryption = {"kms:EncryptionContext:aws:lambda:FunctionArn": function.function_arn}
            check(
                function.role,
                "kms:Decrypt",
                key_arn(function.kms_key_arn, function.region),
                {**context, **keys, **encryption},
            )
        return session

    def _code(self, function: Any) -> Path:
        """The deployed zip, unpacked once per content."""
        target = self._code_dir / hashlib.sha256(function.code_bytes).hexdigest()[:20]
        with self._lock:
            if not target.is_dir():
                self._code_dir.mkdir(parents=True, exist_ok=True)
                scratch = Path(tempfile.mkdtemp(dir=self._code_dir))
                zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(scratch)  # our own package
                scratch.rename(target)
        return target

    def _environment(self, invocation: Invocation, task_root: Path, home: Path, api: str) -> dict[str, str]:
        function = invocation.function
        return {
            **{key: str(value) for key, value in function.environment_vars.items()},
            **boto_env(self._platform.port),
            **invocation.session.environment(),
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "LAMBDA_TASK_ROOT": str(task_root),
            "LAMBDA_RUNTIME_DIR": str(task_root),
            "AWS_LAMBDA_RUNTIME_API": api,
            "_HANDLER": function.handler,
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": str(function.version),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": _log_group(function),
            "AWS_LAMBDA_LOG_STREAM_NAME": invocation.stream,
            "AWS_LAMBDA_LOG_FORMAT": (getattr(function, "logging_config", None) or {}).get("LogFormat", "Text"),
            "LOCAL_AWS_PARENT": str(os.getpid()),
        }

    def _run(self, invocation: Invocation, payload: bytes) -> tuple[Outcome, str]:
        function, task_root = invocation.function, self._code(invocation.function)
        self._tmp_dir.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(dir=self._tmp_dir))
        output = home.with_suffix(".log")
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": function.function_arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(invocation.started):08x}-{uuid.uuid4().hex[:24]}",
        }
        try:
            with RuntimeApi(payload, headers) as api, output.open("wb") as sink:
                process = subprocess.Popen(
                    [sys.executable, str(_BOOTSTRAP)],
                    cwd=task_root,
                    env=self._environment(invocation, task_root, home, api.address),
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                )
                outcome = self._wait(invocation, process, api)
            return outcome, output.read_text(errors="replace")
        finally:
            shutil.rmtree(home, ignore_errors=True)
            output.unlink(missing_ok=True)

    def _wait(self, invocation: Invocation, process: subprocess.Popen[bytes], api: RuntimeApi) -> Outcome:
        with self._lock:
            self._sandboxes[invocation.request_id] = Sandbox(invocation.function.region, process)
        try:
            while time.time() < invocation.deadline:
                if api.answered.wait(0.02):
                    assert api.outcome is not None
                    return api.outcome
                if process.poll() is not None:
                    # The answer may have arrived between the two looks.
                    if api.answered.wait(0.05) and api.outcome is not None:
                        return api.outcome
                    status = f"exit status {process.returncode}"
                    return _failed(
                        "Runtime.ExitError",
                        f"RequestId: {invocation.request_id} Error: Runtime exited with error: {status}",
                    )
            timeout = float(invocation.function.timeout)
            message = (
                f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
                + f"Z {invocation.request_id} Task timed out after {timeout:.2f} seconds"
            )
            return _failed("Sandbox.Timedout", message)
        finally:
            process.kill()
            process.wait()
            with self._lock:
                self._sandboxes.pop(invocation.request_id, None)

    def _write_log(self, function: Any, session: Session, stream: str, text: str) -> None:
        """Write what the function printed to its log group, as its role; without the permission nothing is written."""
        group, now = _log_group(function), int(time.time() * 1000)
        if self._platform.is_down(function.region):
            return
        client = self._platform.session_client("logs", function.region, session)
        events = [{"timestamp": now, "message": line} for line in text.splitlines() if line] or [
            {"timestamp": now, "message": "END"}
        ]
        try:
            with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_stream(logGroupName=group, logStreamName=stream)
        except client.exceptions.ResourceNotFoundException:
            if not self._create_group(client, group):
                return
            client.create_log_stream(logGroupName=group, logStreamName=stream)
        except client.exceptions.ClientError as error:
            self._platform.record("log_lost", function.region, function=function.function_name, error=str(error))
            return
        try:
            client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        except client.exceptions.ClientError as error:
            self._platform.record("log_lost", function.region, function=function.function_name, error=str(error))

    def _create_group(self, client: Any, group: str) -> bool:
        try:
            client.create_log_group(logGroupName=group)
        except client.exceptions.ResourceAlreadyExistsException:
            return True
        except client.exceptions.ClientError as error:
            self._platform.record("log_lost", client.meta.region_name, group=group, error=str(error))
            return False
        return True

    def kill_region(self, region: str) -> None:
        """Kill every function that runs in the Region."""
        with self._lock:
            running = [sandbox for sandbox in self._sandboxes.values() if sandbox.region == region]
        for sandbox in running:
            sandbox.process.kill()

    def stop(self) -> None:
        """Kill every function."""
        with self._lock:
            running = list(self._sandboxes.values())
        for sandbox in running:
            sandbox.process.kill()


def _log_group(function: Any) -> str:
    configured = (getattr(function, "logging_config", None) or {}).get("LogGroup")
    return str(configured or f"/aws/lambda/{function.function_name}")


def _network_interface_calls(region: str, vpc_config: dict[str, Any]) -> list[tuple[str, str]]:
    """What Lambda does with the role for a function in a VPC: action and resource of each call."""
    subnets = vpc_config.get("SubnetIds") or []
    if not subnets:
        return []
    place = f"arn:aws:ec2:{region}:{ACCOUNT_ID}"
    interface = f"{place}:network-interface/eni-00000000000000000"
    created = [f"{place}:subnet/{name}" for name in subnets]
    created += [f"{place}:security-group/{name}" for name in vpc_config.get("SecurityGroupIds") or []]
    return [
        *(("ec2:CreateNetworkInterface", resource) for resource in [*created, interface]),
        ("ec2:DescribeNetworkInterfaces", "*"),
        ("ec2:DeleteNetworkInterface", interface),
    ]
