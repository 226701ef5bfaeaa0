"""Glue job: orders as CSV (with a header) to Parquet, typed; rows without an id or a number for a price are refused."""

from __future__ import annotations

import argparse

from pyspark.sql import SparkSession
from pyspark.sql import functions as f


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    # Glue adds arguments of its own.
    arguments, _ = parser.parse_known_args()

    spark = SparkSession.builder.appName("orders_to_parquet").getOrCreate()
    raw = spark.read.option("header", "true").csv(arguments.source)
    orders = raw.select(
        f.col("order_id"),
        f.col("product"),
        f.col("quantity").cast("int").alias("quantity"),
        f.col("price").cast("decimal(18,2)").alias("price"),
    )
    good = orders.where(f.col("order_id").isNotNull() & f.col("quantity").isNotNull() & f.col("price").isNotNull())
    good.dropDuplicates(["order_id"]).write.mode("overwrite").parquet(arguments.target)


if __name__ == "__main__":
    main()
