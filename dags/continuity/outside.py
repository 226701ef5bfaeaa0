"""An Airflow that is reached from outside: by database URL and Fernet keys, with no Airflow to ask.

Both come from environment variables or files. The command line shows to everybody on the machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from continuity.connect import own_connection
from continuity.errors import BadInput, DatabaseUnreachable
from continuity.secrets import FernetKeys

#: The names Airflow itself reads them by.
URL_VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
KEY_VARIABLE = "AIRFLOW__CORE__FERNET_KEY"

ACCEPTED_URL = "postgresql+psycopg2://USER:PASSWORD@HOST:PORT/DATABASE, special characters percent-encoded"
SCHEMES = ("postgresql+psycopg2", "postgresql", "postgres+psycopg2", "postgres")
OTHERS = ("mysql", "mariadb", "sqlite", "mssql", "oracle")
#: Strict on purpose: a password that breaks the URL must not end up in what is taken for the host, and be printed.
PARTS = re.compile(
    r"(?:[^:/?#@\s]+(?::(?P<password>[^/?#@\s]*))?@)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])?(?::\d+)?/[^/?#@\s]+(?:\?\S*)?"
)
CONNECT_SECONDS = 15

#: The schema's version by its alembic head: the first Airflow that has it. It stays until the next one in this list.
HEADS = {
    "7b2661a43ba3": "2.2.0",
    "be2bfac3da23": "2.2.3",
    "587bdf053233": "2.2.4",
    "b1b348e02d07": "2.3.0",
    "1de7bc13c950": "2.3.1",
    "3c94c427fdf6": "2.3.2",
    "f5fcbda3e651": "2.3.3",
    "ecb43d2a1842": "2.4.0",
    "b0d31815b5a6": "2.4.2",
    "e07f49787c9d": "2.4.3",
    "290244fb8b83": "2.5.0",
    "98ae134e6fff": "2.6.0",
    "c804e5c76e3e": "2.6.2",
    "4bc4d934e2bc": "2.6.2",
    "405de8318b3a": "2.7.0",
    "10b52ebd31f7": "2.8.0",
    "88344c1d9134": "2.8.1",
    "1949afb29106": "2.9.0",
    "686269002441": "2.9.2",
    "22ed7efa9da2": "2.10.0",
    "5f2621c13b39": "2.10.3",
    "29ce7909c52b": "3.0.0",
    "fe199e1abd77": "3.0.3",
    "cc92b33c6709": "3.1.0",
    "509b94a1042d": "3.1.8",
    "1d6611b6ab7c": "3.2.0",
    "d2f4e1b3c5a7": "3.3.0",
}
VERSION = re.compile(r"[23]\.\d+\.\d+")


@dataclass(frozen=True)
class Given:
    """Where a secret setting comes from: a file if one is named, else an environment variable."""

    variable: str
    file: Path | None = None

    def read(self, environ: Mapping[str, str] = os.environ) -> str:
        """Its value. Raises BadInput where there is none."""
        if self.file:
            try:
                return self.file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise BadInput(str(self.file), f"it cannot be read ({type(error).__name__})", "a text file") from None
        if self.variable not in environ:
            raise BadInput(self.variable, "the variable is not set", "the variable, or a file that holds the value")
        return environ[self.variable].strip()

    @property
    def name(self) -> str:
        return str(self.file or self.variable)


def database_url(given: Given) -> URL:
    """The URL of a metadata database. Raises BadInput, which shows no part of it."""
    text = given.read()
    scheme, found, rest = text.partition("://")
    if not found or scheme not in SCHEMES:
        kind = scheme.partition("+")[0]
        wrong = f"{kind} is no database the engine reads" if kind in OTHERS else "it is no database URL"
        raise BadInput(given.name, wrong, ACCEPTED_URL)
    if not PARTS.fullmatch(rest):
        raise BadInput(given.name, "it is malformed, or holds a character that is not percent-encoded", ACCEPTED_URL)
    try:
        return make_url(f"postgresql+psycopg2://{rest}")
    except (SQLAlchemyError, ValueError):
        raise BadInput(given.name, "it is malformed", ACCEPTED_URL) from None


def fernet_keys(given: Given) -> FernetKeys:
    """The Fernet keys of an Airflow; an empty text says that it encrypts nothing. Raises BadInput."""
    return FernetKeys(given.read(), given.name)


@contextmanager
def database(url: URL) -> Iterator[Any]:
    """A psycopg2 connection of our own. Raises DatabaseUnreachable, which shows no password."""
    patience = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
    engine = create_engine(url, connect_args=patience)
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(own_connection(engine))
        except (SQLAlchemyError, psycopg2.Error) as error:
            why = _reason(error, str(url.password or ""))
        else:
            why = ""
        # Raised outside the handler: the cause may show what the URL holds.
        if why:
            raise DatabaseUnreachable(f"{url.host or 'local socket'}/{url.database}: {why}")
        yield connection
    engine.dispose()


def _reason(error: Exception, password: str) -> str:
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, psycopg2.errors.UndefinedTable):
        return "it holds no metadata of an Airflow (there is no table alembic_version)"
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text.replace(password, "...") if password else text


def airflow_version(heads: Mapping[str, list[str]], stated: str | None) -> str:
    """The Airflow version of a database, from its alembic head and what the operator states.

    A head stays for several releases; where nothing is stated, the first of them is named, which has the same schema.
    Raises BadInput where the two contradict each other, or neither says it.
    """
    if stated and not VERSION.fullmatch(stated):
        raise BadInput("--airflow-version", f"{stated!r} is no version of Airflow 2 or 3", "as in 2.10.3")
    (head, *more) = heads.get("alembic_version") or [""]
    first = None if more else HEADS.get(head)
    if first is None and stated is None:
        raise BadInput("--airflow-version", f"the schema's version {head} is not known here", "the version of Airflow")
    if first is None or stated is None:
        return stated or str(first)
    later = sorted((known for known in HEADS.values() if _key(known) > _key(first)), key=_key)
    if _key(stated) < _key(first) or (later and _key(stated) >= _key(later[0])):
        until = f" up to, and without, {later[0]}" if later else " on"
        raise BadInput("--airflow-version", f"{stated} has another schema than this database", f"from {first}{until}")
    return stated


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
