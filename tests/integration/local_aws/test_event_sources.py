"""Queues that invoke functions, and rules of EventBridge that send to queues."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.local_aws.helpers import ACCOUNT, HOME, LOGGING, allow, make_function, make_role
from tests.local_aws.event_sources import failed_of
from tests.local_aws.fixtures import RunningStandIn
from tests.local_aws.runtime_api import Outcome
from tests.waiting import until

_SOURCE = """
def handler(event, context):
    print("batch", sorted(record["body"] for record in event["Records"]))
    if any(record["body"] == "poison" for record in event["Records"]):
        raise RuntimeError("the whole batch")
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}
"""
_TAKING = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


def _queue(stand_in: RunningStandIn, name: str, **attributes: str) -> tuple[str, str]:
    """URL and ARN of a new queue."""
    url = stand_in.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:{HOME}:{ACCOUNT}:{name}"


def _bodies(stand_in: RunningStandIn, url: str) -> list[str]:
    found = stand_in.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [str(message["Body"]) for message in found.get("Messages", [])]


def test_what_was_not_done_comes_again_and_ends_in_the_dead_letter_queue(stand_in: RunningStandIn) -> None:
    dead_url, dead_arn = _queue(stand_in, "sources-dead")
    redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2}
    url, arn = _queue(stand_in, "sources", VisibilityTimeout="1", RedrivePolicy=json.dumps(redrive))
    role = make_role(stand_in, "sources", "lambda.amazonaws.com", LOGGING, allow(_TAKING, arn))
    make_function(stand_in, "sources", _SOURCE, role)
    mapping = stand_in.client("lambda").create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName="sources",
        FunctionResponseTypes=["ReportBatchItemFailures"],
        ScalingConfig={"MaximumConcurrency": 2},
    )
    # One that fails its whole batch comes by itself, or what comes with it would never be done.
    for sent, ends in ((["good", "bad"], {"bad"}), (["poison"], {"bad", "poison"})):
        for body in sent:
            stand_in.client("sqs").send_message(QueueUrl=url, MessageBody=body)
        until("bad ones in the dead-letter queue", lambda ends=ends: set(_bodies(stand_in, dead_url)) >= ends, 120)
    stand_in.client("lambda").delete_event_source_mapping(UUID=mapping["UUID"])
    assert set(_bodies(stand_in, dead_url)) == {"bad", "poison"}
    assert _bodies(stand_in, url) == []
    actions = {line["action"] for line in stand_in.get("authz") if line["resource"] == arn}
    assert set(_TAKING) <= actions


def test_a_function_that_may_not_receive_gets_nothing(stand_in: RunningStandIn) -> None:
    url, arn = _queue(stand_in, "sources-closed")
    role = make_role(stand_in, "sources-closed", "lambda.amazonaws.com", LOGGING)
    make_function(stand_in, "sources-closed", _SOURCE, role)
    mapping = stand_in.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName="sources-closed")
    stand_in.client("sqs").send_message(QueueUrl=url, MessageBody="good")

    def failures() -> list[dict[str, Any]]:
        return stand_in.events("event_source_failed", source=arn)

    until("a refusal on the time line", failures, 60)
    stand_in.client("lambda").delete_event_source_mapping(UUID=mapping["UUID"])
    assert "AccessDenied" in failures()[0]["why"]
    assert _bodies(stand_in, url) == ["good"]


def test_a_rule_sends_to_a_queue_only_where_its_policy_admits_it(stand_in: RunningStandIn) -> None:
    sent: dict[str, str] = {}
    rules, queues = stand_in.client("events"), stand_in.client("sqs")
    for name, rule in (("sources-open", "sources-open"), ("sources-shut", "another")):
        url, arn = _queue(stand_in, name)
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:{HOME}:{ACCOUNT}:rule/{rule}"}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        rules.put_rule(Name=name, EventPattern=json.dumps({"source": ["tests"]}))
        template = {"InputTemplate": '{"rule":"x","event":<aws.events.event.json>}'}
        rules.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn, "InputTransformer": template}])
        sent[name] = url
    rules.put_events(Entries=[{"Source": "tests", "DetailType": "kind", "Detail": json.dumps({"a": 'b"'})}])
    body = until("the message", lambda: _bodies(stand_in, sent["sources-open"]), 60)[0]
    assert json.loads(body)["event"]["detail"] == {"a": 'b"'}
    lost = until("the loss on the time line", lambda: stand_in.events("event_lost", rule="sources-shut"), 60)
    assert "does not admit events.amazonaws.com" in lost[0]["why"]
    assert _bodies(stand_in, sent["sources-shut"]) == []


def test_answers_that_say_nothing_sensible_fail_the_whole_batch() -> None:
    def failed(answer: bytes, *, succeeded: bool = True, partial: bool = True) -> set[str]:
        return failed_of(Outcome(succeeded, answer), {"1", "2"}, ["ReportBatchItemFailures"] if partial else None)

    assert failed(b'{"batchItemFailures": [{"itemIdentifier": "2"}]}') == {"2"}
    for nothing_failed in (b"null", b"{}", b'{"batchItemFailures": []}', b'{"batchItemFailures": null}'):
        assert failed(nothing_failed) == set()
    for nonsense in (b"[1]", b'{"batchItemFailures": [{"itemIdentifier": ""}]}', b'{"batchItemFailures": [{}]}'):
        assert failed(nonsense) == {"1", "2"}
    assert failed(b"{}", succeeded=False) == {"1", "2"}
    assert failed(b'{"batchItemFailures": [{"itemIdentifier": "2"}]}', partial=False) == set()
