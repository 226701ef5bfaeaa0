"""`make local DAGS=path AIRFLOW=version`: your DAGs on a local MWAA, followed live until Ctrl-C.

    python -m tests.local_aws.local --dags PATH [--airflow 2.10.3]

Starts the stand-in for AWS with one bucket, one role and one environment, uploads the folder to the bucket as you save,
and tells of DAGs that cannot be imported. Nothing survives its end.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from tests.local_aws.airflow_command import AirflowCommandFailed, run_airflow
from tests.local_aws.client_env import ADMIN_ACCESS_KEY, ADMIN_SECRET_KEY

ROOT = Path(__file__).resolve().parents[2]
REGION, NAME, BUCKET, DAG_FOLDER = "us-east-1", "local", "local-dags", "dags"
USER = "admin"
_START_SECONDS = 60.0
_FOLLOW_SECONDS = 1.0
_IMPORT_ERROR_SECONDS = 5.0
_SKIPPED_FOLDERS = frozenset({"__pycache__", ".git", ".venv", "venv", "node_modules"})
_TRUST = {"Service": ["airflow.amazonaws.com", "airflow-env.amazonaws.com"]}
_GRANTS = {
    "s3:ListBucket": f"arn:aws:s3:::{BUCKET}",
    "s3:GetObject": f"arn:aws:s3:::{BUCKET}/*",
    "cloudwatch:PutMetricData": "*",
}


class CannotRun(Exception):
    """What was asked for cannot be run; the message names the option or the part that failed."""


class Folder:
    """The user's DAG folder and its copy in the bucket."""

    def __init__(self, folder: Path, s3: Any) -> None:
        self._folder = folder
        self._s3 = s3
        self._known: dict[PurePosixPath, tuple[int, int]] = {}

    def upload(self) -> list[str]:
        """Bring the bucket in step with the folder; returns a line per change."""
        found = self._files()
        changes = []
        for path, stamp in found.items():
            if self._known.get(path) == stamp:
                continue
            try:
                body = (self._folder / path).read_bytes()
            except FileNotFoundError:
                continue  # an editor replaced it meanwhile; the next look sees what is there then
            self._s3.put_object(Bucket=BUCKET, Key=f"{DAG_FOLDER}/{path}", Body=body)
            changes.append(f"{'changed' if path in self._known else 'new'}  {path}")
            self._known[path] = stamp
        for path in [path for path in self._known if path not in found]:
            self._s3.delete_object(Bucket=BUCKET, Key=f"{DAG_FOLDER}/{path}")
            del self._known[path]
            changes.append(f"deleted  {path}")
        return changes

    def _files(self) -> dict[PurePosixPath, tuple[int, int]]:
        found = {}
        for path in sorted(self._folder.rglob("*")):
            relative = PurePosixPath(path.relative_to(self._folder).as_posix())
            if _SKIPPED_FOLDERS.isdisjoint(relative.parts) and path.is_file():
                status = path.stat()
                found[relative] = (status.st_mtime_ns, status.st_size)
        return found


