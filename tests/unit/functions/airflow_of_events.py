"""A small Airflow for the event trigger's tests: datasets (2.x) or assets (3.x) and their events, behind a small MWAA.

Plus the queue as Lambda polls it. Faults are planted by `before` and `after`: functions that are called with each POST
before and after it is served, and may answer an error in its place.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3

from mwaa_continuity import event_trigger
from tests.unit.functions.mwaa_service import Answer, MwaaService

Fault = Callable[[str, dict[str, Any]], Answer | None]
PAGE = 50  # Airflow may be set to shorter pages than are asked for


class AirflowOfEvents(MwaaService):
    """Datasets by URI, dataset events in order."""

    def __init__(self) -> None:
        super().__init__()
        self.datasets: dict[str, int] = {}
        self.dataset_events: list[dict[str, Any]] = []
        self.before: Fault = lambda _path, _body: None
        self.after: Fault = lambda _path, _body: None
        self.lock = threading.Lock()

    def of_existing(self, operation: str, environment: dict[str, Any], body: dict[str, Any]) -> Answer:
        """InvokeRestApi with its query, for the Airflow version of the environment."""
        if operation != "InvokeRestApi":
            return super().of_existing(operation, environment, body)
        path, asked = body["Path"], body.get("Body") or {}
        assert len(path) <= 64
        with self.lock:
            if body["Method"] == "GET":
                return self.listed_datasets(environment, path, body["QueryParameters"])
            answer = self.before(path, asked) or self.post(environment, path, asked)
            return self.after(path, asked) or answer

    def post(self, environment: dict[str, Any], path: str, body: dict[str, Any]) -> Answer:
        """A dataset event or a DAG run."""
        if "/events" not in path:
            status, answer, error = self.rest("POST", path, body)
            if error and "409" in str(answer):
                answer["RestApiResponse"] = {"detail": f"DAGRun ID: '{body['dag_run_id']}' already exists"}
            return status, answer, error
        word = self.word(environment)
        assert path == f"/{word}s/events"
        key = body["dataset_uri"] if word == "dataset" else body["asset_id"]
        known = self.datasets if word == "dataset" else self.datasets.values()
        if key not in known:
            return self.rest_error(404)
        number = self.datasets[key] if word == "dataset" else key
        happened = {f"{word}_id": number, "extra": {**body["extra"], "from_rest_api": True}}
        happened["timestamp"] = datetime.now(UTC).isoformat()
        self.dataset_events.append(happened)
        return 200, {"RestApiStatusCode": 200, "RestApiResponse": happened}, ""

    def listed_datasets(self, environment: dict[str, Any], path: str, query: dict[str, Any]) -> Answer:
        """A page of datasets, or of their events."""
        word, offset = self.word(environment), int(query["offset"])
        if path == f"/{word}s":
            rows = [{"id": n, "uri": uri} for uri, n in self.datasets.items() if query["uri_pattern"] in uri]
            member = f"{word}s"
        else:
            assert path == f"/{word}s/events"
            assert query["order_by"] == "-timestamp"
            member = f"{word}_events"
            rows = [e for e in reversed(self.dataset_events) if e[f"{word}_id"] == int(query[f"{word}_id"])]
            if word == "asset":
                since = datetime.fromisoformat(query["timestamp_gte"])
                rows = [e for e in rows if datetime.fromisoformat(e["timestamp"]) >= since]
        page = rows[offset : offset + min(PAGE, int(query["limit"]))]
        answer = {member: page, "total_entries": len(rows)}
        return 200, {"RestApiStatusCode": 200, "RestApiResponse": answer}, ""

    @staticmethod
    def word(environment: dict[str, Any]) -> str:
        """What Airflow of that version calls a dataset."""
        return "dataset" if environment["AirflowVersion"].startswith("2") else "asset"

    def told(self) -> list[str]:
        """Which event each dataset event tells of."""
        return [happened["extra"]["continuity_event"] for happened in self.dataset_events]


class TriggerQueue:
    """The queue and its dead-letter queue, polled as Lambda does."""

    def __init__(self, region: str) -> None:
        self.sqs = boto3.client("sqs", region)
        self.dead_letter_url = self.sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
        attributes = {"VisibilityTimeout": "720", "MessageRetentionPeriod": "1209600"}
        self.url = self.sqs.create_queue(QueueName="events", Attributes=attributes)["QueueUrl"]

    def send(self, *bodies: Any) -> None:
        """Send messages: JSON documents, or text as it is."""
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(number), "MessageBody": body if isinstance(body, str) else json.dumps(body)}
                for number, body in enumerate(bodies[start : start + 10])
            ]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def poll(self) -> tuple[int, int]:
        """Hand one batch to the function; how many messages it got, and how many stay."""
        found = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        ).get("Messages", [])
        if not found:
            return 0, 0
        answer = event_trigger.handler({"Records": [record(message) for message in found]}, None)
        left = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in found:
            if message["MessageId"] not in left:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return len(found), len(left)

    def drain(self, seconds: float = 120) -> None:
        """Poll until no message is left."""
        deadline = time.monotonic() + seconds
        while self.depth() and time.monotonic() < deadline:
            if not self.poll()[0]:
                time.sleep(0.02)
        assert not self.depth()

    def depth(self) -> int:
        """Messages in the queue, those that wait included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def dead_letters(self) -> list[dict[str, str]]:
        """What the dead-letter queue holds: body and attributes of each message; takes them out."""
        letters = []
        while True:
            found = self.sqs.receive_message(
                QueueUrl=self.dead_letter_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            ).get("Messages", [])
            if not found:
                return letters
            for message in found:
                told = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
                letters.append({"body": message["Body"], **told})
                self.sqs.delete_message(QueueUrl=self.dead_letter_url, ReceiptHandle=message["ReceiptHandle"])


def record(message: dict[str, Any]) -> dict[str, Any]:
    """A message as Lambda hands it over."""
    attributes = {
        name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
    }


def bridge_event(key: str, version: str = "v1", bucket: str = "landing", **members: Any) -> dict[str, Any]:
    """An event of S3 as EventBridge sends it: keys as they are."""
    stored = {"key": key, "size": 5, "etag": "e", "version-id": version, "sequencer": f"0{version}"}
    return {
        "version": "0",
        "id": f"id-{key}-{version}",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-11-21T08:00:00Z",
        "region": "us-west-2",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {"bucket": {"name": bucket}, "object": stored, "reason": "PutObject"},
    } | members


def notification(*encoded: str, version: str = "v1", bucket: str = "landing", name: str = "Put") -> dict[str, Any]:
    """S3's own notification: keys URL-encoded."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-west-2",
                "eventTime": "2026-11-21T08:00:00.000Z",
                "eventName": f"ObjectCreated:{name}",
                "s3": {
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": {"key": key, "size": 5, "eTag": "e", "versionId": version, "sequencer": f"0{version}"},
                },
            }
            for key in encoded
        ]
    }
