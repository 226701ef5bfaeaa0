"""A DAG that tells what a worker sees."""

from __future__ import annotations

import os
from datetime import datetime

import boto3
from airflow.configuration import conf
from airflow.decorators import dag, task


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
            "secret": os.environ.get("LOCAL_AWS_TOKEN_SECRET", "none"),
        }

    look()


look_around()
