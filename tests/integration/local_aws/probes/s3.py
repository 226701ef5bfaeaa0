"""Probes of the patches of s3."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.local_aws.probes.inside import ACCOUNT, ROLE, client


def _replicated_bucket(s3: Any) -> None:
    for name in ("source", "target"):
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "ID": "r",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": "snapshots/"},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {"Bucket": "arn:aws:s3:::target", "EncryptionConfiguration": {"ReplicaKmsKeyID": "k"}},
    }
    s3.put_bucket_replication(Bucket="source", ReplicationConfiguration={"Role": ROLE, "Rules": [rule]})


def bucket_policy_conditions() -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    return s3.get_object(Bucket="bucket", Key="k")["Body"].read().decode()


def replication_configuration() -> Any:
    s3 = client("s3")
    _replicated_bucket(s3)
    rule = s3.get_bucket_replication(Bucket="source")["ReplicationConfiguration"]["Rules"][0]
    return [rule["Filter"], rule["DeleteMarkerReplication"], rule.get("SourceSelectionCriteria")]


def notification_to_event_bridge() -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_notification_configuration(
        Bucket="bucket", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return s3.get_bucket_notification_configuration(Bucket="bucket").get("EventBridgeConfiguration")


def events_of_objects() -> Any:
    s3, events, queues = client("s3"), client("events"), client("sqs")
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_notification_configuration(
        Bucket="bucket", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    url = queues.create_queue(QueueName="told")["QueueUrl"]
    events.put_rule(Name="objects", EventPattern=json.dumps({"detail-type": ["Object Created"]}))
    events.put_targets(Rule="objects", Targets=[{"Id": "queue", "Arn": "arn:aws:sqs:us-east-1:123456789012:told"}])
    for body in (b"x", b"y"):
        s3.put_object(Bucket="bucket", Key="k", Body=body)
    told = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    one, other = (json.loads(message["Body"]) for message in told)
    orders = [event["detail"]["object"]["sequencer"] for event in (one, other)]
    return [one["id"] == other["id"], orders[0] < orders[1], "etag" in one["detail"]["object"]]


def delete_markers() -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    s3.delete_object(Bucket="bucket", Key="k")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Suspended"})
    s3.delete_object(Bucket="bucket", Key="k")
    return "deleted"


def replication_status() -> Any:
    from moto.s3.models import s3_backends

    s3 = client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    s3_backends[ACCOUNT]["aws"].get_object("bucket", "k").replication_status = "COMPLETED"
    return s3.head_object(Bucket="bucket", Key="k").get("ReplicationStatus")
