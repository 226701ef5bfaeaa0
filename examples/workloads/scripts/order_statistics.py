"""EMR step: how many orders of each size a day had."""

from __future__ import annotations

import argparse

from pyspark.sql import SparkSession


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    arguments = parser.parse_args()

    spark = SparkSession.builder.appName("order_statistics").getOrCreate()
    orders = spark.read.parquet(arguments.source)
    orders.groupBy("quantity").count().coalesce(1).write.mode("overwrite").parquet(arguments.target)


if __name__ == "__main__":
    main()
