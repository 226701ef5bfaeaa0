"""Repeated attempts of one call."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Response

from tests.local_aws.attempts import Attempts


class Counter:
    """Answers with how often it was called."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.calls = status, 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.calls += 1
        return Response(str(self.calls), status=self.status)(environ, start_response)


@pytest.mark.parametrize(
    ("method", "status", "ids", "calls"),
    [
        ("POST", 200, ["one", "one", "two"], 2),
        ("DELETE", 204, ["one", "one"], 1),
        ("POST", 400, ["one", "one"], 2),
        ("POST", 500, ["one", "one"], 2),
        ("GET", 200, ["one", "one"], 2),
        ("POST", 200, [None, None], 2),
    ],
)
def test_a_call_that_went_well_is_done_once(method: str, status: int, ids: list[str | None], calls: int) -> None:
    """Failure covered: a security group's rule is revoked twice, because the first answer was lost."""
    counter, attempts = Counter(status), Attempts()
    client = Client(lambda environ, start_response: attempts.serve(counter, environ, start_response))
    answers = [client.open("/", method=method, headers={"amz-sdk-invocation-id": name} if name else {}) for name in ids]
    assert counter.calls == calls
    assert {answer.status_code for answer in answers} == {status}
    if calls == 1:
        assert len({answer.get_data() for answer in answers}) == 1
