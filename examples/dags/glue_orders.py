"""Glue: the day's orders from CSV to Parquet, then sales by product of that day. Both jobs are made by Terraform."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
from workload_settings import dag, setting


@dag(
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"day": "2026-01-31"},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "execution_timeout": timedelta(hours=1)},
)
def glue_orders() -> None:
    lake = f"s3://{setting('lake.bucket')}"
    to_parquet = GlueJobOperator(
        task_id="to_parquet",
        job_name=setting("lake.parquet_job"),
        script_args={
            "--source": f"{lake}/landing/orders/day={{{{ params.day }}}}/",
            "--target": f"{lake}/orders/day={{{{ params.day }}}}/",
        },
        deferrable=True,
    )
    by_product = GlueJobOperator(
        task_id="by_product",
        job_name=setting("lake.sales_job"),
        script_args={
            "--source": f"{lake}/orders/day={{{{ params.day }}}}/",
            "--target": f"{lake}/sales/day={{{{ params.day }}}}/",
        },
        deferrable=True,
    )
    to_parquet >> by_product


glue_orders()