class LocalMwaa:
    """One environment on a stand-in of its own."""

    def __init__(self, port: int, airflow_version: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.version = airflow_version
        self.mwaa = self.client("mwaa")

    def client(self, service: str) -> Any:
        """A boto3 client of the stand-in's administrator."""
        session: Any = boto3.session.Session()  # its typed overloads want the name of the service as a literal
        return session.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=ADMIN_ACCESS_KEY,
            aws_secret_access_key=ADMIN_SECRET_KEY,
            config=Config(inject_host_prefix=False, s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        )

    def make_bucket(self) -> Any:
        """Create the DAG bucket as MWAA wants it; returns the S3 client."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        flags = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(flags, True))
        return s3

    def create_environment(self) -> None:
        """Create role, network and environment, and return when it is AVAILABLE; raises CannotRun."""
        self.mwaa.create_environment(
            Name=NAME,
            AirflowVersion=self.version,
            SourceBucketArn=f"arn:aws:s3:::{BUCKET}",
            DagS3Path=DAG_FOLDER,
            ExecutionRoleArn=self._make_role(),
            NetworkConfiguration=self._make_network(),
        )
        while (environment := self.mwaa.get_environment(Name=NAME)["Environment"])["Status"] == "CREATING":
            time.sleep(0.3)
        if environment["Status"] != "AVAILABLE":
            raise CannotRun(environment.get("LastUpdate", {}).get("Error", {}).get("ErrorMessage", "creation failed"))

    def make_user(self, password: str) -> None:
        """Create a person's login by Airflow's own command, which asks for the password twice; raises CannotRun."""
        person = ("--username", USER, "--firstname", "Local", "--lastname", "Admin", "--email", f"{USER}@localhost")
        inside = self.inside()
        try:
            run_airflow(
                self.version,
                inside["database_url"],
                inside["fernet_key"],
                *("users", "create", "--role", "Admin", *person),
                answers=[password, password],
            )
        except AirflowCommandFailed as error:
            raise CannotRun(f"no login could be made: {error}") from error

    def inside(self) -> dict[str, Any]:
        """What the stand-in shows of the environment."""
        answer = requests.get(f"{self.url}/_local/environments", timeout=30)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found[0]

    def import_errors(self) -> dict[str, str]:
        """File (as named in the folder) -> error of every DAG file that Airflow cannot import.

        Airflow 2 tells whole paths, Airflow 3 names below the folder.
        """
        answer = self.mwaa.invoke_rest_api(Name=NAME, Method="GET", Path="/importErrors")["RestApiResponse"]
        return {
            error["filename"].rpartition(f"/{DAG_FOLDER}/")[2]: error["stack_trace"]
            for error in answer["import_errors"]
        }

    def _make_role(self) -> str:
        iam = self.client("iam")
        trust = _policy([{"Effect": "Allow", "Principal": _TRUST, "Action": "sts:AssumeRole"}])
        role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        grants = [{"Effect": "Allow", "Action": action, "Resource": on} for action, on in _GRANTS.items()]
        iam.put_role_policy(RoleName=NAME, PolicyName="airflow", PolicyDocument=_policy(grants))
        return str(role)

    def _make_network(self) -> dict[str, list[str]]:
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]
            for number, zone in enumerate("ab")
        ]
        group = ec2.create_security_group(GroupName=NAME, Description=NAME, VpcId=vpc)["GroupId"]
        return {"SubnetIds": [subnet["SubnetId"] for subnet in subnets], "SecurityGroupIds": [group]}


def _policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@contextmanager
def running_stand_in(state_dir: Path, airflow_version: str) -> Iterator[int]:
    """A stand-in in a session of its own, so that Ctrl-C reaches only us; yields its port. Raises CannotRun."""
    command = [sys.executable, "-m", "tests.local_aws", "serve", "--port", "0"]
    command += ["--state", str(state_dir), "--airflow", airflow_version]
    output = state_dir / "output.log"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        yield _wait_for_port(process, state_dir / "port", output)
    finally:
        process.terminate()
        process.wait()


def _wait_for_port(process: subprocess.Popen[bytes], port_file: Path, output: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while not (port_file.exists() and port_file.read_text().strip()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise CannotRun(f"the stand-in did not start: {output.read_text(errors='replace').strip()[-2000:]}")
        time.sleep(0.05)
    return int(port_file.read_text())


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(f"{what} ..."):
        yield
    console.print(f"  [green]ok[/]  {what} [dim]{time.monotonic() - started:.1f} s[/]")


def _greet(console: Console, local: LocalMwaa, folder: Path, password: str) -> None:
    inside = local.inside()
    rows = {
        "Airflow": f"[bold]{inside['web_url']}[/]",
        "user": USER,
        "password": password,
        "DAG folder": f"{folder} [dim](followed; new DAGs are paused, as on MWAA)[/]",
        "task logs": inside["log_dir"],
        "AWS": f"AWS_ENDPOINT_URL={local.url} [dim](region {REGION}, environment {NAME})[/]",
    }
    console.print()
    for name, value in rows.items():
        console.print(f"  {name:<11} {value}", soft_wrap=True, highlight=False)
    console.print("\n  Ctrl-C stops it and removes everything.\n")


def _follow(console: Console, local: LocalMwaa, folder: Folder, stop: threading.Event) -> None:
    told: dict[str, str] = {}
    look_at = time.monotonic()
    while not stop.wait(_FOLLOW_SECONDS):
        for change in folder.upload():
            console.print(f"  [dim]{time.strftime('%H:%M:%S')}[/]  {change}", highlight=False)
        if time.monotonic() < look_at:
            continue
        look_at = time.monotonic() + _IMPORT_ERROR_SECONDS
        errors = local.import_errors()
        for file, trace in errors.items():
            if told.get(file) != trace:
                console.print(f"  [red]cannot import[/] {file}", highlight=False)
                console.print(trace.strip(), style="dim", markup=False, highlight=False, soft_wrap=True)
        for file in told.keys() - errors.keys():
            console.print(f"  [green]imports again[/] {file}", highlight=False)
        told = errors


def run(dags: Path, airflow_version: str, console: Console, stop: threading.Event) -> None:
    """Run until `stop` is set or KeyboardInterrupt is raised; raises CannotRun."""
    with tempfile.TemporaryDirectory(prefix="mwaa-local-") as scratch:
        state_dir = Path(scratch)
        state_dir.chmod(0o755)  # PostgreSQL runs as another user
        with running_stand_in(state_dir, airflow_version) as port:
            local = LocalMwaa(port, airflow_version)
            folder = Folder(dags, local.make_bucket())
            with _step(console, f"upload {dags}"):
                uploaded = len(folder.upload())
            console.print(f"      {uploaded} files")
            with _step(console, f"Airflow {airflow_version}"):
                local.create_environment()
            password = secrets.token_urlsafe(9)
            local.make_user(password)
            _greet(console, local, dags, password)
            try:
                _follow(console, local, folder, stop)
            except KeyboardInterrupt:
                console.print("  stopping ...")
                raise


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.local_aws.local", description="Your DAGs on a local MWAA.")
    parser.add_argument("--dags", type=Path, required=True, help="folder with your DAG files (make local DAGS=path)")
    parser.add_argument("--airflow", default="2.10.3", help="Airflow version (make local AIRFLOW=version)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Returns the exit code."""
    options = _arguments(argv)
    if not options.dags.is_dir():
        print(f"--dags: {options.dags} is not a folder; accepted: a folder with DAG files", file=sys.stderr)
        return 2
    console = Console()
    stop = threading.Event()

    def interrupt(*_: object) -> None:
        if stop.is_set():
            return  # it is stopping already, and must be let finish
        stop.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        run(options.dags.resolve(), options.airflow, console, stop)
    except KeyboardInterrupt:
        console.print("  stopped")
    except (CannotRun, ClientError, BotoCoreError, requests.RequestException) as error:
        console.print(f"  [red]failed[/]  {error}", markup=True, highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
