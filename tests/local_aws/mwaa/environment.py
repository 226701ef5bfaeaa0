"""One environment: what was asked for, its status, and how GetEnvironment shows it."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.local_aws.contract import ACCOUNT_ID

#: Option of LoggingConfiguration -> last part of the log group's name.
LOG_GROUPS = {
    "DagProcessingLogs": "DAGProcessing",
    "SchedulerLogs": "Scheduler",
    "TaskLogs": "Task",
    "WebserverLogs": "WebServer",
    "WorkerLogs": "Worker",
}
_SERVICE_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/airflow.amazonaws.com/AWSServiceRoleForAmazonMWAA"
_LOGGING_OFF = {"Enabled": False, "LogLevel": "INFO"}


def environment_arn(region: str, name: str) -> str:
    """ARN of an environment."""
    return f"arn:aws:airflow:{region}:{ACCOUNT_ID}:environment/{name}"


@dataclass
class Environment:
    """State of one environment; `lock` guards document, status and last_update."""

    region: str
    name: str
    document: dict[str, Any]  #: complete CreateEnvironment document, without Name and Tags
    fernet_key: str
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "CREATING"
    last_update: dict[str, Any] | None = None
    created_at: float = field(default_factory=time.time)
    environment_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    database_name: str = field(default_factory=lambda: f"airflow_{secrets.token_hex(4)}")
    database_url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def arn(self) -> str:
        """ARN of this environment."""
        return environment_arn(self.region, self.name)

    @property
    def bucket(self) -> str:
        """Name of the DAG bucket."""
        return str(self.document["SourceBucketArn"]).rsplit(":", 1)[-1]

    @property
    def hostname(self) -> str:
        """Name of the web server as AWS would make it; it resolves nowhere."""
        return f"{self.environment_id}.c0.{self.region}.airflow.amazonaws.com"

    def set_status(self, status: str, error: tuple[str, str] | None = None) -> None:
        """Change the status; an update under way succeeds, or fails with (code, message)."""
        with self.lock:
            self.status = status
            if error:
                base = self.last_update or {"CreatedAt": time.time(), "Source": "mwaa"}
                message = error[1][:1024]
                self.last_update = {
                    **base,
                    "Status": "FAILED",
                    "Error": {"ErrorCode": error[0], "ErrorMessage": message},
                }
            elif self.last_update and self.last_update["Status"] == "PENDING" and status != "UPDATING":
                self.last_update = {**self.last_update, "Status": "SUCCESS"}

    def begin_update(self, document: dict[str, Any], strategy: str | None) -> None:
        """Take over a new document and start to be UPDATING."""
        with self.lock:
            self.document = document
            self.status = "UPDATING"
            self.last_update = {"Status": "PENDING", "CreatedAt": time.time(), "Source": "customer"}
            if strategy:
                self.last_update["WorkerReplacementStrategy"] = strategy

    def describe(self) -> dict[str, Any]:
        """The environment as GetEnvironment answers it; timestamps in epoch seconds."""
        with self.lock:
            shown = {
                **self.document,
                "Name": self.name,
                "Status": self.status,
                "Arn": self.arn,
                "CreatedAt": self.created_at,
                "WebserverUrl": self.hostname,
                "ServiceRoleArn": _SERVICE_ROLE,
                "LoggingConfiguration": self._logging(),
                "CeleryExecutorQueue": f"arn:aws:sqs:{self.region}:{ACCOUNT_ID}:airflow-celery-{self.environment_id}",
                "DatabaseVpcEndpointService": self._endpoint_service("database"),
                "WebserverVpcEndpointService": self._endpoint_service("webserver"),
                "Tags": dict(self.tags),
            }
            if self.last_update:
                shown["LastUpdate"] = self.last_update
            return shown

    def log_group(self, option: str) -> str:
        """Name of the log group behind an option of LoggingConfiguration."""
        return f"airflow-{self.name}-{LOG_GROUPS[option]}"

    def _logging(self) -> dict[str, Any]:
        asked = self.document.get("LoggingConfiguration", {})
        arn = f"arn:aws:logs:{self.region}:{ACCOUNT_ID}:log-group:"
        return {
            option: {**_LOGGING_OFF, **asked.get(option, {}), "CloudWatchLogGroupArn": arn + self.log_group(option)}
            for option in LOG_GROUPS
        }

    def _endpoint_service(self, what: str) -> str:
        number = uuid.uuid5(uuid.UUID(self.environment_id), what).hex[:17]
        return f"com.amazonaws.vpce.{self.region}.vpce-svc-{number}"
