"""The state machine gets its answer: heartbeats, then success or failure with the right name; the token goes nowhere
else."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from continuity import errors
from continuity.beat import put_beat
from continuity.settings import Settings
from continuity.tokens import answering

KEY = "work/env/request.json"


class States:
    """Remembers what Step Functions was told; refuses as it does when nobody waits any more."""

    def __init__(self, refuse: str | None = None, *, after: int = 0) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.refuse, self.after = refuse, after

    def _hear(self, what: str, message: dict[str, Any]) -> None:
        self.told.append((what, message))
        if self.refuse and len(self.told) > self.after:
            raise ClientError({"Error": {"Code": self.refuse, "Message": "no"}}, what)

    def send_task_heartbeat(self, **message: Any) -> None:
        self._hear("heartbeat", message)

    def send_task_success(self, **message: Any) -> None:
        self._hear("success", message)

    def send_task_failure(self, **message: Any) -> None:
        self._hear("failure", message)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key=KEY, Body=json.dumps({"task_token": "the token"}))
        yield client


def answer(
    s3: Any,
    states: States,
    error: Exception | None = None,
    seconds: float = 0,
    request: str | None = "request",
    **how: bool,
) -> None:
    with answering(
        s3, states, "bucket", "env", request_id=request, failure=errors.RESTORE_FAILED, heartbeat_seconds=0.01, **how
    ) as told:
        time.sleep(seconds)
        if error:
            raise error
        told.output = {"rows": 3}


def work_objects(s3: Any) -> int:
    return int(s3.list_objects_v2(Bucket="bucket", Prefix="work/")["KeyCount"])


def test_success_is_answered_after_heartbeats(s3: Any) -> None:
    """Failure covered: a failing clean-up never sends its task token: 60 minutes of waiting."""
    states = States()
    answer(s3, states, seconds=0.1)
    assert states.told[0] == ("heartbeat", {"taskToken": "the token"})
    assert states.told[-1] == ("success", {"taskToken": "the token", "output": '{"rows": 3}'})
    assert work_objects(s3) == 0
    count = len(states.told)
    time.sleep(0.05)
    assert len(states.told) == count, "no heartbeat after the answer"


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (errors.BadInput("conf.snapshot_id", "missing", "an id"), errors.BAD_INPUT),
        (errors.RestoreRefused("why"), errors.RESTORE_FAILED),
        (KeyError("why"), errors.RESTORE_FAILED),
    ],
)
def test_failure_is_answered_with_its_name_and_raised(s3: Any, error: Exception, name: str) -> None:
    states = States()
    with pytest.raises(type(error)):
        answer(s3, states, error)
    what, message = states.told[-1]
    assert (what, message["error"], message["cause"]) == ("failure", name, str(error))
    assert work_objects(s3) == 0


def test_success_is_handed_on_to_the_next_task_and_failure_is_not(s3: Any) -> None:
    """Failure covered: a snapshot counts as taken before it was read back; a first task that fails leaves the state
    machine waiting."""
    states = States()
    answer(s3, states, seconds=0.05, hand_on=True)
    assert {what for what, _ in states.told} == {"heartbeat"}
    assert work_objects(s3) == 1, "the next task finds the token"
    answer(s3, states)
    assert states.told[-1][0] == "success"

    s3.put_object(Bucket="bucket", Key=KEY, Body=json.dumps({"task_token": "the token"}))
    states = States()
    with pytest.raises(errors.RestoreRefused):
        answer(s3, states, errors.RestoreRefused("why"), hand_on=True)
    assert states.told[-1][0] == "failure"
    assert work_objects(s3) == 0


@pytest.mark.parametrize("request_id", [None, "answered-before"])
def test_nobody_is_answered_where_nobody_asked(s3: Any, request_id: str | None) -> None:
    states = States()
    answer(s3, states, request=request_id)
    assert states.told == []


def test_an_answer_that_comes_too_late_is_no_error(s3: Any) -> None:
    states = States(refuse="TaskTimedOut", after=1)
    answer(s3, states, seconds=0.1)
    told = [what for what, _ in states.told]
    assert told == ["heartbeat", "heartbeat", "success"], "one refused heartbeat is enough"


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_what_nobody_waits_for_is_not_done(s3: Any, code: str) -> None:
    """Failure covered: a run that queued past its heartbeat restores beside the one that was started in its place."""
    done = []
    states = States(refuse=code)
    with (
        pytest.raises(errors.NobodyWaits, match="request request "),
        answering(s3, states, "bucket", "env", request_id="request", failure=errors.RESTORE_FAILED),
    ):
        done.append("the work")
    assert done == []
    assert [what for what, _ in states.told] == ["heartbeat"]
    assert work_objects(s3) == 0


def test_what_is_worth_doing_anyway_is_done_though_nobody_waits(s3: Any) -> None:
    """Failure covered: a snapshot is never read back because its task started late, and a restore takes it."""
    done = []
    states = States(refuse="TaskTimedOut")
    with answering(
        s3, states, "bucket", "env", request_id="request", failure=errors.SNAPSHOT_FAILED, regardless=True
    ) as told:
        done.append("the work")
        told.output = {}
    assert done == ["the work"]
    assert [what for what, _ in states.told] == ["heartbeat"]
    assert work_objects(s3) == 0


class Deaf(States):
    """Hears answers, but no heartbeat."""

    def send_task_heartbeat(self, **message: Any) -> None:
        super().send_task_heartbeat(**message)
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, "SendTaskHeartbeat")


def test_a_first_heartbeat_that_is_lost_stops_nothing(s3: Any) -> None:
    states = Deaf()
    answer(s3, states)
    *beats, last = [what for what, _ in states.told]
    assert set(beats) == {"heartbeat"}
    assert last == "success"


class Undeletable:
    """A bucket that shows objects and deletes none."""

    def __init__(self, s3: Any) -> None:
        self.get_object = s3.get_object

    def delete_object(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteObject")


def test_a_token_that_cannot_be_deleted_fails_nothing(s3: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Failure covered: the state is restored and answered, its task fails on tidying up, the history never comes."""
    states = States()
    answer(Undeletable(s3), states)
    assert states.told[-1][0] == "success"
    assert f"s3://bucket/{KEY} is left to the bucket's lifecycle rule" in caplog.text
    with pytest.raises(errors.RestoreRefused, match="why"):
        answer(Undeletable(s3), states, errors.RestoreRefused("why"))


