"""Replicates objects as their bucket's replication configuration says, under its role, later, and in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from moto.s3 import models

from tests.local_aws.authz.actions import key_arn
from tests.local_aws.authz.authorizer import Denied
from tests.local_aws.authz.s3_actions import bucket_arn, home_region, kms_context, object_arn
from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.replication_rules import Rule, rules_for
from tests.local_aws.sessions import RoleCannotBeAssumed, check_trust

_LOOK_EVERY_SECONDS = 0.05
#: Tags and metadata reach an object after moto has stored it.
_SHORTEST_LAG_SECONDS = 0.1


@dataclass(frozen=True)
class Task:
    """One change of a source bucket that waits to be replicated."""

    kind: str  #: object, marker or tags
    bucket: str
    key: str
    version_id: str
    due: float


class Replicator:
    """Watches moto's S3 and carries changes over. Changes from and to a Region that is down wait."""

    def __init__(self, platform: LocalPlatform, lag_seconds: float) -> None:
        self._platform = platform
        self._lag = max(lag_seconds, _SHORTEST_LAG_SECONDS)
        self._tasks: deque[Task] = deque()
        self._lock = threading.Lock()
        backend = models.S3Backend
        self._put, self._delete, self._tag = backend.put_object, backend.delete_object, backend.put_object_tagging

    def install(self) -> None:
        """Hook into moto's S3."""
        replicator, put, delete, tag = self, self._put, self._delete, self._tag

        def put_object(backend: Any, bucket_name: str, key_name: str, *args: Any, **kwargs: Any) -> Any:
            stored = put(backend, bucket_name, key_name, *args, **kwargs)
            if replication_configuration(bucket_name):
                replicator._enqueue("object", bucket_name, key_name, stored.version_id)
            return stored

        def delete_object(backend: Any, bucket_name: str, key_name: str, *args: Any, **kwargs: Any) -> Any:
            done, answer = delete(backend, bucket_name, key_name, *args, **kwargs)
            version = args[0] if args else kwargs.get("version_id")
            if done and version is None and replication_configuration(bucket_name) and "version-id" in answer:
                replicator._enqueue("marker", bucket_name, key_name, answer["version-id"])
            return done, answer

        def put_object_tagging(backend: Any, key: Any, tags: Any) -> Any:
            tagged = tag(backend, key, tags)
            if replication_configuration(key.bucket_name) and getattr(key, "replication_status", None) == "COMPLETED":
                replicator._enqueue("tags", key.bucket_name, key.name, key.version_id)
            return tagged

        models.S3Backend.put_object = put_object
        models.S3Backend.delete_object = delete_object
        models.S3Backend.put_object_tagging = put_object_tagging

    def start(self) -> None:
        """Replicate in the background until the stand-in stops."""
        threading.Thread(target=self._run, name="replication", daemon=True).start()

    def _enqueue(self, kind: str, bucket: str, key: str, version_id: str) -> None:
        if kind == "object" and rules_for(replication_configuration(bucket), key, {}):
            stored = _version(bucket, key, version_id)
            if stored is not None and _replicable(stored, rules_for(replication_configuration(bucket), key, {})):
                stored.replication_status = "PENDING"
        with self._lock:
            self._tasks.append(Task(kind, bucket, key, version_id, time.monotonic() + self._lag))

    def _run(self) -> None:
        while not self._platform.stopping.wait(_LOOK_EVERY_SECONDS):
            for task in self._due():
                try:
                    self._replicate(task)
                except Exception as error:  # noqa: BLE001  # one bad object must not stop replication for good
                    self._platform.record("replication_error", "", bucket=task.bucket, key=task.key, error=repr(error))

    def _due(self) -> list[Task]:
        """Takes the tasks whose time has come and whose Regions are all up; the others keep their places."""
        now = time.monotonic()
        with self._lock:
            tasks, self._tasks = list(self._tasks), deque()
            ready = [task for task in tasks if task.due <= now and not self._waits(task)]
            self._tasks.extend(task for task in tasks if task not in ready)
        return ready

    def _waits(self, task: Task) -> bool:
        regions = {home_region(task.bucket)}
        regions |= {
            home_region(rule.destination) for rule in rules_for(replication_configuration(task.bucket), task.key, {})
        }
        return any(region is not None and self._platform.is_down(region) for region in regions)

    def _replicate(self, task: Task) -> None:
        configuration = replication_configuration(task.bucket)
        stored = _version(task.bucket, task.key, task.version_id)
        if configuration is None or stored is None:
            return
        tags = {} if task.kind == "marker" else tags_of(stored)
        for rule in rules_for(configuration, task.key, tags):
            if task.kind == "marker":
                self._copy_marker(task, rule, configuration["Role"])
            elif task.kind == "tags":
                self._copy_tags(stored, rule, configuration["Role"])
            else:
                self.copy_object(stored, rule, configuration["Role"])

    def copy_object(self, stored: Any, rule: Rule, role_arn: str) -> bool:
        """Copy one version under one rule; returns whether it arrived. The object's replication status tells too."""
        if not _replicable(stored, [rule]):
            return False
        source, target = home_region(stored.bucket_name), home_region(rule.destination)
        try:
            check_trust(role_arn, {"Service": "s3.amazonaws.com"}, {"aws:SourceArn": bucket_arn(stored.bucket_name)})
            self._check_source(stored, role_arn, str(source))
            self._check_target(stored, rule, role_arn, str(target))
        except (Denied, RoleCannotBeAssumed) as error:
            stored.replication_status = "FAILED"
            why = str(error)
            self._platform.record(
                "replication_failed", str(source), bucket=stored.bucket_name, key=stored.name, why=why
            )
            return False
        self._store_replica(stored, rule)
        stored.replication_status = "COMPLETED"
        self._platform.record(
            "replication",
            str(target),
            bucket=stored.bucket_name,
            key=stored.name,
            to=rule.destination,
            bytes=stored.size,
        )
        return True

    def _check_source(self, stored: Any, role_arn: str, region: str) -> None:
        bucket, key, check = stored.bucket_name, stored.name, self._platform.authorizer.check
        where = {"aws:RequestedRegion": region}
        for action in ("s3:GetReplicationConfiguration", "s3:ListBucket"):
            check(role_arn, action, bucket_arn(bucket), where)
        for action in ("GetObjectVersionForReplication", "GetObjectVersionAcl", "GetObjectVersionTagging"):
            check(role_arn, f"s3:{action}", object_arn(bucket, key), where)
        if stored.encryption == "aws:kms" and stored.kms_key_id:
            context = {**where, **kms_context(bucket, key, region)}
            check(role_arn, "kms:Decrypt", key_arn(stored.kms_key_id, region), context)

    def _check_target(self, stored: Any, rule: Rule, role_arn: str, region: str) -> None:
        if home_region(rule.destination) is None:
            raise Denied(f"bucket {rule.destination} does not exist")
        check, arn = self._platform.authorizer.check, object_arn(rule.destination, stored.name)
        where = {"aws:RequestedRegion": region}
        check(role_arn, "s3:ReplicateObject", arn, where)
        if tags_of(stored):
            check(role_arn, "s3:ReplicateTags", arn, where)
        if rule.replica_key and stored.encryption == "aws:kms":
            context = {**where, **kms_context(rule.destination, stored.name, region)}
            check(role_arn, "kms:Encrypt", key_arn(rule.replica_key, region), context)

    def _store_replica(self, stored: Any, rule: Rule) -> None:
        backend = models.s3_backends[ACCOUNT_ID]["aws"]
        if _version(rule.destination, stored.name, stored.version_id) is not None:
            return
        encrypted = stored.encryption == "aws:kms"
        replica = self._put(
            backend,
            rule.destination,
            stored.name,
            stored.value,
            storage=rule.storage_class or stored.storage_class,
            etag=stored.etag.strip('"'),
            encryption="aws:kms" if encrypted else stored.encryption,
            kms_key_id=rule.replica_key if encrypted else None,
            checksum_value=stored.checksum_value,
        )
        replica.set_metadata(dict(stored.metadata), replace=True)
        replica.checksum_algorithm, replica.checksum_type = stored.checksum_algorithm, stored.checksum_type
        replica._version_id = stored.version_id
        replica.last_modified = stored.last_modified
        replica.replication_status = "REPLICA"
        if tags := tags_of(stored):
            self._tag(backend, replica, tags)

    def _copy_tags(self, stored: Any, rule: Rule, role_arn: str) -> None:
        replica = _version(rule.destination, stored.name, stored.version_id)
        if replica is None:
            return
        try:
            context = {"aws:RequestedRegion": str(home_region(rule.destination))}
            arn = object_arn(rule.destination, stored.name)
            self._platform.authorizer.check(role_arn, "s3:ReplicateTags", arn, context)
        except Denied as error:
            stored.replication_status = "FAILED"
            self._platform.record("replication_failed", "", bucket=stored.bucket_name, key=stored.name, why=str(error))
            return
        self._tag(models.s3_backends[ACCOUNT_ID]["aws"], replica, tags_of(stored))

    def _copy_marker(self, task: Task, rule: Rule, role_arn: str) -> None:
        if not rule.delete_markers or rule.tags:
            return
        target = str(home_region(rule.destination))
        try:
            context = {"aws:RequestedRegion": target}
            arn = object_arn(rule.destination, task.key)
            self._platform.authorizer.check(role_arn, "s3:ReplicateDelete", arn, context)
        except Denied as error:
            self._platform.record("replication_failed", target, bucket=task.bucket, key=task.key, why=str(error))
            return
        backend = models.s3_backends[ACCOUNT_ID]["aws"]
        self._delete(backend, rule.destination, task.key)
        marker = backend.get_bucket(rule.destination).keys.getlist(task.key)[-1]
        marker._version_id = task.version_id
        self._platform.record("replication", target, bucket=task.bucket, key=task.key, to=rule.destination, marker=True)


