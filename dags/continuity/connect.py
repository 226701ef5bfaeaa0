"""The one place that asks Airflow for something: its database, its Fernet keys, its version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from continuity.errors import ContinuityError
from continuity.secrets import FernetKeys


def airflow_version() -> str:
    from airflow import __version__

    return str(__version__)


def skip_task(why: str) -> NoReturn:
    """End the running task, and with it what comes after it, as skipped."""
    from airflow.exceptions import AirflowSkipException

    raise AirflowSkipException(why)


def fernet_keys() -> FernetKeys:
    """The environment's Fernet keys."""
    from airflow.configuration import conf

    return FernetKeys(conf.get("core", "fernet_key", fallback=""))


def engine() -> Any:
    """SQLAlchemy engine of the metadata database. Raises ContinuityError where tasks may not reach it."""
    if int(airflow_version().split(".")[0]) >= 3:
        raise ContinuityError(
            f"Airflow {airflow_version()} gives tasks no access to its metadata database; accepted: 2.x"
        )
    from airflow import settings

    return settings.engine


@contextmanager
def own_connection(source: Any) -> Iterator[Any]:
    """A psycopg2 connection from a SQLAlchemy engine that is ours alone, proven to answer, closed at the end.

    Through SQLAlchemy, because an installation may have it log in with short-lived credentials. Taken out of the pool,
    because the session's settings are changed.
    """
    pooled = source.raw_connection()
    connection = pooled.dbapi_connection
    pooled.detach()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT version_num FROM alembic_version")
            if cursor.fetchone() is None:
                raise ContinuityError("the metadata database has no schema version: it is not initialised")
        connection.rollback()
        yield connection
    finally:
        connection.close()
