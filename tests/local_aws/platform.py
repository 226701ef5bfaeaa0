"""The common ground of every part of the stand-in: address, folders, time line, sessions, outages, faults."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.local_aws.authz.authorizer import Authorizer
from tests.local_aws.client_env import ADMIN_ACCESS_KEY, ADMIN_SECRET_KEY
from tests.local_aws.faults import Faults
from tests.local_aws.outage import Outages
from tests.local_aws.sessions import Session, assume_as_service
from tests.local_aws.timeline import Timeline

#: The service that hands an environment's workers their execution-role credentials.
_MWAA_PRINCIPAL = "airflow-env.amazonaws.com"


class LocalPlatform:
    """Implements `contract.Platform`."""

    def __init__(self, port: int, state_dir: Path, airflow_home: Path) -> None:
        self.port = port
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.state_dir = state_dir
        self.airflow_home = airflow_home
        self.log_dir = state_dir / "log"
        self.timeline = Timeline(self.log_dir / "events.jsonl")
        self.authorizer = Authorizer(self.log_dir / "authz.jsonl")
        self.outages = Outages()
        self.faults = Faults()
        self.stopping = threading.Event()
        self._clients: dict[tuple[str, str], Any] = {}
        self._client_lock = threading.Lock()

    def credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        """Environment variables of a new session of an environment's execution role; raises RoleCannotBeAssumed."""
        return assume_as_service(role_arn, _MWAA_PRINCIPAL, session_name).environment()

    def client(self, service: str, region: str) -> Any:
        """A boto3 client of the account's administrator. Clients are shared between threads."""
        with self._client_lock:
            if (service, region) not in self._clients:
                admin = Session("", ADMIN_ACCESS_KEY, ADMIN_SECRET_KEY, "")
                self._clients[service, region] = self._new_client(service, region, admin)
            return self._clients[service, region]

    def session_client(self, service: str, region: str, session: Session) -> Any:
        """A boto3 client under a role's session: its calls are checked."""
        with self._client_lock:
            return self._new_client(service, region, session)

    def _new_client(self, service: str, region: str, session: Session) -> Any:
        arguments = {key: value for key, value in session.client_arguments().items() if value}
        config = Config(
            inject_host_prefix=False,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            parameter_validation=False,
            max_pool_connections=50,
        )
        return boto3.session.Session().client(
            service, region_name=region, endpoint_url=self.endpoint_url, config=config, **arguments
        )

    def record(self, kind: str, region: str, **detail: Any) -> None:
        """Add a line to the time line."""
        self.timeline.record(kind, region, **detail)

    def is_down(self, region: str) -> bool:
        """Whether the Region is switched off."""
        return self.outages.is_down(region)