def replication_configuration(bucket_name: str) -> dict[str, Any] | None:
    """The bucket's replication configuration as moto keeps it; None when it has none."""
    bucket = models.s3_backends[ACCOUNT_ID]["aws"].buckets.get(bucket_name)
    configuration: dict[str, Any] | None = getattr(bucket, "replication", None)
    return configuration or None


def _version(bucket_name: str, key: str, version_id: str) -> Any | None:
    bucket = models.s3_backends[ACCOUNT_ID]["aws"].buckets.get(bucket_name)
    versions = bucket.keys.getlist(key, []) if bucket is not None else []
    return next((version for version in versions if str(version.version_id) == str(version_id)), None)


def tags_of(stored: Any) -> dict[str, str]:
    """Tags of a version of an object."""
    tags: dict[str, str] = models.s3_backends[ACCOUNT_ID]["aws"].tagger.get_tag_dict_for_resource(stored.arn)
    return tags


def _replicable(stored: Any, rules: list[Rule]) -> bool:
    """Replicas are not replicated again, and objects under SSE-KMS only where a rule admits them and names a key."""
    if getattr(stored, "replication_status", None) == "REPLICA":
        return False
    return stored.encryption != "aws:kms" or any(rule.kms_objects and rule.replica_key for rule in rules)
