"""The one place that asks Airflow for something: its database, its Fernet keys, its version."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import psycopg2
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from continuity.errors import ContinuityError, DatabaseUnreachable
from continuity.secrets import FernetKeys


def airflow_version() -> str:
    from airflow import __version__

    return str(__version__)


def skip_task(why: str) -> NoReturn:
    """End the running task, and with it what comes after it, as skipped."""
    try:
        from airflow.sdk.exceptions import AirflowSkipException
    except ImportError:  # before Airflow 3.1
        from airflow.exceptions import AirflowSkipException

    raise AirflowSkipException(why)


def fernet_keys() -> FernetKeys:
    """The environment's Fernet keys."""
    from airflow.configuration import conf

    return FernetKeys(conf.get("core", "fernet_key", fallback=""))


def engine() -> Any:
    """SQLAlchemy engine of the metadata database.

    A task of Airflow 3 is denied the ORM and the configured URL, but its process has what else says where the database
    is. Raises DatabaseUnreachable naming everything that was tried.
    """
    if int(airflow_version().split(".", maxsplit=1)[0]) >= 3:
        return own_engine(os.environ)
    from airflow import settings

    return settings.engine


def own_engine(environ: Mapping[str, str]) -> Any:
    """An engine of our own, proven to reach an Airflow's database; `environ` is what a worker's process is given."""
    failures = []
    refused = False
    for name, read_url in SOURCES.items():
        try:
            found = create_engine(make_url(read_url(environ)), poolclass=NullPool)
            with found.connect() as connection:
                version = connection.execute(text("SELECT version_num FROM alembic_version")).first()
            if version:
                return found
            failures.append(f"{name}: the database is not initialised")
        except (LookupError, ImportError, ValueError, TypeError, RuntimeError, SQLAlchemyError) as error:
            failures.append(f"{name}: {_why(error)}")
            refused |= isinstance(error, SQLAlchemyError)
    raise DatabaseUnreachable(
        "the metadata database cannot be reached from a task; tried " + "; ".join(failures), may_pass=refused
    )


def _from_helper(_environ: Mapping[str, str]) -> str:
    from mwaa.config.database import get_db_connection_string

    return str(get_db_connection_string())


def _from_parts(prefix: str, credentials: str) -> Callable[[Mapping[str, str]], URL]:
    """Reader of a URL from variables with one prefix, user and password being JSON in another."""

    def read(environ: Mapping[str, str]) -> URL:
        login = json.loads(environ[credentials])
        return URL.create(
            "postgresql+psycopg2",
            username=login["username"],
            password=login["password"],
            host=environ[f"{prefix}POSTGRES_HOST"],
            port=int(environ.get(f"{prefix}POSTGRES_PORT", "5432")),
            database=environ[f"{prefix}POSTGRES_DB"],
            query={"sslmode": environ.get(f"{prefix}POSTGRES_SSLMODE", "require")},
        )

    return read


def _from_celery(environ: Mapping[str, str]) -> str:
    return environ["AIRFLOW__CELERY__RESULT_BACKEND"].removeprefix("db+")


#: Where a worker of MWAA finds its database, best first; the first is MWAA's own helper.
SOURCES: Mapping[str, Callable[[Mapping[str, str]], str | URL]] = {
    "mwaa.config.database": _from_helper,
    "MWAA__DB__*": _from_parts("MWAA__DB__", "MWAA__DB__CREDENTIALS"),
    "DB_SECRETS and POSTGRES_*": _from_parts("", "DB_SECRETS"),
    "AIRFLOW__CELERY__RESULT_BACKEND": _from_celery,
}


def _why(error: Exception) -> str:
    """What went wrong, without any value: URLs and JSON hold the password."""
    if isinstance(error, KeyError):
        return f"no {error}"
    driver = getattr(error, "orig", None)
    if isinstance(driver, psycopg2.Error):
        return str(driver).strip().partition("\n")[0]
    return type(error).__name__


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
