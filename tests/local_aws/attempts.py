"""What was done is not done twice: a repeated attempt of a call gets the answer that its client never saw.

On a busy machine a connection breaks now and then after its call was served. SDKs then repeat the call, under the same
`amz-sdk-invocation-id`; done again, it may fail (a rule that is revoked twice is not found the second time).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Response

from tests.local_aws.contract import WsgiApp

KEPT = 1000
_READING = ("GET", "HEAD")


class Attempts:
    """Remembers the successful answers to the latest calls that change something. Any thread may serve."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Response] = OrderedDict()

    def serve(self, app: WsgiApp, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Let `app` answer the first attempt, and repeat what it said for any further one. Failures are not kept: a
        client that was throttled tries again in earnest."""
        call = environ.get("HTTP_AMZ_SDK_INVOCATION_ID")
        if call is None or environ["REQUEST_METHOD"] in _READING:
            return app(environ, start_response)
        with self._lock:
            known = self._answers.get(call)
        if known is not None:
            return known(environ, start_response)
        answer = Response.from_app(app, environ, buffered=True)
        if answer.status_code < 400:
            with self._lock:
                self._answers[call] = answer
                if len(self._answers) > KEPT:
                    self._answers.popitem(last=False)
        return answer(environ, start_response)
