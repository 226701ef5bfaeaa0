"""Athena: a table over the sales that glue_orders writes, and the best products of a month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from workload_settings import dag, setting

# Days are found by their path: no crawler, and no partitions to add.
TABLE = """
CREATE EXTERNAL TABLE IF NOT EXISTS sales (product string, orders bigint, revenue decimal(18, 2))
PARTITIONED BY (day date)
STORED AS PARQUET
LOCATION '{location}'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy-MM-dd',
  'projection.day.range' = '2024-01-01,NOW',
  'storage.location.template' = '{location}day=${{day}}/'
)
"""

BEST = """
SELECT product, sum(orders) AS orders, sum(revenue) AS revenue
FROM sales
WHERE day BETWEEN date '{{ params.month }}-01' AND last_day_of_month(date '{{ params.month }}-01')
GROUP BY product
ORDER BY revenue DESC
LIMIT 10
"""


@dag(
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"month": "2026-01"},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1), "execution_timeout": timedelta(minutes=30)},
)
def athena_sales() -> None:
    lake = f"s3://{setting('lake.bucket')}"
    where = {
        "database": setting("lake.database"),
        "workgroup": setting("lake.workgroup"),
        "output_location": f"{lake}/results/",
        "deferrable": True,
        "sleep_time": 5,
    }
    table = AthenaOperator(task_id="table", query=TABLE.format(location=f"{lake}/sales/"), **where)
    best = AthenaOperator(task_id="best", query=BEST, **where)
    table >> best


athena_sales()
