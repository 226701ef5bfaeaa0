"""approval: ask a person whether to fail over, and hand the answer to the failover that waits for it.

The task token lies in one object of the snapshot bucket, as those of the DAGs do. Who answers names the request.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import app, aws, dag_runs, events
from mwaa_continuity.app import Result
from mwaa_continuity.errors import BadInput, QuestionClosed, Transient
from mwaa_continuity.events import Event
from mwaa_continuity.lease_table import home_of_lease
from mwaa_continuity.log import Log
from mwaa_continuity.question import (
    APPROVED,
    OPEN,
    REFUSED,
    Question,
    answered,
    asked,
    read_question,
    write_question,
)
from mwaa_continuity.settings import Settings, variable, whole_number
from mwaa_continuity.stored_spec import read_object

#: Of the event by which the notice goes out.
SOURCE: Final = "mwaa-continuity"
KIND: Final = "Failover Wants Approval"
ATTEMPTS: Final = 5
#: What Step Functions says of a token for which nobody waits any more.
NOBODY_WAITS: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    return app.run("approval", {"ask": ask, "approve": approve, "refuse": refuse}, event, context)


def ask(event: Event, log: Log) -> Result:
    """Leave the task token and ask by a notice, once. Where another question stands, the failover is told so."""
    settings = Settings.read()
    bucket, table = variable("SNAPSHOT_BUCKET"), variable("LEASE_TABLE")
    seconds, rest_seconds = whole_number("ANSWER_SECONDS"), whole_number("REST_SECONDS")
    request_id = events.request_id(event)
    reason = events.text(event, "reason")[:1000]
    token = events.text(event, "task_token", "the token of the waiting state")
    dynamodb = home_of_lease()
    for _ in range(ATTEMPTS):
        seen = read_question(dynamodb, table)
        wanted = asked(seen, request_id, int(time.time()), seconds=seconds, rest_seconds=rest_seconds)
        if wanted is None:
            log.info("asked already")
            answer(token, {"outcome": "asked_already"})
            return {"outcome": "asked_already"}
        if wanted == seen or write_question(dynamodb, table, seen, wanted):
            dag_runs.write_token(bucket, settings.environment, request_id, token)
            if not wanted.told:
                tell(settings, wanted, reason, wanted.asked_at + seconds)
                write_question(dynamodb, table, wanted, replace(wanted, told=True))
            log.info("asked")
            return {"outcome": "asked"}
    raise Transient(f"the question changed {ATTEMPTS} times while it was being asked")


def tell(settings: Settings, question: Question, reason: str, until: int) -> None:
    """Put the event that becomes the notice."""
    detail = {
        "environment": settings.environment,
        "primary": variable("PRIMARY_REGION"),
        "why": reason,
        "request_id": question.request_id,
        "until": datetime.fromtimestamp(until, UTC).isoformat().replace("+00:00", "Z"),
        "without_answer": {"fail": "nothing is taken over", "proceed": "it goes on if the primary still is unhealthy"}[
            variable("WITHOUT_ANSWER")
        ],
        "approve": command(settings, "approve", question.request_id),
        "refuse": command(settings, "refuse", question.request_id),
    }
    entry = {"Source": SOURCE, "DetailType": KIND, "Detail": json.dumps(detail)}
    refused = aws.client("events").put_events(Entries=[entry])["Entries"][0].get("ErrorCode")
    if refused:
        raise Transient(f"EventBridge did not take the notice: {refused}")


def command(settings: Settings, action: str, request_id: str) -> str:
    """What a person enters to answer."""
    payload = json.dumps({"action": action, "request_id": request_id})
    return (
        f"aws lambda invoke --region {settings.region} --function-name {variable('AWS_LAMBDA_FUNCTION_NAME')}"
        f" --cli-binary-format raw-in-base64-out --payload '{payload}' /dev/stdout"
    )


def approve(event: Event, log: Log) -> Result:
    """Let the failover go on; `force`: without another look at the primary."""
    return give(event, APPROVED, {"outcome": APPROVED, "force": events.flag(event, "force")}, log)


def refuse(event: Event, log: Log) -> Result:
    """End the failover; nobody is asked again for some time."""
    return give(event, REFUSED, {"outcome": REFUSED, "force": False}, log)


def give(event: Event, state: str, said: Result, log: Log) -> Result:
    """Keep the first answer and hand it over; the same one again is handed over once more, in case it got lost.

    Raises QuestionClosed, each time, where the other answer was given, or where this one reached nobody.
    """
    settings = Settings.read()
    bucket, table = variable("SNAPSHOT_BUCKET"), variable("LEASE_TABLE")
    rest_seconds = whole_number("REST_SECONDS")
    request_id = events.request_id(event)
    dynamodb = home_of_lease()
    seen = read_question(dynamodb, table)
    if seen is None or seen.request_id != request_id:
        raise BadInput("request_id is not that of the last question; accepted: the one in its notice")
    first = seen.state == OPEN
    if not first and seen.state != state:
        raise QuestionClosed(f"the question {request_id} was {seen.state} already")
    kept = answered(seen, state, int(time.time()), rest_seconds) if first else seen
    if first and not write_question(dynamodb, table, seen, kept):
        raise Transient("the question changed while it was being answered")
    stored = read_object(aws.client("s3"), bucket, f"work/{settings.environment}/{request_id}.json")
    waits = stored is not None and answer(json.loads(stored.body)["task_token"], said)
    if waits and not kept.handed_over:
        write_question(dynamodb, table, kept, replace(kept, handed_over=True))
    if not waits and not kept.handed_over:
        raise QuestionClosed(f"nobody waits for an answer to {request_id} any more: it came too late")
    log.info("answered", outcome=state)
    return {"outcome": state, "request_id": request_id}


def answer(token: str, output: dict[str, Any]) -> bool:
    """Hand an answer to the failover. False where it does not wait for one any more."""
    try:
        aws.client("stepfunctions").send_task_success(taskToken=token, output=json.dumps(output))
    except ClientError as error:
        if aws.code(error) in NOBODY_WAITS:
            return False
        raise
    return True
