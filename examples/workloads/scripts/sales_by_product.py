"""Glue job: orders and revenue by product, from what orders_to_parquet wrote."""

from __future__ import annotations

import argparse

from pyspark.sql import SparkSession
from pyspark.sql import functions as f


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    arguments, _ = parser.parse_known_args()

    spark = SparkSession.builder.appName("sales_by_product").getOrCreate()
    revenue = (f.col("quantity") * f.col("price")).cast("decimal(18,2)")
    sales = (
        spark.read.parquet(arguments.source)
        .groupBy("product")
        .agg(f.count("*").alias("orders"), f.sum(revenue).cast("decimal(18,2)").alias("revenue"))
    )
    sales.coalesce(1).write.mode("overwrite").parquet(arguments.target)


if __name__ == "__main__":
    main()
