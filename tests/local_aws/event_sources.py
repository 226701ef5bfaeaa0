"""Lambda's event source mappings of queues: what receives messages, invokes the function and deletes what was done.

As AWS does it: under the function's role, in batches, so many invocations at a time, with `ReportBatchItemFailures`.
What was not done is shown again when the queue's visibility timeout has run out, or the function said otherwise.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.lambda_runtime import LambdaRuntime
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.runtime_api import Outcome
from tests.local_aws.sessions import assume_as_service

_EVERY_SECONDS = 0.5
_LONG_POLL_SECONDS = 5
#: What AWS begins with where nothing bounds it.
_POLLERS = 5
_AFTER_FAILURE_SECONDS = 2.0


class EventSources:
    """One thread for each invocation that a mapping may have at a time."""

    def __init__(self, platform: LocalPlatform, runtime: LambdaRuntime) -> None:
        self._platform = platform
        self._runtime = runtime
        self._pollers: dict[tuple[str, int], threading.Thread] = {}

    def install(self) -> None:
        """Keep moto from invoking functions itself, within the call that sends a message."""
        from moto.sqs.models import Queue

        add_message = Queue.add_message

        def only_adding(queue: Any, message: Any) -> None:
            queue.lambda_event_source_mappings.clear()
            add_message(queue, message)

        Queue.add_message = only_adding

    def start(self) -> None:
        """Poll in the background until the stand-in stops."""
        threading.Thread(target=self._run, name="event sources", daemon=True).start()

    def _run(self) -> None:
        while not self._platform.stopping.wait(_EVERY_SECONDS):
            for region, mapping in self._mappings():
                for slot in range(_concurrency(mapping)):
                    self._ensure_poller(region, mapping, slot)

    def _mappings(self) -> list[tuple[str, Any]]:
        from moto.awslambda.models import lambda_backends

        return [
            (region, mapping)
            for region, backend in list(lambda_backends[ACCOUNT_ID].items())
            for mapping in list(backend._event_source_mappings.values())
            if mapping.event_source_arn.split(":")[2] == "sqs"
        ]

    def _ensure_poller(self, region: str, mapping: Any, slot: int) -> None:
        running = self._pollers.get((mapping.uuid, slot))
        if mapping.enabled and not (running and running.is_alive()):
            poller = threading.Thread(target=self._poll, args=(region, mapping, slot), daemon=True)
            self._pollers[mapping.uuid, slot] = poller
            poller.start()

    def _poll(self, region: str, mapping: Any, slot: int) -> None:
        """Batch after batch, as long as the mapping is there, enabled, and as wide."""
        while not self._platform.stopping.is_set():
            there = any(one is mapping for _, one in self._mappings())
            if not (there and mapping.enabled and slot < _concurrency(mapping)):
                return
            if self._platform.is_down(region):
                self._platform.stopping.wait(_AFTER_FAILURE_SECONDS)
                continue
            try:
                self._take_batch(region, mapping)
            except Exception as error:  # noqa: BLE001  # a thread of its own: the time line is where its failures are seen
                if self._platform.stopping.wait(_AFTER_FAILURE_SECONDS) or self._platform.is_down(region):
                    continue
                self._platform.record("event_source_failed", region, source=mapping.event_source_arn, why=repr(error))

    def _take_batch(self, region: str, mapping: Any) -> None:
        from moto.awslambda.models import lambda_backends

        function = lambda_backends[ACCOUNT_ID][region].get_function(mapping.function_arn)
        session = assume_as_service(
            function.role, "lambda.amazonaws.com", function.function_name, function.function_arn
        )
        queues = self._platform.session_client("sqs", region, session)
        url = f"{self._platform.endpoint_url}/{ACCOUNT_ID}/{mapping.event_source_arn.rsplit(':', 1)[-1]}"
        queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])  # AWS keeps an eye on them, as the role
        messages = queues.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(mapping.batch_size, 10),
            WaitTimeSeconds=_LONG_POLL_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return
        records = [_record(message, mapping.event_source_arn, region) for message in messages]
        outcome, _ = self._runtime.run(function, json.dumps({"Records": records}).encode())
        failed = failed_of(outcome, {message["MessageId"] for message in messages}, mapping.function_response_types)
        for message in messages:
            if message["MessageId"] not in failed:
                queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def failed_of(outcome: Outcome, sent: set[str], response_types: list[str] | None) -> set[str]:
    """Ids of the messages that were not done: all of them where the function failed, or answered nonsense."""
    if not outcome.succeeded:
        return sent
    if "ReportBatchItemFailures" not in (response_types or []):
        return set()
    try:
        answer = json.loads(outcome.payload or b"null") or {}
        failed = {entry["itemIdentifier"] for entry in answer.get("batchItemFailures") or []}
    except (ValueError, TypeError, KeyError, AttributeError):
        return sent
    return failed if failed <= sent else sent


def _concurrency(mapping: Any) -> int:
    return int((mapping.scaling_config or {}).get("MaximumConcurrency", _POLLERS))


def _record(message: dict[str, Any], source: str, region: str) -> dict[str, Any]:
    """A message as a function gets it."""
    attributes = {
        name: {"dataType": value["DataType"], "stringListValues": [], "binaryListValues": []}
        | ({"stringValue": value["StringValue"]} if "StringValue" in value else {})
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": source,
        "awsRegion": region,
    }
