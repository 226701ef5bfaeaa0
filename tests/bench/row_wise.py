"""The way of the public AWS sample, from its description: every table selected through SQLAlchemy, a thousand rows at a
time made into Python values, written as uncompressed CSV, sent in parts of 50 MiB, copied back table by table.

Where the sample would lose something it is made to keep it, so that what comes back is the same: no value is written as
\\N, and what Python prints in another way than PostgreSQL reads (JSON, bytes) is selected as text.
"""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from psycopg2 import sql

from tests.bench.generate import FILLED

BATCH = 1000
PART_BYTES = 50 * 1024 * 1024


def snapshot(dsn: str, s3: Any, bucket: str, prefix: str) -> int:
    """Write one CSV object a table; returns their bytes."""
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    with Session(create_engine(dsn)) as session:
        return sum(_upload(s3, bucket, f"{prefix}{table}.csv", _csv(session, table)) for table in FILLED)


def restore(connection: Any, s3: Any, bucket: str, prefix: str) -> None:
    """Copy the objects back into tables that hold none of their rows."""
    for table in FILLED:
        with connection, connection.cursor() as cursor, tempfile.TemporaryFile() as file:
            shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=f"{prefix}{table}.csv")["Body"], file)
            file.seek(0)
            statement = sql.SQL("COPY {} FROM STDIN (FORMAT csv, NULL '\\N')").format(sql.Identifier(table))
            cursor.copy_expert(statement, file)


def _csv(session: Any, table: str) -> Iterator[bytes]:
    """The table's rows, some at a time."""
    found = session.execute(_all_of(session, table).execution_options(yield_per=BATCH))
    while rows := found.fetchmany(BATCH):
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows(["\\N" if value is None else value for value in row] for row in rows)
        yield buffer.getvalue().encode()


def _all_of(session: Any, table: str) -> Any:
    """`SELECT` of every column, those as text that Python would print in another way than PostgreSQL reads."""
    from sqlalchemy import JSON, LargeBinary, MetaData, Table, Text, cast, select

    columns = Table(table, MetaData(), autoload_with=session.connection()).columns
    return select(*(cast(one, Text) if isinstance(one.type, JSON | LargeBinary) else one for one in columns))


def _upload(s3: Any, bucket: str, key: str, chunks: Iterable[bytes]) -> int:
    """Send parts one after the other; returns the bytes."""
    upload = {"Bucket": bucket, "Key": key}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts: list[dict[str, Any]] = []
    filled, size = io.BytesIO(), 0

    def send() -> None:
        answer = s3.upload_part(**upload, PartNumber=len(parts) + 1, Body=filled.getvalue())
        parts.append({"PartNumber": len(parts) + 1, "ETag": answer["ETag"]})
        filled.seek(0)
        filled.truncate()

    for chunk in chunks:
        size += filled.write(chunk)
        if filled.tell() >= PART_BYTES:
            send()
    if filled.tell() or not parts:
        send()
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    return size
