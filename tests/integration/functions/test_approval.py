"""A failover that asks a person first: who is asked, what each answer does, and that nobody is asked twice."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import boto3
import pytest

from mwaa_continuity import approval
from mwaa_continuity.errors import BadInput, QuestionClosed
from tests.integration.functions.machines import (
    PLAYED,
    Dead,
    Region,
    become,
    gone_live,
    restored,
    told_as_complete,
)
from tests.unit.functions.conftest import LEASES, NAME, PRIMARY, SECONDARY

REASON = "Beats and the scheduler's heartbeat are both missing."
ALL_MINUTES = (1, 2, 3, 4, 5)


class Person:
    """Who reads the notices and enters what they say."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.read: list[dict[str, Any]] = []
        self.sqs = boto3.client("sqs", SECONDARY)
        self.queue = self.sqs.create_queue(QueueName="notices")["QueueUrl"]
        names = ["QueueArn"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]["QueueArn"]
        events = boto3.client("events", SECONDARY)
        pattern = {"source": [approval.SOURCE], "detail-type": [approval.KIND], "detail": {"environment": [NAME]}}
        events.put_rule(Name="question", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="question", Targets=[{"Id": "queue", "Arn": arn}])

    def look(self) -> list[dict[str, Any]]:
        """Every notice that came by now."""
        while messages := self.sqs.receive_message(QueueUrl=self.queue).get("Messages", []):
            for message in messages:
                self.read.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return self.read

    def wait(self, number: int = 1) -> dict[str, Any]:
        """The notice, when there are so many."""
        deadline = time.monotonic() + 120
        while len(self.look()) < number:
            assert time.monotonic() < deadline, "nobody was asked"
            time.sleep(0.1)
        detail: dict[str, Any] = self.read[-1]["detail"]
        return detail


def enter(command: str, **more: Any) -> dict[str, Any]:
    """What the function answers to a command of a notice."""
    payload = re.search("--payload '(.*)' ", command)
    assert payload, command
    return approval.handler(json.loads(payload[1]) | more, None)


@pytest.fixture
def person(region: Region, dead: Dead) -> Person:
    """The machines, a lost primary, and somebody who is asked."""
    region.deploy("failover", "heartbeat_check", ask=True, parse_deadline_seconds=30)
    become(region.account, "AVAILABLE")
    region.account.beat(20)
    dead(PRIMARY, "cloudwatch", "mwaa")
    region.answer_dags({"continuity_restore": restored, "continuity_go_live": gone_live})
    return Person(region)


def started(region: Region) -> str:
    """The one failover that a heartbeat check started."""
    assert region.entered(region.run("heartbeat_check", "tick-1")["executionArn"])[-1] == "FailoverStarted"
    (name,) = region.executions("failover")
    return region.execution("failover", name)


