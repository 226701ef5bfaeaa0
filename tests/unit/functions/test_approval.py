"""The question whether to fail over: how long it stands, and what is said to who answers it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from mwaa_continuity import approval, dag_runs
from mwaa_continuity.errors import QuestionClosed
from mwaa_continuity.lease_table import home_of_lease
from mwaa_continuity.question import (
    APPROVED,
    OPEN,
    UNTOLD_SECONDS,
    Question,
    asked,
    read_question,
    stands,
    write_question,
)
from tests.unit.functions.conftest import LEASES, NAME, SNAPSHOTS

QUESTION = Question("one", OPEN, asked_at=1000, again_at=8200, told=True)


@pytest.mark.parametrize(
    ("question", "until"),
    [
        (QUESTION, 8200),
        (replace(QUESTION, told=False), 1000 + UNTOLD_SECONDS),
        (replace(QUESTION, state=APPROVED), 8200),
    ],
)
def test_a_question_that_nobody_was_told_of_holds_up_no_failover(question: Question, until: int) -> None:
    """Failure covered: the notice could not be sent, and for hours neither a failover nor another question follows."""
    assert stands(question, until - 1)
    assert not stands(question, until)
    if question.state == OPEN:
        ask: Callable[[int], Question | None] = lambda now: asked(question, "two", now, seconds=60, rest_seconds=60)  # noqa: E731
        assert ask(until - 1) is None
        assert ask(until) == Question("two", OPEN, until, until + 120, told=False)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("waits", [True, False])
def test_an_answer_is_told_the_same_each_time(monkeypatch: pytest.MonkeyPatch, waits: bool) -> None:
    """Failure covered: who enters a late approval twice reads that it was approved, and waits for a failover that never
    comes."""
    now = int(time.time())
    question = replace(QUESTION, asked_at=now, again_at=now + 7200)
    assert write_question(home_of_lease(), LEASES, None, question)
    dag_runs.write_token(SNAPSHOTS, NAME, "one", "token")
    waiting = {"token"} if waits else set()

    def taken(token: str, _output: object) -> bool:
        """As Step Functions: a token is good for one answer."""
        there = token in waiting
        waiting.discard(token)
        return there

    monkeypatch.setattr(approval, "answer", taken)
    for _ in range(2):
        if waits:
            assert approval.handler({"action": "approve", "request_id": "one"}, None)["outcome"] == "approved"
        else:
            with pytest.raises(QuestionClosed, match="it came too late"):
                approval.handler({"action": "approve", "request_id": "one"}, None)
        kept = read_question(home_of_lease(), LEASES)
        assert kept
        assert (kept.state, kept.handed_over) == (APPROVED, waits)
    following = Question("two", OPEN, now, now, told=False)
    assert write_question(home_of_lease(), LEASES, kept, following), "the next one takes its place"
    assert read_question(home_of_lease(), LEASES) == following
