"""A DAG that tells what a worker sees."""

from __future__ import annotations

import json
import os
from datetime import datetime

import boto3
import psycopg2
from airflow.configuration import conf
from airflow.decorators import dag, task


def _database() -> str:
    """The name of the metadata database, read from it by way of what MWAA tells every process."""
    who = json.loads(os.environ["MWAA__DB__CREDENTIALS"])
    connection = psycopg2.connect(
        user=who["username"],
        password=who["password"],
        host=os.environ["MWAA__DB__POSTGRES_HOST"],
        port=os.environ["MWAA__DB__POSTGRES_PORT"],
        dbname=os.environ["MWAA__DB__POSTGRES_DB"],
        sslmode=os.environ["MWAA__DB__POSTGRES_SSLMODE"],
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database() FROM alembic_version")
            (name,) = cursor.fetchone()
    finally:
        connection.close()
    return str(name)


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False)
def look_around() -> None:
    """One task, whose answer goes to XCom."""

    @task
    def look() -> dict[str, str]:
        return {
            "environment": os.environ["AIRFLOW_ENV_NAME"],
            "region": os.environ["AWS_REGION"],
            "role": boto3.client("sts").get_caller_identity()["Arn"],
            "retries": conf.get("core", "default_task_retries"),
            "database": _database(),
            "secret": os.environ.get("LOCAL_AWS_TOKEN_SECRET", "none"),
        }

    look()


look_around()