class Refusing:
    """A bucket that shows nothing."""

    def get_object(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")


def test_a_token_that_may_not_be_read_is_an_error(s3: Any) -> None:
    """Failure covered: a refusal taken for absence: the work is done, and the state machine waits for an hour."""
    with pytest.raises(errors.AccessRefused, match=rf"s3://bucket/{KEY} cannot be read \(AccessDenied\)"):
        answer(Refusing(), States())


def test_an_answer_that_cannot_be_given_is_an_error(s3: Any) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        answer(s3, States(refuse="AccessDenied"))
    assert work_objects(s3) == 1, "a retry can still answer"


def test_the_token_is_never_logged(s3: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Failure covered: credentials in logs and XCom."""
    caplog.set_level(logging.DEBUG, logger="continuity")
    answer(s3, States(refuse="InvalidToken", after=1), seconds=0.05)
    s3.put_object(Bucket="bucket", Key=KEY, Body=b'{"task": "the token"}')
    with pytest.raises(errors.BadInput) as refused:
        answer(s3, States())
    assert "the token" not in caplog.text + str(refused.value)


def test_a_beat_is_one_item_per_minute(s3: Any) -> None:
    settings = Settings("env", "us-west-2", "bucket", "key", "lease")
    client = boto3.client("dynamodb", region_name="us-west-2")
    client.create_table(
        TableName="lease",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    for now in (1_790_000_000.9, 1_790_000_010.0, 1_790_000_061.0):
        put_beat(client, settings, now)
    items = client.scan(TableName="lease")["Items"]
    assert [(item["pk"]["S"], item["sk"]["S"]) for item in items] == [
        ("beat#us-west-2", "0029833333"),
        ("beat#us-west-2", "0029833334"),
    ]
    assert items[0]["beat_at"] == {"N": "1790000010"}
    assert items[0]["expires_at"] == {"N": str(1_790_000_010 + 86_400)}
