"""What the parts of the stand-in ask of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

ACCOUNT_ID = "123456789012"

#: WSGI environ key in which the authorizer tells the MWAA service which Airflow roles ("Admin", "Op", "User", "Viewer",
#: "Public") the caller of InvokeRestApi, CreateCliToken or CreateWebLoginToken may take on. Missing: the caller is the
#: account's administrator.
PERMITTED_AIRFLOW_ROLES = "local_aws.permitted_airflow_roles"

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Platform(Protocol):
    """The part of the stand-in that every service in it may use."""

    endpoint_url: str  #: http://127.0.0.1:PORT, the address of every AWS service
    state_dir: Path  #: everything the stand-in writes is below this folder
    airflow_home: Path  #: Airflow's virtual environments, one per version: <airflow_home>/<version>/bin/airflow

    def credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        """Environment variables (AWS_ACCESS_KEY_ID, ...) of a new session of the role."""

    def client(self, service: str, region: str) -> Any:
        """A boto3 client of the account's administrator."""

    def record(self, kind: str, region: str, **detail: Any) -> None:
        """Add a line to the time line that `GET /_local/events` shows."""

    def is_down(self, region: str) -> bool:
        """Whether the Region is switched off."""


class Service(Protocol):
    """A service that the stand-in adds to moto (`tests.local_aws.mwaa.MwaaService(platform)`)."""

    app: WsgiApp

    def set_outage(self, region: str, down: bool) -> None:
        """Kill (SIGKILL) what runs in the Region, or start again what does not run."""

    def regions_of(self, execution_role: str) -> frozenset[str]:
        """Regions in which an environment runs under the role."""

    def environments(self) -> list[dict[str, Any]]:
        """What `GET /_local/environments` shows.

        Members: region, name, status, airflow_version, web_url, database_url, fernet_key, log_dir, pids.
        """

    def stop(self) -> None:
        """Stop every process this service started."""
