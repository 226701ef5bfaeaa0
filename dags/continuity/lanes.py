"""Work that two sessions of one database share, each doing one piece after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from threading import Thread
from typing import Any, TypeVar

import psycopg2
from psycopg2 import extensions, sql
from sqlalchemy.exc import SQLAlchemyError

from continuity.errors import ContinuityError

log = logging.getLogger(__name__)

Piece = TypeVar("Piece")
Result = TypeVar("Result")
#: Makes one more psycopg2 connection to the same database, closed at the end of the block.
Connect = Callable[[], AbstractContextManager[Any]]

#: A session that is to stop is told again after this time: it may have been between two statements.
STOP_SECONDS = 0.2


@contextmanager
def sessions(connection: Any, connect: Connect | None) -> Iterator[list[Any]]:
    """The connection, and one more where there is a way to it and the database gives it. What two do, one can do."""
    with ExitStack() as stack:
        found = [connection]
        if connect:
            try:
                found.append(stack.enter_context(connect()))
            except (psycopg2.Error, SQLAlchemyError, ContinuityError) as error:
                log.warning("one session does everything, as there is no second one: %s", type(error).__name__)
        yield found


@contextmanager
def sessions_of_cut(
    connection: Any, exported_snapshot: str | None, connect: Connect | None, settings: Mapping[str, str]
) -> Iterator[list[Any]]:
    """Connections whose transactions see the same cut: the one that exported it, and one more, as in `sessions`.

    settings: of the transaction.
    """
    with sessions(connection, connect if exported_snapshot else None) as found:
        for other in found[1:]:
            try:
                _import(other, exported_snapshot, settings)
            except psycopg2.Error as error:  # a proxy may have led to another server
                log.warning("one session does everything, as a second one does not see the cut: %s", error.pgcode)
                found.remove(other)
        yield found


def _import(connection: Any, exported_snapshot: str | None, settings: Mapping[str, str]) -> None:
    connection.rollback()
    connection.set_session(isolation_level=extensions.ISOLATION_LEVEL_REPEATABLE_READ, readonly=True, autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(exported_snapshot)))
        set_local(cursor, settings)


def set_local(cursor: Any, settings: Mapping[str, str]) -> None:
    """Set options of PostgreSQL until the transaction ends."""
    for name, value in settings.items():
        cursor.execute(sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(name), sql.Literal(value)))


def shared_out(
    pieces: Sequence[Piece], connections: Sequence[Any], work: Callable[[Any, Piece], Result]
) -> list[Result]:
    """Do `work` on every piece, first piece first, each with one of the connections.

    Returns the results in the order of the pieces. The first error ends the others' statements and is raised.
    """
    left = iter(list(enumerate(pieces)))  # next() on it is one step of the interpreter: no piece is taken twice
    results: dict[int, Result] = {}
    failures: list[BaseException] = []
    at_work = {id(connection) for connection in connections}

    def go_on(connection: Any) -> None:
        try:
            for number, piece in left:
                if failures:
                    return
                results[number] = work(connection, piece)
        except BaseException as error:  # noqa: BLE001  (raised below, in the thread that asked)
            failures.append(error)
        finally:
            at_work.discard(id(connection))

    def end_all() -> None:
        """A statement that a session is between two of is not ended: it is told again until it has heard."""
        while at_work:
            _stop(connection for connection in connections if id(connection) in at_work)
            time.sleep(STOP_SECONDS)

    def go_on_or_end_all(connection: Any) -> None:
        go_on(connection)
        if failures:
            end_all()

    threads = [Thread(target=go_on_or_end_all, args=(connection,), name="lane") for connection in connections[1:]]
    for thread in threads:
        thread.start()
    go_on(connections[0])
    for thread in threads:
        try:
            while thread.is_alive():
                if failures:
                    end_all()
                thread.join(STOP_SECONDS)
        except BaseException as error:  # noqa: BLE001  (who wants this task to end does not wait for a statement)
            failures.insert(0, error)
            end_all()
            thread.join()
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(pieces))]


def _stop(connections: Iterable[Any]) -> None:
    """End the statements of other sessions."""
    for connection in connections:
        with suppress(psycopg2.Error):  # one that is closed has nothing left to end
            connection.cancel()
