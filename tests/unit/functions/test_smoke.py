"""The smoke run after a resume: started once, asked until it has ended or its time is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mwaa_continuity import restore
from mwaa_continuity.errors import BadInput
from tests.unit.functions.conftest import NAME, SECONDARY, Account, environment

DAG_ID = "smoke_test"
PARSED = {"is_active": True, "is_paused": False}


def ask(waited: float = 0, **fields: Any) -> dict[str, Any]:
    since = (datetime.now(UTC) - timedelta(seconds=waited)).isoformat()
    event = {"dag_id": DAG_ID, "waiting_since": since, "deadline_seconds": 600, **fields}
    return restore.handler({"action": "smoke", "request_id": "morning", **event}, None)


@pytest.fixture
def awake(account: Account) -> Account:
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.mwaa.dags[DAG_ID] = dict(PARSED)
    return account


@pytest.mark.parametrize(("ends", "failed"), [("success", 0.0), ("failed", 1.0)])
def test_it_is_started_once_and_followed_to_its_end(awake: Account, ends: str, failed: float) -> None:
    for _ in range(3):
        answer = ask()
        assert (answer["state"], answer["run_id"], answer["why"]) == ("running", "smoke__morning", "")
    assert [(dag_id, run["conf"]) for (dag_id, _), run in awake.mwaa.runs.items()] == [(DAG_ID, {})]
    assert not awake.published("SmokeFailed"), "nobody knows yet"
    awake.mwaa.ends[DAG_ID] = ends
    assert ask(waited=5000)["state"] == ends, "that it ended counts, not when that was seen"
    assert awake.published("SmokeFailed") == [failed]


def test_a_run_that_takes_too_long_is_late(awake: Account) -> None:
    assert ask()["state"] == "running"
    answer = ask(waited=601)
    assert (answer["state"], answer["why"]) == ("late", ", running after 601 s")
    assert awake.published("SmokeFailed") == [1.0]


@pytest.mark.parametrize(
    ("dag", "why"),
    [(None, f"{DAG_ID} is not parsed"), ({"is_active": True, "is_paused": True}, f"{DAG_ID} is paused")],
)
def test_a_dag_that_cannot_run_is_waited_for_and_named(awake: Account, dag: dict[str, Any] | None, why: str) -> None:
    """Failure covered: a run of a paused DAG, which nobody starts, is queued and comes alive a day later."""
    del awake.mwaa.dags[DAG_ID]
    if dag:
        awake.mwaa.dags[DAG_ID] = dag
    assert (ask()["state"], ask()["why"]) == ("not_ready", why)
    assert not awake.mwaa.runs
    assert ask(waited=700)["why"] == f", not_ready after 700 s: {why}"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dag_id": ""}, "dag_id is an empty string; accepted: the id of a DAG"),
        ({"deadline_seconds": 0}, "deadline_seconds is 0"),
        ({"waiting_since": None}, "waiting_since is missing"),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(awake: Account, fields: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        ask(**fields)
    assert not awake.mwaa.runs
