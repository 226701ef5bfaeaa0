"""pytest fixtures that run the stand-in in a process of its own (`pytest_plugins = ["tests.local_aws.fixtures"]`)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

from tests.local_aws.client_env import (
    ADMIN_ACCESS_KEY,
    ADMIN_SECRET_KEY,
    S3_CONTROL_ENDPOINT,
    boto_env,
    machine_env,
    terraform_env,
)

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class DidNotStart(RuntimeError):
    """The stand-in ended, or did not answer in time; the message holds what it printed."""


@dataclass
class RunningStandIn:
    """A stand-in in another process."""

    port: int
    state_dir: Path
    process: subprocess.Popen[bytes]
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Address of the stand-in."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """Environment variables for boto3 in another process, as the account's administrator."""
        return boto_env(self.port)

    @property
    def terraform_env(self) -> dict[str, str]:
        """Environment variables for Terraform."""
        return terraform_env(self.port)

    def client(self, service: str, region: str = "us-east-1", **credentials: str) -> Any:
        """A boto3 client of the administrator, or of the session whose `aws_access_key_id`, ... are given."""
        if not credentials and (service, region) in self._clients:
            return self._clients[service, region]
        keys = credentials or {"aws_access_key_id": ADMIN_ACCESS_KEY, "aws_secret_access_key": ADMIN_SECRET_KEY}
        config = Config(
            inject_host_prefix=False,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            proxies={"http": self.url} if service == "s3control" else None,
        )
        endpoint = S3_CONTROL_ENDPOINT if service == "s3control" else self.url
        client = boto3.client(service, region_name=region, endpoint_url=endpoint, config=config, **keys)
        if not credentials:
            self._clients[service, region] = client
        return client

    def get(self, what: str) -> Any:
        """JSON of `GET /_local/<what>`."""
        answer = requests.get(f"{self.url}/_local/{what}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def post(self, what: str, **body: Any) -> Any:
        """JSON of `POST /_local/<what>`; an answer that is no success raises requests.HTTPError."""
        answer = requests.post(f"{self.url}/_local/{what}", json=body, timeout=120)
        answer.raise_for_status()
        return answer.json()

    def delete(self, what: str) -> Any:
        """JSON of `DELETE /_local/<what>`."""
        answer = requests.delete(f"{self.url}/_local/{what}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def events(self, kind: str, **detail: Any) -> list[dict[str, Any]]:
        """Events of the time line of one kind whose members have the values given."""
        return [e for e in self.get("events") if e["kind"] == kind and all(e.get(k) == v for k, v in detail.items())]

    def stop(self) -> None:
        """Stop it as a user would, and by force when it does not listen."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def start_stand_in(state_dir: Path, *arguments: str) -> RunningStandIn:
    """Start a stand-in on a free port, with its state below `state_dir`; raises DidNotStart."""
    state_dir.mkdir(parents=True, exist_ok=True)
    port_file, output = state_dir / "port", state_dir / "output.log"
    command = [sys.executable, "-m", "tests.local_aws", "serve", "--port", "0", "--state", str(state_dir), *arguments]
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env=machine_env(),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while not port_file.exists() or not port_file.read_text().strip():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise DidNotStart(output.read_text(errors="replace"))
        time.sleep(0.05)
    return RunningStandIn(int(port_file.read_text()), state_dir, process)


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStandIn]:
    """A stand-in that all tests of the session share."""
    running = start_stand_in(tmp_path_factory.mktemp("local_aws"))
    yield running
    running.stop()
