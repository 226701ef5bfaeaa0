"""The way of the public AWS sample, from its description: every table fetched through the driver row by row, written as
uncompressed CSV, copied back table by table."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from typing import Any, TextIO

from psycopg2 import sql

from tests.bench.generate import FILLED

BATCH = 1000
FILE_IN_MEMORY = 8 * 1024 * 1024


def snapshot(connection: Any, s3: Any, bucket: str, prefix: str) -> int:
    """Write one CSV object a table; returns their bytes."""
    return sum(_write(connection, s3, bucket, f"{prefix}{table}.csv", table) for table in FILLED)


def restore(connection: Any, s3: Any, bucket: str, prefix: str) -> None:
    """Copy the objects back into tables that hold none of their rows."""
    for table in FILLED:
        with connection, connection.cursor() as cursor, tempfile.TemporaryFile() as file:
            shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=f"{prefix}{table}.csv")["Body"], file)
            file.seek(0)
            statement = sql.SQL("COPY {} FROM STDIN (FORMAT csv, NULL '\\N')").format(sql.Identifier(table))
            cursor.copy_expert(statement, file)


def _write(connection: Any, s3: Any, bucket: str, key: str, table: str) -> int:
    with tempfile.SpooledTemporaryFile(FILE_IN_MEMORY) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        _rows_as_csv(connection, table, text)
        text.detach()
        size = file.tell()
        file.seek(0)
        s3.upload_fileobj(file, bucket, key)
    return size


def _rows_as_csv(connection: Any, table: str, text: TextIO) -> None:
    """NULL is written as \\N without quotes, everything else in quotes."""
    with connection, connection.cursor(name=f"row_wise_{table}") as cursor:
        cursor.itersize = BATCH
        cursor.execute(sql.SQL("SELECT {} FROM {}").format(_columns_as_text(connection, table), sql.Identifier(table)))
        writer = csv.writer(text, quoting=csv.QUOTE_MINIMAL)
        for row in cursor:
            writer.writerow(["\\N" if value is None else value for value in row])


def _columns_as_text(connection: Any, table: str) -> sql.Composed:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(table)))
        names = [column.name for column in cursor.description]
    return sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names)
