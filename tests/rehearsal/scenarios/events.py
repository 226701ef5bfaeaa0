"""New objects become dataset events and runs, each once, while the environment is awake and while it sleeps; the
first one that comes while it sleeps brings it back."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from tests.rehearsal import checks, database, source, wanted
from tests.rehearsal.checks import Facts
from tests.rehearsal.rehearsal import Rehearsal
from tests.rehearsal.report import Check
from tests.rehearsal.scenarios.hibernate import AFTER, BEFORE, REGION, Hibernate

BUCKET = "rehearsal-landing"
DATASET = f"s3://{BUCKET}/orders"
DAGS = {"orders_arrived", "load"}
WORKLOAD = Path(__file__).parents[1] / "workload_of_events"
#: Objects that come in a burst: how many for the dataset, and how many for the DAG.
BURST = {"orders": 40, "loads": 4}
WHILE_ASLEEP = {"orders": 20, "loads": 2}
#: Every so many-th object is told of twice.
TWICE = 3
#: Messages that no second attempt would deliver, and the reason with which each is refused.
BAD = {
    "this is no event": "malformed",
    json.dumps({"Records": [{"eventName": "ObjectCreated:Put"}]}): "malformed",
    json.dumps({"rule": "gone", "event": {"id": "1", "source": "a", "detail-type": "b", "detail": {}}}): "no_rule",
}


class Events(Hibernate):
    """As `hibernate`, with objects that arrive before and during the sleep; one of them is what ends it."""

    name = "events"
    woken_by = "first event"

    def __init__(self, rehearsal: Rehearsal) -> None:
        super().__init__(rehearsal)
        self.variables = {
            "event_trigger": {
                "wake": True,
                "rules": [
                    {"name": "orders", "buckets": [BUCKET], "prefix": "orders/", "suffix": ".csv", "dataset": DATASET},
                    {"name": "loads", "buckets": [BUCKET], "prefix": "loads/", "dag_id": "load"},
                ],
            }
        }
        #: Keys of the objects that were put, by their folder.
        self.put: dict[str, list[str]] = {folder: [] for folder in BURST}
        self.told_twice = 0

    def checks(self, facts: Facts) -> list[Check]:
        """What events ask for, beside what a sleep does."""
        return [*super().checks(facts), self._once(), self._consumed(facts), self._refused(), self._nothing_waits()]

    def remove_stateless(self) -> None:
        """The bucket is somebody else's: it belongs to no state."""
        super().remove_stateless()
        s3 = self.rehearsal.local.client("s3", REGION)
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
            for version in page.get("Versions", []):
                s3.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
        s3.delete_bucket(Bucket=BUCKET)

    def _create(self) -> None:
        """The environment, the bucket that tells EventBridge of its objects, and the DAGs that they lead to."""
        super()._create()
        s3 = self.rehearsal.local.client("s3", REGION)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        source.upload_folder(s3, self.rehearsal.outputs[BEFORE.root]["dag_bucket"]["name"], source.DAG_PREFIX, WORKLOAD)

    def _while_awake(self) -> None:
        """A burst of objects, some told of twice, and messages that are no events."""
        rehearsal = self.rehearsal
        url, api = rehearsal.database_url(BEFORE), rehearsal.api(BEFORE)
        with rehearsal.progress.step("events of a burst of objects"):
            rehearsal.wait(lambda: wanted.parsed(url, DAGS, rehearsal.major), 120, "the DAGs of events parsed")
            for dag_id in sorted(DAGS):
                api.pause(dag_id, paused=False)
            self._put_objects("awake", BURST)
            for message in BAD:
                self._send(message)
            rehearsal.wait(partial(self._behind, url), 240, "every event delivered")

    def _wake(self) -> None:
        """Objects arrive; nobody fires a schedule."""
        self._put_objects("asleep", WHILE_ASLEEP)

    def _after(self) -> None:
        """Until every event is delivered, and what was told of twice has been looked at again."""
        rehearsal = self.rehearsal
        with rehearsal.progress.step("events that came while it slept"):
            rehearsal.wait(partial(self._behind, rehearsal.database_url(AFTER)), 300, "every event delivered")
            rehearsal.wait(self._waiting, 300, "an empty queue")

    def _put_objects(self, when: str, how_many: dict[str, int]) -> None:
        s3 = self.rehearsal.local.client("s3", REGION)
        s3.put_object(Bucket=BUCKET, Key=f"others/{when}.txt", Body=b"no rule takes it")
        for folder, count in how_many.items():
            for number in range(count):
                key = f"{folder}/{when} {number:03} ü+&=.csv"
                answer = s3.put_object(Bucket=BUCKET, Key=key, Body=b"a,b\r\n")
                self.put[folder].append(key)
                if number % TWICE == 0:
                    self._send(json.dumps(notification(key, answer["VersionId"])))
                    self.told_twice += 1

    def _send(self, message: str) -> None:
        queue = self.rehearsal.outputs[BEFORE.root]["event_queue"]["events"]
        self.rehearsal.local.client("sqs", REGION).send_message(QueueUrl=queue["url"], MessageBody=message)

    def _delivered(self, url: str) -> dict[str, Counter[str]]:
        """How often each object's event is in the metadata database, by its folder."""
        word = "asset" if self.rehearsal.major >= 3 else "dataset"
        told = database.query(
            url,
            f"SELECT e.extra::json->>'key' FROM {word}_event e JOIN {word} d ON d.id = e.{word}_id WHERE d.uri = %s",  # noqa: S608
            (DATASET,),
        )
        runs = self.rehearsal.api(AFTER).call("GET", "/dags/load/dagRuns", limit=100)["dag_runs"]
        return {
            "orders": Counter(str(key) for (key,) in told),
            "loads": Counter(str(run["conf"]["event"]["key"]) for run in runs),
        }

    def _behind(self, url: str) -> str:
        delivered = self._delivered(url)
        missing = {folder: set(keys) - delivered[folder].keys() for folder, keys in self.put.items()}
        return ", ".join(f"{len(keys)} {folder}" for folder, keys in missing.items() if keys)

    def _once(self) -> Check:
        """Each object led to one event of its kind, whatever was sent how often."""
        delivered = self._delivered(self.rehearsal.database_url(AFTER))
        wrong = [
            f"{key}: {delivered[folder][key]}"
            for folder, keys in self.put.items()
            for key in {*keys, *delivered[folder]}
            if delivered[folder][key] != keys.count(key)
        ]
        detail = ", ".join(f"{len(keys)} {folder}" for folder, keys in self.put.items())
        return Check(
            "each object led to one dataset event or run",
            not wrong and self.told_twice > 0,
            checks.show(wrong) or f"{detail}; {self.told_twice} of them were told of twice",
        )

    def _consumed(self, facts: Facts) -> Check:
        """What they led to ran, in both lives, and no run of it twice."""
        ran = {
            where: Counter(effect.key for effect in facts.of(where, "start") if effect.key[0] in DAGS)
            for where in (facts.source, facts.target)
        }
        missing = [f"{dag_id} {where}" for where, keys in ran.items() for dag_id in DAGS - {key[0] for key in keys}]
        again = [" ".join(map(str, key)) for key in ran[facts.source].keys() & ran[facts.target].keys()]
        wrong = [f"did not run: {checks.show(missing)}"] if missing else []
        wrong += [f"ran twice: {checks.show(again)}"] if again else []
        detail = ", ".join(f"{len(keys)} tasks {where}" for where, keys in ran.items())
        return Check("what events led to ran, before the sleep and after it", not wrong, "; ".join(wrong) or detail)

    def _refused(self) -> Check:
        """Each bad message lies in the dead-letter queue with its reason."""
        queue = self.rehearsal.outputs[AFTER.root]["event_queue"]["dead_letters"]
        client = self.rehearsal.local.client("sqs", REGION)
        found: dict[str, str] = {}
        while messages := client.receive_message(
            QueueUrl=queue["url"], MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
        ).get("Messages"):
            found |= {m["Body"]: m["MessageAttributes"]["reason"]["StringValue"] for m in messages}
        detail = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(found.values()).items()))
        return Check("each bad event is in the dead-letter queue with its reason", found == BAD, detail or "none is")

    def _waiting(self) -> str:
        """How many messages are in the queue, visible or not; empty where there is none."""
        queue = self.rehearsal.outputs[AFTER.root]["event_queue"]["events"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        client = self.rehearsal.local.client("sqs", REGION)
        left = client.get_queue_attributes(QueueUrl=queue["url"], AttributeNames=names)["Attributes"]
        return ", ".join(f"{name} {count}" for name, count in left.items() if int(count))

    def _nothing_waits(self) -> Check:
        waiting = self._waiting()
        return Check("no event is left in the queue", not waiting, waiting or "it is empty")


def notification(key: str, version: str) -> dict[str, Any]:
    """S3's own notification of an object: the same event, in another wrapping."""
    stored = {"key": quote_plus(key), "versionId": version, "eTag": "e", "size": 5, "sequencer": "0"}
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": datetime.now(UTC).isoformat(),
        "awsRegion": REGION,
        "s3": {"bucket": {"name": BUCKET}, "object": stored},
    }
    return {"Records": [record]}
