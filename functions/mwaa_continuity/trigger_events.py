"""What a message of the trigger queue tells of: S3 events and others, unwrapped from EventBridge, S3 or SNS.

Keys arrive as they are from EventBridge, and URL-encoded in S3's own notifications.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from mwaa_continuity.errors import ContinuityError

#: Kinds of events of S3, as EventBridge calls them, by the first part of the name in S3's own notifications.
KINDS: Final[Mapping[str, str]] = {"ObjectCreated": "Object Created", "ObjectRemoved": "Object Deleted"}
CREATED: Final = "Object Created"
#: Kinds that happen once to a version of an object; others, such as a restore or new tags, happen again.
ONCE_A_VERSION: Final = frozenset({CREATED, "Object Deleted"})


class BadEvent(ContinuityError):
    """An event that no second attempt would deliver: `reason` is one word, the message says what is wrong."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class StoredObject:
    """An object that came into a bucket."""

    bucket: str
    key: str


@dataclass(frozen=True)
class TriggerEvent:
    """One event. Its `id` is the same however often, and in whatever wrapping, it arrives."""

    id: str
    rule: str  #: the rule that EventBridge chose, or "" where the rules are asked
    stored: StoredObject | None  #: none for what is no new object
    content: Mapping[str, Any]  #: what a DAG learns of it
    raw: Mapping[str, Any]  #: a message that holds this event alone


def unwrap(body: str) -> list[TriggerEvent | BadEvent]:
    """The events of a message, none for S3's test of a notification. Raises `BadEvent` for what is no event."""
    return events_of(as_object(body))


def as_object(body: object) -> Mapping[str, Any]:
    """A JSON object."""
    try:
        document = json.loads(body) if isinstance(body, str) else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, Mapping):
        raise BadEvent("malformed", "the message is no JSON object")
    return document


def events_of(document: Mapping[str, Any]) -> list[TriggerEvent | BadEvent]:
    """The events in a document of any of the known shapes."""
    if document.get("Event") == "s3:TestEvent":
        return []
    if document.get("Type") == "Notification" and "TopicArn" in document:
        return events_of(as_object(document.get("Message")))
    if isinstance(document.get("rule"), str) and isinstance(document.get("event"), Mapping):
        return [of_bridge(document["event"], document["rule"], document)]
    if isinstance(document.get("Records"), list):
        return [of_record_or_bad(record) for record in document["Records"]]
    if "detail-type" in document:
        return [of_bridge(document, "", document)]
    raise BadEvent("malformed", "the message is no event of EventBridge and no notification of S3")


def of_record_or_bad(record: Any) -> TriggerEvent | BadEvent:
    """One record of a notification of S3, which must not spoil the others."""
    try:
        return of_record(record)
    except BadEvent as error:
        return error


def of_record(record: Any) -> TriggerEvent:
    """One record of a notification of S3."""
    try:
        happened, told, bucket = record["s3"]["object"], record["eventName"], record["s3"]["bucket"]["name"]
        details = {
            "key": unquote_plus(happened["key"]),
            "version-id": happened.get("versionId"),
            "etag": happened.get("eTag"),
            "size": happened.get("size"),
            "sequencer": happened.get("sequencer"),
        }
        kind = KINDS.get(told.removeprefix("s3:").split(":")[0], told)
        where = {"time": record.get("eventTime"), "region": record.get("awsRegion")}
    except (KeyError, TypeError, AttributeError):
        raise BadEvent("malformed", "a record is no event of S3: bucket, object or eventName is missing") from None
    return of_object(kind, bucket, details, where, raw={"Records": [record]})


def of_bridge(event: Mapping[str, Any], rule: str, raw: Mapping[str, Any]) -> TriggerEvent:
    """An event of EventBridge."""
    kind, source, detail = event.get("detail-type"), event.get("source"), event.get("detail")
    if not (isinstance(kind, str) and isinstance(source, str) and isinstance(detail, Mapping)):
        raise BadEvent("malformed", "an event of EventBridge needs source, detail-type and detail")
    if source == "aws.s3" and "object" in detail:
        bucket, happened = detail.get("bucket"), detail["object"]
        if not (isinstance(bucket, Mapping) and isinstance(happened, Mapping)):
            raise BadEvent("malformed", "an event of S3 needs detail.bucket and detail.object")
        return of_object(kind, bucket.get("name"), happened, event, rule=rule, raw=raw)
    if not isinstance(event.get("id"), str) or not event["id"]:
        raise BadEvent("malformed", "an event of EventBridge needs an id")
    content = {name: event[name] for name in ("source", "time", "region", "resources", "detail") if name in event}
    return TriggerEvent(identity("bridge", event["id"]), rule, None, {"kind": kind, **content}, raw)


def of_object(
    kind: str,
    bucket: object,
    happened: Mapping[str, Any],
    where: Mapping[str, Any],
    *,
    rule: str = "",
    raw: Mapping[str, Any],
) -> TriggerEvent:
    """An event of S3. A version is created once, also in the bucket of another Region that it is replicated to."""
    key = happened.get("key")
    if not (isinstance(bucket, str) and bucket and isinstance(key, str) and key) or "\0" in key:
        raise BadEvent("malformed", "an event of S3 needs the names of a bucket and a key")
    version = happened.get("version-id")
    if not (isinstance(version, str) and version not in ("", "null")):
        version = None
    if kind in ONCE_A_VERSION and version:
        same = identity("version", kind, key, version)
    elif kind in ONCE_A_VERSION:
        order = happened.get("sequencer") or f"{happened.get('etag')} {where.get('time')}"
        same = identity("object", kind, bucket, key, order)
    elif isinstance(where.get("id"), str) and where["id"]:
        same = identity("bridge", where["id"])
    else:
        order = f"{version} {happened.get('sequencer')} {where.get('time')}"
        same = identity("object", kind, bucket, key, order)
    content = {
        "kind": kind,
        "bucket": bucket,
        "key": key,
        "version_id": version,
        "etag": happened.get("etag"),
        "size": happened.get("size"),
        "sequencer": happened.get("sequencer"),
        "time": where.get("time"),
        "region": where.get("region"),
    }
    return TriggerEvent(same, rule, StoredObject(bucket, key) if kind == CREATED else None, content, raw)


def identity(*parts: str) -> str:
    """40 hex digits that are the same for the same parts."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:40]
