"""Two sessions share work: every piece is done once, an error of one ends the other, and one session is enough."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest

from continuity.catalog import Column, ForeignKey, Table, independent
from continuity.lanes import sessions, shared_out

PATIENCE_SECONDS = 120


class Session:
    """A connection whose statement goes on until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()

    def run_for_ever(self) -> None:
        assert self.cancelled.wait(PATIENCE_SECONDS), "nobody has ended the statement"
        raise psycopg2.errors.QueryCanceled


@pytest.mark.parametrize("number", [1, 2])
def test_every_piece_is_done_once_and_results_keep_their_order(number: int) -> None:
    pieces = list(range(200))
    done: list[int] = []

    def double(_session: Session, piece: int) -> int:
        done.append(piece)
        return piece * 2

    assert shared_out(pieces, [Session() for _ in range(number)], double) == [piece * 2 for piece in pieces]
    assert sorted(done) == pieces


def test_two_sessions_work_at_the_same_time() -> None:
    meeting = threading.Barrier(2)
    one, other = Session(), Session()

    def meet(session: Session, _piece: int) -> Session:
        meeting.wait(PATIENCE_SECONDS)
        return session

    assert set(shared_out([1, 2], [one, other], meet)) == {one, other}


@pytest.mark.parametrize("failing", [0, 1])
def test_the_first_error_ends_the_statement_of_the_other_session(failing: int) -> None:
    """Failure covered: one half of a snapshot fails, and the other holds its transaction for as long as it likes."""
    pair = [Session(), Session()]
    begun = threading.Barrier(2)

    def work(session: Session, _piece: int) -> None:
        begun.wait(PATIENCE_SECONDS)
        if session is pair[failing]:
            raise KeyError("the cause")
        session.run_for_ever()

    with pytest.raises(KeyError, match="the cause"):
        shared_out([1, 2, 3, 4], pair, work)
    assert pair[1 - failing].cancelled.is_set()


def test_a_session_that_was_between_two_statements_is_told_again() -> None:
    """Failure covered: one half has failed, and the other goes on for its longest time-out."""
    first, second = Session(), Session()
    failed = threading.Event()

    def work(session: Session, _piece: int) -> None:
        if session is second:
            failed.set()
            raise KeyError("the cause")
        assert failed.wait(PATIENCE_SECONDS)
        assert session.cancelled.wait(PATIENCE_SECONDS)
        session.cancelled.clear()  # it was at none
        session.run_for_ever()

    with pytest.raises(KeyError, match="the cause"):
        shared_out([1, 2], [first, second], work)


def test_a_database_that_gives_no_second_session_is_worked_with_in_one(caplog: pytest.LogCaptureFixture) -> None:
    @contextmanager
    def refuse() -> Iterator[Session]:
        raise psycopg2.OperationalError("remaining connection slots are reserved; password=secret")
        yield Session()

    first = Session()
    with sessions(first, refuse) as found:
        assert found == [first]
    assert "one session does everything" in caplog.text
    assert "secret" not in caplog.text
    with sessions(first, None) as found:
        assert found == [first]


def test_tables_that_no_foreign_key_connects_are_apart() -> None:
    def table(name: str, *parents: str) -> Table:
        keys = tuple(ForeignKey((f"{parent}_id",), parent, ("id",)) for parent in parents)
        return Table(name, (Column("id", "integer"),), keys)

    tables = (
        table("instance", "run"),
        table("job"),
        table("log"),
        table("note", "instance", "user"),
        table("run"),
        table("user"),
    )
    catalog = {one.name: one for one in tables}
    names = ["note", "log", "instance", "run", "job"]
    assert sorted(independent(catalog, names)) == [["job"], ["log"], ["run", "instance", "note"]]
