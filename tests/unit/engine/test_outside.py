"""Database URL and Fernet keys from outside: checked before anything is touched, and shown by no message."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from continuity.errors import BadInput, DatabaseUnreachable
from continuity.outside import HEADS, Given, airflow_version, database, database_url, fernet_keys

PASSWORD = "pa55w0rd"


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> Given:
    monkeypatch.setenv("THE_URL", text)
    return Given("THE_URL")


@pytest.mark.parametrize("scheme", ["postgresql+psycopg2", "postgresql", "postgres", "postgres+psycopg2"])
@pytest.mark.parametrize(
    ("rest", "host", "password"),
    [
        (f"airflow:{PASSWORD}@db.example.com:5433/airflow?sslmode=require", "db.example.com", PASSWORD),
        ("airflow:a%40b%2Fc:d@[::1]/airflow", "::1", "a@b/c:d"),
        ("/airflow?host=/var/run/postgresql", None, None),
    ],
)
def test_urls_that_airflow_knows(
    monkeypatch: pytest.MonkeyPatch, scheme: str, rest: str, host: str | None, password: str | None
) -> None:
    url = database_url(given(monkeypatch, f"{scheme}://{rest}"))
    assert (url.host, url.password, url.database) == (host, password, "airflow")
    assert url.drivername == "postgresql+psycopg2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        PASSWORD,
        f"mysql://airflow:{PASSWORD}@db/airflow",
        f"sqlite:///{PASSWORD}.db",
        f"{PASSWORD}://db/airflow",
        f"postgresql://airflow:{PASSWORD}@db",
        f"postgresql://airflow:x@{PASSWORD}@db/airflow",
        f"postgresql://airflow:x/{PASSWORD}@db/airflow",
        f"postgresql://airflow:x?{PASSWORD}@db/airflow",
        f"postgresql://airflow:x#{PASSWORD}@db/airflow",
        f"postgresql://airflow:x {PASSWORD}@db/airflow",
        f"postgresql://airflow:x@db:{PASSWORD}/airflow",
    ],
)
def test_a_malformed_url_is_refused_without_showing_any_of_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(BadInput, match=r"THE_URL: .*; accepted: postgresql\+psycopg2://USER") as refused:
        database_url(given(monkeypatch, text))
    assert PASSWORD not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_database_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    url = database_url(given(monkeypatch, f"postgresql://airflow:{PASSWORD}@127.0.0.1:1/airflow"))
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1/airflow: .*refused") as refused, database(url):
        raise AssertionError("nothing answers there")
    assert PASSWORD not in str(refused.value)
    assert refused.value.__context__ is None


def test_a_secret_is_read_from_a_file_or_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    (tmp_path / "key").write_text(f"{key}\n")
    assert Given("NOT_SET", tmp_path / "key").read() == key
    assert fernet_keys(Given("NOT_SET", tmp_path / "key")).encrypts
    monkeypatch.setenv("KEY", "")
    assert not fernet_keys(Given("KEY")).encrypts, "an Airflow without a key is said to be one"
    with pytest.raises(BadInput, match="NOT_SET: the variable is not set"):
        fernet_keys(Given("NOT_SET"))
    with pytest.raises(BadInput, match=r"nowhere: it cannot be read \(FileNotFoundError\)"):
        Given("NOT_SET", tmp_path / "nowhere").read()
    monkeypatch.setenv("KEY", "no-such-key")
    with pytest.raises(BadInput, match="KEY: it is no Fernet key") as refused:
        fernet_keys(Given("KEY"))
    assert "no-such-key" not in str(refused.value)


@pytest.mark.parametrize(
    ("head", "stated", "version"),
    [
        ("686269002441", None, "2.9.2"),
        ("5f2621c13b39", None, "2.10.3"),
        ("5f2621c13b39", "2.11.2", "2.11.2"),
        ("fe199e1abd77", "3.0.6", "3.0.6"),
        ("d2f4e1b3c5a7", "3.4.0", "3.4.0"),
        ("of-the-future", "3.9.1", "3.9.1"),
    ],
)
def test_the_version_follows_from_the_schema(head: str, stated: str | None, version: str) -> None:
    assert airflow_version({"alembic_version": [head], "alembic_version_fab": ["x"]}, stated) == version


@pytest.mark.parametrize(
    ("head", "stated", "why"),
    [
        ("of-the-future", None, "of-the-future is not known here; accepted: the version of Airflow"),
        ("5f2621c13b39", "2.9.3", "2.9.3 has another schema .* accepted: from 2.10.3 up to, and without, 3.0.0"),
        ("5f2621c13b39", "3.0.0", "3.0.0 has another schema"),
        ("5f2621c13b39", "2.11", "'2.11' is no version"),
        ("d2f4e1b3c5a7", "3.2.9", "accepted: from 3.3.0 on"),
    ],
)
def test_a_version_that_the_schema_contradicts_is_refused(head: str, stated: str | None, why: str) -> None:
    with pytest.raises(BadInput, match=f"--airflow-version: .*{why}"):
        airflow_version({"alembic_version": [head]}, stated)


def test_every_version_is_said_once_per_schema() -> None:
    assert len(HEADS) == len(set(HEADS.values())) + 1, "2.6.2 alone has two"
