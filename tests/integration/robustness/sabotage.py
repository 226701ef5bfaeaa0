"""Make one thing go wrong at one point of what the engine does, the same each time.

A point is a moment before or after a statement, a commit or a request, or a block of a COPY or of a body that is read.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import psycopg2
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from psycopg2 import extensions, sql
from urllib3.exceptions import ProtocolError

from tests.integration.engine.worker import Side

#: What a fault may be, and how the names of points begin at which it may strike.
KINDS = {
    "kill": "",
    "disconnect": "",
    "network": "aws ",
    "refusal": "aws before ",
}
REFUSALS = {
    "s3": (503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"),
    "kms": (400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'),
}


@dataclass
class Fault:
    """What goes wrong (one of `KINDS`), and at which point, counted from 1; lasting: and from then on, as far as
    requests go.

    `points` are the names of those passed; `struck` says whether it has come to the fault.
    """

    kind: str = "none"
    at: int = 0
    lasting: bool = False
    points: list[str] = field(default_factory=list)
    struck: bool = False
    connection: Any = None

    def pass_by(self, point: str) -> bool:
        """Count a point; returns whether its request or body is to fail. May kill this process."""
        self.points.append(point)
        now = len(self.points) == self.at
        self.struck = self.struck or now
        if now and self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if now and self.kind == "disconnect":
            self._disconnect()
        fitting = self.kind in ("network", "refusal") and point.startswith(KINDS[self.kind])
        return fitting and (now or (self.lasting and self.struck))

    def _disconnect(self) -> None:
        """End the engine's session, as a failover of the database does."""
        if self.connection is None or self.connection.closed:
            return
        with psycopg2.connect(self.connection.dsn_of_side) as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", (self.connection.info.backend_pid,))
        other.close()


@dataclass(frozen=True)
class SabotagedSide(Side):
    """One environment in which a fault strikes."""

    fault: Fault = field(default_factory=Fault)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        connection = psycopg2.connect(self.dsn, connection_factory=watched_connection(self.fault))
        connection.dsn_of_side = self.dsn
        self.fault.connection = connection
        try:
            yield connection
        finally:
            connection.close()

    def client(self, service: str, **settings: Any) -> Any:
        impatient = Config(retries={"mode": "standard", "max_attempts": 2})
        client = super().client(service, config=impatient, **settings)
        watch_requests(client, service, self.fault)
        return client


def watched_connection(fault: Fault) -> type[extensions.connection]:
    """A connection that passes by a point before and after all that it does."""

    class Cursor(extensions.cursor):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> None:
            fault.pass_by(f"before {shown(query, self)}")
            super().execute(query, *args, **kwargs)
            fault.pass_by(f"after {shown(query, self)}")

        def copy_expert(self, query: Any, file: Any, *args: Any, **kwargs: Any) -> None:
            fault.pass_by(f"before {shown(query, self)}")
            super().copy_expert(query, Blocks(file, fault), *args, **kwargs)
            fault.pass_by(f"after {shown(query, self)}")

    class Connection(extensions.connection):
        dsn_of_side: str

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.cursor_factory = Cursor

        def commit(self) -> None:
            fault.pass_by("before COMMIT")
            super().commit()
            fault.pass_by("after COMMIT")

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            if kind is None:
                self.commit()
            else:
                self.rollback()

    return Connection


class Blocks:
    """A file of a COPY, each block a point."""

    def __init__(self, file: Any, fault: Fault) -> None:
        self._file, self._fault = file, fault

    def read(self, size: int = -1) -> Any:
        self._fault.pass_by("block in")
        return self._file.read(size)

    def write(self, data: bytes) -> int:
        self._fault.pass_by("block out")
        return int(self._file.write(data))


class Body:
    """The raw body of an answer, each read a point."""

    def __init__(self, raw: Any, fault: Fault) -> None:
        self._raw, self._fault = raw, fault

    def read(self, *args: Any, **kwargs: Any) -> Any:
        if self._fault.pass_by("aws body"):
            raise ProtocolError("Connection broken")
        return self._raw.read(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def watch_requests(client: Any, service: str, fault: Fault) -> None:
    """Let every request of a client pass by a point before it is sent and after it was answered."""

    def send(request: Any, event_name: str, **_: Any) -> AWSResponse:
        operation = event_name.rsplit(".", 1)[-1]
        if fault.pass_by(f"aws before {operation}"):
            if fault.kind == "network":
                raise ConnectionClosedError(endpoint_url=request.url)
            status, body = REFUSALS[service]
            return AWSResponse(request.url, status, {"content-length": str(len(body))}, Content(body))
        response: AWSResponse = client._endpoint.http_session.send(request)
        if fault.pass_by(f"aws after {operation}"):
            raise ReadTimeoutError(endpoint_url=request.url)
        if request.stream_output:
            response.raw = Body(response.raw, fault)
        return response

    client.meta.events.register(f"before-send.{service}", send)


class Content:
    """A raw body that is all there."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content

    def read(self, *_: Any) -> bytes:
        content, self._content = self._content, b""
        return content


def shown(query: Any, cursor: Any) -> str:
    """The first words of a statement."""
    text = query.as_string(cursor) if isinstance(query, sql.Composable) else str(query)
    return " ".join(text.split())[:80]
