"""The Runtime API that a Lambda sandbox talks to: hands out one event, takes one answer."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_PREFIX = "/2018-06-01/runtime"


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended; of a failure the payload is AWS's error object."""

    succeeded: bool
    payload: bytes


class RuntimeApi:
    """Serves one invocation on a port of its own; a context manager."""

    def __init__(self, event: bytes, headers: dict[str, str]) -> None:
        self.outcome: Outcome | None = None
        self.answered = threading.Event()
        self._event = event
        self._headers = headers
        self._given = False
        self._closed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="runtime-api", daemon=True
        )

    @property
    def address(self) -> str:
        """Host and port, as AWS_LAMBDA_RUNTIME_API carries them."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def next_event(self) -> tuple[bytes, dict[str, str]] | None:
        """The event on the first call; afterwards the sandbox is frozen until it is ended."""
        if self._given:
            self._closed.wait()
            return None
        self._given = True
        return self._event, self._headers

    def answer(self, path: str, body: bytes) -> None:
        """Take the answer that the runtime client posted to a path below the prefix."""
        if self.outcome is not None:
            return
        self.outcome = Outcome(path.endswith("/response"), body)
        self.answered.set()


def _handler_of(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            event = api.next_event()
            if self.path != f"{_PREFIX}/invocation/next" or event is None:
                self._reply(410, b"{}", {})
                return
            self._reply(200, *event)

        def do_POST(self) -> None:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                body = self._chunks()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._reply(202, json.dumps({"status": "OK"}).encode(), {})
            api.answer(self.path, body)

        def _chunks(self) -> bytes:
            parts: list[bytes] = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {
                **headers,
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # the name is the base class's
            """Keep quiet: the stand-in logs invocations itself."""

    return Handler
