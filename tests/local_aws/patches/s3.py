"""Patches of moto's S3."""

from __future__ import annotations

import itertools
import time
import uuid
from typing import Any

import xmltodict
from moto.events.models import events_backends
from moto.iam.access_control import PermissionResult
from moto.s3 import models, notifications, responses

from tests.local_aws.authz.evaluate import Decision, Request, evaluate
from tests.local_aws.authz.policies import bucket_statements
from tests.local_aws.contract import ACCOUNT_ID


def bucket_policy_conditions() -> None:
    """moto ignores conditions: a policy that denies plain HTTP denies everything. AWS applies a statement if they hold.

    Calls of roles are judged by the authorizer before they come here; this is what the account's administrator meets.
    """

    def get_permission(bucket: Any, action: str, resource: str) -> PermissionResult:
        root = {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}
        decision = evaluate(
            bucket_statements(bucket.name), Request(action, resource, {"aws:SecureTransport": "true"}, root)
        )
        return {
            Decision.ALLOWED: PermissionResult.PERMITTED,
            Decision.EXPLICITLY_DENIED: PermissionResult.DENIED,
            Decision.IMPLICITLY_DENIED: PermissionResult.NEUTRAL,
        }[decision]

    models.FakeBucket.get_permission = get_permission


def notification_to_event_bridge() -> None:
    """moto does not tell of EventBridge in GetBucketNotificationConfiguration: every plan sets it again. AWS does."""
    get_bucket_notification = responses.S3Response.get_bucket_notification

    def with_event_bridge(response: Any) -> Any:
        found = response.backend.get_bucket_notification_configuration(response.bucket_name)
        if found is None or found.event_bridge is None:
            return get_bucket_notification(response)
        response.data["Action"] = "GetBucketNotification"
        if found.topic or found.queue or found.cloud_function:
            raise NotImplementedError("EventBridge beside topics, queues or functions")
        body = {"@xmlns": "http://s3.amazonaws.com/doc/2006-03-01/", "EventBridgeConfiguration": None}
        return xmltodict.unparse({"NotificationConfiguration": body})

    responses.S3Response.get_bucket_notification = with_event_bridge


def replication_configuration() -> None:
    """moto answers GetBucketReplication with four fields of a rule and an empty filter. AWS answers what was put."""

    def get_bucket_replication(response: Any) -> Any:
        response.data["Action"] = "GetBucketReplication"
        replication = response.backend.get_bucket_replication(response.bucket_name)
        if not replication:
            raise responses.ReplicationConfigurationNotFoundError(bucket_name=response.bucket_name)
        rules = [{k: v for k, v in rule.items() if not k.startswith("@")} for rule in replication["Rule"]]
        body = {"@xmlns": "http://s3.amazonaws.com/doc/2006-03-01/", "Role": replication["Role"], "Rule": rules}
        return xmltodict.unparse({"ReplicationConfiguration": body})

    responses.S3Response.get_bucket_replication = get_bucket_replication


def replication_status() -> None:
    """moto never tells an object's replication status. AWS sends x-amz-replication-status."""
    original = models.FakeKey.response_dict.fget

    def response_dict(key: Any) -> dict[str, Any]:
        headers: dict[str, Any] = original(key)
        if status := getattr(key, "replication_status", None):
            headers["x-amz-replication-status"] = status
        return headers

    models.FakeKey.response_dict = property(response_dict)


def delete_markers() -> None:
    """moto cannot drop a key that was deleted once, when versioning is suspended: its delete markers lack a method."""

    def dispose(_: Any) -> None:
        """A marker holds no value."""

    models.FakeDeleteMarker.dispose = dispose


def events_of_objects() -> None:
    """moto gives every event of EventBridge one id and one sequencer, and misspells `etag`. AWS tells them apart."""
    order = itertools.count(time.time_ns())

    def send(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": notifications._detail_type(event_name),
            "source": "aws.s3",
            "account": account_id,
            "time": time.time(),
            "region": bucket.region_name,
            "resources": [bucket.arn],
            "detail": {
                "version": "0",
                "bucket": {"name": bucket.name},
                "object": {
                    "key": key.name,
                    "size": key.size,
                    "etag": key.etag.replace('"', ""),
                    "sequencer": f"{next(order):018X}",
                    **({"version-id": key.version_id} if bucket.is_versioned else {}),
                },
                "requester": account_id,
                "reason": event_name.split(":")[1],
            },
        }
        for bus in events_backends[account_id][bucket.region_name].event_buses.values():
            for rule in list(bus.rules.values()):
                rule.send_to_targets(event, transform_input=False)

    notifications._send_event_bridge_message = send


PATCHES = [
    bucket_policy_conditions,
    delete_markers,
    events_of_objects,
    notification_to_event_bridge,
    replication_configuration,
    replication_status,
]