def test_a_lost_primary_is_taken_over_when_a_person_agrees(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    """Failure covered: the token of the waiting failover stands in a notice, a log, or the history of an execution."""
    region = person.region
    execution = started(region)
    asked = person.wait()
    assert asked["primary"] == PRIMARY
    assert asked["why"].startswith("Beats are missing")
    assert asked["without_answer"] == "nothing is taken over"
    assert region.account.lease()["holder"] == PRIMARY, "nothing was done before the answer"
    token = region.account.s3.get_object(Bucket=region.bucket, Key=f"work/{NAME}/{asked['request_id']}.json")
    secret = json.loads(token["Body"].read())["task_token"]
    assert secret not in json.dumps(person.read, default=str)
    item = region.account.dynamodb.scan(TableName=LEASES)["Items"]
    assert secret not in json.dumps(item)
    again = region.run("heartbeat_check", "tick-2")
    assert region.entered(again["executionArn"])[-1] == "Asking"

    assert enter(asked["approve"]) == {"outcome": "approved", "request_id": asked["request_id"]}
    done = region.wait(execution)
    assert done["status"] == "SUCCEEDED", done
    entered = region.entered(execution)
    assert entered.index("AskApproval") < entered.index("LookAgain") < entered.index("TakeLease")
    assert region.account.lease()["live"] is True
    assert len(person.look()) == 1, "one question"
    assert secret not in capsys.readouterr().out
    assert enter(asked["approve"])["outcome"] == "approved", "who enters it twice is told the same"
    with pytest.raises(QuestionClosed, match="was approved already"):
        enter(asked["refuse"])


def test_who_refuses_is_left_alone_for_some_time(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    region = person.region
    execution = started(region)
    asked = person.wait()
    assert enter(asked["refuse"])["outcome"] == "refused"
    done = region.wait(execution)
    assert (done["status"], done["error"]) == ("FAILED", "FailoverRefused")
    assert region.account.lease()["holder"] == PRIMARY
    quiet = region.run("heartbeat_check", "tick-2")
    assert region.entered(quiet["executionArn"])[-1] == "Asking"
    assert len(person.look()) == 1
    with pytest.raises(QuestionClosed, match="was refused already"):
        enter(asked["approve"])
    after = time.time() + 3601
    with monkeypatch.context() as later:
        later.setattr("mwaa_continuity.lease.time.time", lambda: after)
        rested = region.run("heartbeat_check", "tick-3")
    assert region.entered(rested["executionArn"])[-1] == "FailoverStarted"


@pytest.mark.parametrize("force", [False, True])
def test_a_primary_that_recovered_meanwhile_is_not_taken_over_unless_forced(person: Person, force: bool) -> None:
    region = person.region
    execution = started(region)
    asked = person.wait()
    verdict = {"verdict": "healthy", "why": "Beats arrive.", "status": "AVAILABLE"}
    PLAYED["heartbeat_check"] = lambda _event, _context: verdict
    try:
        enter(asked["approve"], force=force)
        done = region.wait(execution)
    finally:
        del PLAYED["heartbeat_check"]
    if force:
        assert done["status"] == "SUCCEEDED", done
        assert "LookAgain" not in region.entered(execution)
        return
    assert (done["status"], done["error"]) == ("FAILED", "NotUnhealthyAnyMore")
    assert "by now the verdict is healthy. Beats arrive." in done["cause"]
    assert region.account.lease()["holder"] == PRIMARY


@pytest.mark.parametrize(("without_answer", "end"), [("fail", "FailoverNotApproved"), ("proceed", None)])
def test_without_an_answer_it_ends_as_configured(
    person: Person, monkeypatch: pytest.MonkeyPatch, without_answer: str, end: str | None
) -> None:
    region = person.region
    monkeypatch.setenv("WITHOUT_ANSWER", without_answer)
    region.update_settings(
        "failover", ask=True, answer_seconds=3, without_answer=without_answer, parse_deadline_seconds=30
    )
    execution = started(region)
    asked = person.wait()
    done = region.wait(execution)
    assert (done["status"], done.get("error")) == ("FAILED" if end else "SUCCEEDED", end), done
    assert ("LookAgain" in region.entered(execution)) is (end is None)
    with pytest.raises(QuestionClosed, match="nobody waits for an answer"):
        enter(asked["approve"])


def test_two_failovers_ask_once(person: Person) -> None:
    """Failure covered: two questions for one outage, and two people who answer differently."""
    region = person.region
    first = region.start("failover", "one", reason=REASON, ask=True)
    asked = person.wait()
    second = region.run("failover", "two", reason="went_live", ask=True)
    assert (second["status"], region.entered(second["executionArn"])[-1]) == ("SUCCEEDED", "AskedAlready")
    assert not told_as_complete("failover", second["output"])
    assert asked["request_id"] == "one"
    assert len(person.look()) == 1
    with pytest.raises(BadInput, match="request_id is not that of the last question"):
        enter(asked["approve"].replace('"one"', '"two"'))
    with pytest.raises(BadInput, match="force is a string"):
        enter(asked["approve"], force="yes")
    enter(asked["approve"])
    assert region.wait(first)["status"] == "SUCCEEDED"


def test_what_is_no_boolean_starts_nothing(region: Region) -> None:
    """Failure covered: a dry run that is asked for as text is a failover."""
    region.deploy("failover")
    for fields in ({"dry_run": "true"}, {"ask": 1}, {"dry_run": None}):
        done = region.run("failover", f"bad-{next(iter(fields.values()))}", **fields)
        assert (done["status"], done["error"]) == ("FAILED", "BadInput")
    assert region.account.lease()["holder"] == PRIMARY


def test_a_dry_run_says_what_it_would_do_and_leaves_all_as_it_is(region: Region, dead: Dead) -> None:
    """Failure covered: a dry run that takes the lease, or is told as a completed failover."""
    region.deploy("failover")
    region.account.beat(20)
    dead(PRIMARY, "cloudwatch", "mwaa")
    before = (region.account.lease(), region.account.objects(), region.account.published("Unhealthy"))
    done = region.run("failover", "dry", dry_run=True, reason="went_live")
    assert done["status"] == "SUCCEEDED", done
    found = json.loads(done["output"])["dry_run"]
    assert found["would_fail_over"] is True
    assert found["by_itself"]["would"] == "failover"
    assert found["snapshot"]["rpo_seconds"] > 0
    assert region.entered(done["executionArn"])[-2:] == ["DryRun", "DryRunDone"]
    assert (region.account.lease(), region.account.objects(), region.account.published("Unhealthy")) == before
    assert not told_as_complete("failover", done["output"])
