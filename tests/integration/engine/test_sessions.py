"""Two sessions do what one does, to the byte; where the database gives no second one, one does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest

from continuity.errors import ContinuityError
from continuity.lanes import Connect
from continuity.manifest import Manifest
from continuity.secrets import FernetKeys
from continuity.snapshot import Source, take_snapshot
from tests.integration.engine.oracle import ask, assert_restores
from tests.integration.engine.worker import Side

pytestmark = pytest.mark.any_airflow

ONE, TWO = "20260401T000000Z-00000001", "20260401T000000Z-00000002"


def snapshot(side: Side, snapshot_id: str, connect: Connect | None) -> Manifest:
    with side.connection() as connection:
        source = Source(connection, FernetKeys(side.fernet_key), side.airflow_version, connect)
        return take_snapshot(source, side.store, side.client("kms"), side.parsed(), snapshot_id)


def objects(manifest: Manifest) -> list[tuple[str, int, str]]:
    """Every object that holds the same bytes whenever it is written: seals draw a nonce."""
    return [
        (entry.name, entry.rows, entry.sha256)
        for table in manifest.tables
        for entry in table.objects
        if table.verdict != "sealed"
    ]


def test_two_sessions_write_what_one_writes(sides: Callable[..., Side]) -> None:
    source = sides("source")
    used = []

    @contextmanager
    def counted() -> Iterator[Any]:
        with source.connection() as connection:
            used.append(connection)
            yield connection

    alone = snapshot(source, ONE, None)
    together = snapshot(source, TWO, counted)
    assert len(used) == 1
    assert objects(together) == objects(alone)
    assert [table.rows for table in together.tables] == [table.rows for table in alone.tables]


def test_a_second_session_sees_the_cut_and_nothing_later(sides: Callable[..., Side]) -> None:
    """Failure covered: rows committed between two sessions' first looks are in one table and not in the other."""
    source = sides("source")
    before = objects(snapshot(source, ONE, None))

    @contextmanager
    def late() -> Iterator[Any]:
        ask(source, "DELETE FROM xcom")
        ask(source, "UPDATE dag_run SET state = 'failed'")
        with source.connection() as connection:
            yield connection

    assert objects(snapshot(source, TWO, late)) == before


def test_without_a_second_session_one_does_it(sides: Callable[..., Side], caplog: pytest.LogCaptureFixture) -> None:
    source = sides("source")
    alone = snapshot(source, ONE, None)

    @contextmanager
    def refused() -> Iterator[Any]:
        with psycopg2.connect(source.dsn, dbname="there_is_no_such_database") as connection:
            yield connection

    assert objects(snapshot(source, TWO, refused)) == objects(alone)
    assert "one session does everything" in caplog.text


def test_a_second_session_that_is_ended_fails_the_snapshot(sides: Callable[..., Side]) -> None:
    """Failure covered: half of the tables are missing, and the manifest says nothing of it."""
    source = sides("source")

    @contextmanager
    def ended() -> Iterator[Any]:
        with source.connection() as connection:
            yield Ending(connection, source)

    with pytest.raises((psycopg2.Error, ContinuityError)):
        snapshot(source, ONE, ended)
    assert source.store.read_if_present(ONE, "manifest.json") is None
    assert source.store.abort_leftovers() == []


class Ending:
    """A connection whose session the server ends as soon as it has taken part in the work."""

    def __init__(self, connection: Any, side: Side) -> None:
        self._connection, self._side = connection, side
        self._cursors = 0

    def cursor(self, *values: Any, **named: Any) -> Any:
        self._cursors += 1
        if self._cursors == 2:  # the first one imports the cut
            ask(self._side, "SELECT pg_terminate_backend(%s)", self._connection.get_backend_pid())
        return self._connection.cursor(*values, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_rows_come_over_in_batches_of_any_size(sides: Callable[..., Side], monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: rows that are sorted before they are inserted are lost, doubled or mixed up."""
    monkeypatch.setattr("continuity.carry.GATHERED", 7)
    monkeypatch.setattr("continuity.restore.TELLING_ROWS", 1)
    source = sides("source")
    target = sides("target", environment=source.environment)
    source.snapshot(ONE)
    assert_restores(source, target, ONE)
    analysed = "SELECT count(*) > 0 FROM pg_stats WHERE schemaname = 'public' AND tablename = 'task_instance'"
    assert ask(target, analysed) == [(True,)]
