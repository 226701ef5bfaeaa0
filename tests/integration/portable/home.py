"""An environment of the stand-in with the metadata DAGs, that can be lost and made anew in any version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from botocore.exceptions import ClientError
from cryptography.fernet import Fernet
from psycopg2 import sql

from tests.integration.engine.portable_content import Content, read_content
from tests.integration.local_mwaa.conftest import NAME, REGION, Surroundings
from tests.waiting import until

ROOT = Path(__file__).parents[3]
SNAPSHOTS = "under-test-snapshots"
LEASE = "lease"
#: Takes from a task what says where the database is, as an installation may that gives its tasks none of it.
WITHHOLD = """import os
for _name in [n for n in os.environ if n.startswith(("MWAA__DB__", "AIRFLOW__CELERY__", "DB_SECRETS", "POSTGRES_"))]:
    del os.environ[_name]
"""


@dataclass
class Home:
    """What outlives an environment of this name: buckets, key, lease table; and what is inside of the one there is."""

    surroundings: Surroundings
    key: str

    @classmethod
    def make(cls, surroundings: Surroundings) -> Home:
        """Buckets, key, lease table, and what the execution role may do with them."""
        s3, kms, iam = (surroundings.client(service) for service in ("s3", "kms", "iam"))
        s3.create_bucket(Bucket=SNAPSHOTS, CreateBucketConfiguration={"LocationConstraint": REGION})
        key = kms.create_key()["KeyMetadata"]["Arn"]
        surroundings.client("dynamodb").create_table(
            TableName=LEASE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        grants = {
            "s3:*": "*",
            "kms:*": key,
            "dynamodb:*": "*",
            "airflow:InvokeRestApi": f"arn:aws:airflow:{REGION}:123456789012:role/{NAME}/Op",
        }
        statements = [{"Effect": "Allow", "Action": action, "Resource": on} for action, on in grants.items()]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName="under-test", PolicyName="continuity", PolicyDocument=policy)
        return cls(surroundings, key)

    def put_dags(self, *workload: Path, withhold: bool = False) -> None:
        """Replace the DAG folder: the metadata DAGs, and these files."""
        s3 = self.surroundings.client("s3")
        listed = s3.list_objects_v2(Bucket=self.surroundings.bucket, Prefix="dags/").get("Contents", [])
        wanted = {f"dags/{path.name}": path.read_bytes() for path in workload}
        for path in (*(ROOT / "dags").rglob("*.py"), *(ROOT / "dags").rglob(".airflowignore")):
            wanted[f"dags/{path.relative_to(ROOT / 'dags')}"] = path.read_bytes()
        if withhold:
            wanted["dags/continuity/__init__.py"] += WITHHOLD.encode()
        settings = {
            "environment": NAME,
            "region": REGION,
            "snapshot_bucket": SNAPSHOTS,
            "kms_key": self.key,
            "lease_table": LEASE,
        }
        wanted[f"dags/continuity/settings.{REGION}.json"] = json.dumps(settings).encode()
        for key in {entry["Key"] for entry in listed} - wanted.keys():
            s3.delete_object(Bucket=self.surroundings.bucket, Key=key)
        for key, body in wanted.items():
            s3.put_object(Bucket=self.surroundings.bucket, Key=key, Body=body)

    def create(self, version: str) -> None:
        """Create the environment and wait until its metadata DAGs can be started."""
        mwaa = self.surroundings.client("mwaa")
        mwaa.create_environment(Name=NAME, **{**self.surroundings.document, "AirflowVersion": version})
        until("environment", lambda: self._status() == "AVAILABLE", 300)
        for dag_id in ("continuity_snapshot", "continuity_restore", "continuity_go_live"):
            self.wait_for_dag(dag_id)

    def lose(self) -> None:
        """Delete the environment with its database and its Fernet key."""
        self.surroundings.client("mwaa").delete_environment(Name=NAME)
        until("no environment", lambda: self._status() is None, 120)

    def wait_for_dag(self, dag_id: str) -> None:
        """Until it is parsed: its serialized form may be there before its row, which the same parse writes last."""
        parsed = "SELECT 1 FROM dag JOIN serialized_dag USING (dag_id) WHERE dag_id = %s"
        until(f"{dag_id} is parsed", lambda: self.ask(parsed, dag_id), 300)

    def set_paused(self, paused: Mapping[str, bool]) -> None:
        """Set the paused flags of these DAGs, once they are parsed."""
        for dag_id, flag in paused.items():
            self.wait_for_dag(dag_id)
            self.ask("UPDATE dag SET is_paused = %s WHERE dag_id = %s", flag, dag_id)

    def run(self, dag_id: str, run_id: str, **conf: Any) -> tuple[str, dict[str, Any]]:
        """Run a metadata DAG; its state and what its tasks returned, by task."""
        body: dict[str, Any] = {"dag_run_id": run_id, "conf": conf}
        if self.major == 3:
            body["logical_date"] = None
        self.surroundings.client("mwaa").invoke_rest_api(
            Name=NAME, Method="POST", Path=f"/dags/{dag_id}/dagRuns", Body=body
        )
        ended = "SELECT state FROM dag_run WHERE run_id = %s AND state IN ('success', 'failed')"
        ((state,),) = until(f"{dag_id} has ended", lambda: self.ask(ended, run_id), 300)
        told = "SELECT task_id, value FROM xcom WHERE run_id = %s AND key = 'return_value'"
        answers = {
            task: json.loads(bytes(value)) if self.major == 2 else value for task, value in self.ask(told, run_id)
        }
        return str(state), {task: json.loads(v) if isinstance(v, str) else v for task, v in answers.items()}

    def content(self) -> Content:
        return read_content(self.dsn, self.fernet_key)

    def ask(self, query: str | sql.Composable, *values: Any) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []

    @property
    def major(self) -> int:
        return int(self._inside["airflow_version"].split(".")[0])

    @property
    def dsn(self) -> str:
        return str(self._inside["database_url"]).replace("+psycopg2", "")

    @property
    def fernet_key(self) -> str:
        return str(self._inside["fernet_key"])

    @property
    def fernet(self) -> Fernet:
        return Fernet(self.fernet_key)

    def unsealed_rows(self) -> dict[str, str]:
        """Every row of every table in which Airflow keeps no secret, as text."""
        tables = self.ask(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN (%s, %s)",
            *("connection", "variable"),
        )
        shown = sql.SQL("SELECT found::text FROM {} found")
        return {name: "\n".join(row[0] for row in self.ask(shown.format(sql.Identifier(name)))) for (name,) in tables}

    def logs(self) -> str:
        """Everything that this environment wrote into its log folder."""
        folder = Path(self._inside["log_dir"])
        return "\n".join(path.read_text(errors="replace") for path in sorted(folder.rglob("*.log")))

    def wait_until_given(self) -> None:
        """Until its tasks have what says where the database is, after it was withheld."""
        package = Path(self._inside["log_dir"]).parent / "dags" / "continuity" / "__init__.py"
        until("the metadata DAGs", lambda: WITHHOLD not in package.read_text(), 120)

    def log_of(self, run_id: str) -> str:
        """What the tasks of one run logged."""
        folder = Path(self._inside["log_dir"])
        return "\n".join(path.read_text() for path in sorted(folder.rglob(f"run_id={run_id}/**/*.log")))

    def stored(self) -> dict[str, bytes]:
        """Every object of the snapshot bucket."""
        s3 = self.surroundings.client("s3")
        keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=SNAPSHOTS).get("Contents", [])]
        return {key: s3.get_object(Bucket=SNAPSHOTS, Key=key)["Body"].read() for key in keys}

    @property
    def _inside(self) -> dict[str, Any]:
        inside = self.surroundings.inside()
        assert inside is not None
        return inside

    def _status(self) -> str | None:
        try:
            return str(self.surroundings.client("mwaa").get_environment(Name=NAME)["Environment"]["Status"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
