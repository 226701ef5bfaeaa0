"""An environment as it runs: Airflow up, DAG folder in step with the bucket, beats published, Airflow down."""

from __future__ import annotations

import io
import shutil
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.local_aws.contract import Platform
from tests.local_aws.mwaa.airflow_versions import UnsupportedVersion, bin_dir_of, major_of
from tests.local_aws.mwaa.dag_sync import FolderSync
from tests.local_aws.mwaa.databases import Databases
from tests.local_aws.mwaa.environment import Environment
from tests.local_aws.mwaa.heartbeat import BeatCounter, publish
from tests.local_aws.mwaa.runner import AirflowDidNotStart, AirflowRunner, AirflowSettings
from tests.postgres import ClusterError

SYNC_SECONDS = 1.0
HEARTBEAT_SECONDS = 10.0
#: What can go wrong while an environment is brought up; anything else is a fault of the stand-in.
START_ERRORS = (
    AirflowDidNotStart,
    UnsupportedVersion,
    ClusterError,
    ClientError,
    BotoCoreError,
    PermissionError,
    OSError,
    zipfile.BadZipFile,
)


class LiveEnvironment:
    """Runs one Environment.

    `bring_up` and `take_down` belong to the thread of a transition; `kill` may come at any time.
    """

    def __init__(self, platform: Platform, databases: Databases, environment: Environment) -> None:
        self.environment = environment
        self.runner: AirflowRunner | None = None
        self._platform = platform
        self._databases = databases
        self._folder = (
            platform.state_dir / "mwaa" / environment.region / f"{environment.name}-{environment.environment_id[:8]}"
        )
        self._database_version: str | None = None
        self._generation = 0
        self._lock = threading.Lock()

    @property
    def log_dir(self) -> Path:
        """Folder of the logs of Airflow and of its tasks."""
        return self._folder / "logs"

    def bring_up(self) -> None:
        """Start Airflow on the environment's database and return when it is healthy; raises one of START_ERRORS."""
        with self._lock:
            self._generation += 1
            generation = self._generation
        settings = self._settings()
        clients = self._role_clients(settings.environment)
        self._fetch_plugins(clients["s3"], settings)
        sync = FolderSync(
            clients["s3"], self.environment.bucket, self.environment.document["DagS3Path"], settings.dags_dir
        )
        sync.run()
        runner = AirflowRunner(settings, self._record_death)
        with self._lock:
            if generation != self._generation:
                raise AirflowDidNotStart("interrupted")
            self.runner = runner
        threading.Thread(target=self._keep_in_step, args=(generation, sync), name="dag-sync", daemon=True).start()
        try:
            runner.start(lambda: generation == self._generation)
        except AirflowDidNotStart:
            runner.kill()
            raise
        beats = (generation, runner, clients["cloudwatch"])
        threading.Thread(target=self._publish_beats, args=beats, name="heartbeat", daemon=True).start()

    def kill(self) -> None:
        """SIGKILL every process of this Airflow; the database and the folders stay."""
        with self._lock:
            self._generation += 1
            runner, self.runner = self.runner, None
        if runner:
            runner.kill()

    def take_down(self) -> None:
        """Kill Airflow and delete its database and folders, the logs excepted."""
        self.kill()
        if self._database_version:
            self._databases.drop(self.environment.region, self.environment.database_name)
        for name in ("dags", "dags.arriving", "plugins"):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _settings(self) -> AirflowSettings:
        environment = self.environment
        version = environment.document["AirflowVersion"]
        major, bin_dir = major_of(version), bin_dir_of(self._platform.airflow_home, version)
        self._prepare_database(version, bin_dir)
        self._folder.mkdir(parents=True, exist_ok=True)
        return AirflowSettings(
            major=major,
            bin_dir=bin_dir,
            folder=self._folder,
            database_url=environment.database_url,
            fernet_key=environment.fernet_key,
            environment=self._worker_environment(),
            options=environment.document.get("AirflowConfigurationOptions", {}),
        )

    def _prepare_database(self, version: str, bin_dir: Path) -> None:
        environment = self.environment
        where = (environment.region, environment.database_name)
        if self._database_version is None:
            environment.database_url = self._databases.create(*where, version, bin_dir / "airflow")
        elif self._database_version != version:
            self._databases.upgrade(*where, bin_dir / "airflow", environment.fernet_key)
        self._database_version = version

    def _worker_environment(self) -> dict[str, str]:
        environment = self.environment
        session = self._platform.credentials(environment.document["ExecutionRoleArn"], "AmazonMWAA-airflow")
        return {
            "AIRFLOW_ENV_NAME": environment.name,
            "AIRFLOW_ENV_ID": environment.environment_id,
            "AWS_REGION": environment.region,
            "AWS_DEFAULT_REGION": environment.region,
            "AWS_ENDPOINT_URL": self._platform.endpoint_url,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            **session,
        }

    def _role_clients(self, worker: dict[str, str]) -> dict[str, Any]:
        config = Config(
            retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=30
        )
        return {
            service: boto3.session.Session().client(
                service,
                region_name=self.environment.region,
                endpoint_url=self._platform.endpoint_url,
                aws_access_key_id=worker["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=worker["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=worker["AWS_SESSION_TOKEN"],
                config=config,
            )
            for service in ("s3", "cloudwatch")
        }

    def _fetch_plugins(self, s3: Any, settings: AirflowSettings) -> None:
        folder = settings.folder / "plugins"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        document = self.environment.document
        if not document.get("PluginsS3Path"):
            return
        version = document.get("PluginsS3ObjectVersion")
        wanted = {"VersionId": version} if version else {}
        body = s3.get_object(Bucket=self.environment.bucket, Key=document["PluginsS3Path"], **wanted)["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            archive.extractall(folder)

    def _record_death(self, event: dict[str, Any]) -> None:
        detail = {"environment": self.environment.name, "component": event["name"], "exit_code": event["exit_code"]}
        self._platform.record("airflow_component_ended", self.environment.region, **detail)

    def _keep_in_step(self, generation: int, sync: FolderSync) -> None:
        failing = ""
        while self._goes_on(generation, SYNC_SECONDS):
            try:
                sync.run()
                failing = ""
            except (ClientError, BotoCoreError, OSError) as error:
                if failing != type(error).__name__ and generation == self._generation:
                    failing = type(error).__name__
                    self._platform.record(
                        "dag_sync_failed", self.environment.region, environment=self.environment.name, error=str(error)
                    )

    def _publish_beats(self, generation: int, runner: AirflowRunner, cloudwatch: Any) -> None:
        counter = BeatCounter(runner.settings.major)
        failing = ""
        while True:
            if new := counter.new_beats(runner.health()):
                try:
                    publish(cloudwatch, self.environment.name, new)
                    failing = ""
                except (ClientError, BotoCoreError) as error:
                    if failing != type(error).__name__ and generation == self._generation:
                        failing = type(error).__name__
                        self._platform.record(
                            "heartbeat_not_published",
                            self.environment.region,
                            environment=self.environment.name,
                            error=str(error),
                        )
            if not self._goes_on(generation, HEARTBEAT_SECONDS):
                return

    def _goes_on(self, generation: int, seconds: float) -> bool:
        """Wait, in short steps; False as soon as this run of Airflow has been killed."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and generation == self._generation:
            time.sleep(min(left, 0.25))
        return generation == self._generation
