"""S3 Batch Replication: CreateJob, DescribeJob, ListJobs for `S3ReplicateObject` over what a bucket held before."""

from __future__ import annotations

import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import xmltodict
from moto.s3 import models
from werkzeug.wrappers import Response

from tests.local_aws.authz.authorizer import Denied
from tests.local_aws.authz.calls import Call
from tests.local_aws.authz.evaluate import as_list
from tests.local_aws.authz.s3_actions import bucket_arn, home_region, object_arn
from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.errors import aws_error
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.replication import Replicator, replication_configuration, tags_of
from tests.local_aws.replication_rules import rules_for
from tests.local_aws.sessions import RoleCannotBeAssumed, check_trust

_PRINCIPAL = "batchoperations.s3.amazonaws.com"
_XMLNS = "http://awss3control.amazonaws.com/doc/2018-08-20/"
_OPERATIONS = frozenset({"CreateJob", "DescribeJob", "ListJobs", "UpdateJobStatus"})


class BadJob(ValueError):
    """The request to CreateJob is not valid or not imitated; the message names the member."""


@dataclass
class Job:
    """One job."""

    id: str
    request: dict[str, Any]
    bucket: str
    created: datetime
    status: str = "New"
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    reason: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class BatchReplication:
    """Answers the calls and runs the jobs, each in a thread of its own."""

    def __init__(self, platform: LocalPlatform, replicator: Replicator) -> None:
        self._platform = platform
        self._replicator = replicator
        self._jobs: dict[tuple[str, str], Job] = {}
        self._by_token: dict[str, Job] = {}
        self._lock = threading.Lock()

    def serves(self, operation: str | None) -> bool:
        """Whether the operation of s3control is answered here."""
        return operation in _OPERATIONS

    def answer(self, call: Call, environ: dict[str, Any]) -> Response:
        """Answer one call."""
        handlers = {"CreateJob": self._create, "DescribeJob": self._describe, "ListJobs": self._list}
        handler = handlers.get(call.operation or "")
        if handler is None:
            return aws_error(environ, "s3control", "NotImplemented", f"{call.operation} is not imitated", 501)
        try:
            result = handler(call)
        except BadJob as error:
            return aws_error(environ, "s3control", "InvalidRequest", str(error), 400)
        except LookupError as error:
            return aws_error(environ, "s3control", "NoSuchJob", str(error), 404)
        return Response(xmltodict.unparse(result), 200, mimetype="application/xml")

    def _create(self, call: Call) -> dict[str, Any]:
        request = call.params.get("CreateJobRequest", {})
        if "S3ReplicateObject" not in (request.get("Operation") or {}):
            raise BadJob("Operation: the stand-in runs S3ReplicateObject only")
        generator = (request.get("ManifestGenerator") or {}).get("S3JobManifestGenerator")
        if not generator:
            raise BadJob("ManifestGenerator: the stand-in wants S3JobManifestGenerator")
        for name in ("RoleArn", "Priority", "ClientRequestToken", "Report"):
            if name not in request:
                raise BadJob(f"{name}: missing")
        bucket = str(generator["SourceBucket"]).rsplit(":", 1)[-1]
        if home_region(bucket) != call.region:
            raise BadJob(f"SourceBucket: {bucket} is not a bucket of {call.region}")
        token = str(request["ClientRequestToken"])
        with self._lock:
            job = self._by_token.get(token)
            if job is None:
                job = Job(str(uuid.uuid4()), request, bucket, datetime.now(UTC))
                self._jobs[call.region, job.id] = self._by_token[token] = job
                threading.Thread(target=self._run, args=(call.region, job), daemon=True).start()
        return {"CreateJobResult": {"@xmlns": _XMLNS, "JobId": job.id}}

    def _describe(self, call: Call) -> dict[str, Any]:
        job = self._jobs.get((call.region, str(call.params.get("JobId"))))
        if job is None:
            raise LookupError(f"job {call.params.get('JobId')} does not exist")
        described: dict[str, Any] = {
            "JobId": job.id,
            "Status": job.status,
            "Priority": job.request["Priority"],
            "RoleArn": job.request["RoleArn"],
            "Operation": {"S3ReplicateObject": None},
            "ProgressSummary": {
                "TotalNumberOfTasks": job.total,
                "NumberOfTasksSucceeded": job.succeeded,
                "NumberOfTasksFailed": job.failed,
            },
            "CreationTime": _time(job.created),
        }
        if job.reason:
            described["FailureReasons"] = {"member": [{"FailureCode": "AccessDenied", "FailureReason": job.reason}]}
        return {"DescribeJobResult": {"@xmlns": _XMLNS, "Job": described}}

    def _list(self, call: Call) -> dict[str, Any]:
        jobs = [job for (region, _), job in list(self._jobs.items()) if region == call.region]
        members = [
            {
                "JobId": job.id,
                "Status": job.status,
                "CreationTime": _time(job.created),
                "Operation": "S3ReplicateObject",
            }
            for job in jobs
        ]
        return {"ListJobsResult": {"@xmlns": _XMLNS, "Jobs": {"member": members}}}

    def _run(self, region: str, job: Job) -> None:
        role = str(job.request["RoleArn"])
        try:
            job.status = "Preparing"
            check_trust(
                role, {"Service": _PRINCIPAL}, {"aws:SourceArn": f"arn:aws:s3:{region}:{ACCOUNT_ID}:job/{job.id}"}
            )
            self._check_bucket(region, job, role)
            versions = self._eligible(job)
            job.total, job.status = len(versions), "Active"
            for version in versions:
                if self._platform.stopping.is_set():
                    return
                self._replicate(region, job, role, version)
            job.status = "Complete"
        except (Denied, RoleCannotBeAssumed) as error:
            job.status, job.reason = "Failed", str(error)
        self._platform.record(
            "batch_replication", region, job=job.id, bucket=job.bucket, status=job.status, succeeded=job.succeeded,
            failed=job.failed, why=job.reason,
        )  # fmt: skip

    def _check_bucket(self, region: str, job: Job, role: str) -> None:
        check, context = self._platform.authorizer.check, {"aws:RequestedRegion": region}
        check(role, "s3:GetReplicationConfiguration", bucket_arn(job.bucket), context)
        # The manifest is made by an inventory of the bucket.
        check(role, "s3:PutInventoryConfiguration", bucket_arn(job.bucket), context)
        report = job.request["Report"]
        if str(report.get("Enabled")).lower() == "true":
            target = str(report["Bucket"]).rsplit(":", 1)[-1]
            prefix = report.get("Prefix", "")
            check(role, "s3:PutObject", object_arn(target, f"{prefix}/job-{job.id}/manifest.json".lstrip("/")), context)

    def _eligible(self, job: Job) -> list[Any]:
        """The versions that the manifest generator's filter picks, oldest first."""
        generator = job.request["ManifestGenerator"]["S3JobManifestGenerator"]
        wanted = generator.get("Filter") or {}
        statuses = set(as_list((wanted.get("ObjectReplicationStatuses") or {}).get("member", [])))
        before = wanted.get("CreatedBefore")
        bucket = models.s3_backends[ACCOUNT_ID]["aws"].get_bucket(job.bucket)
        versions = [version for key in list(bucket.keys) for version in bucket.keys.getlist(key)]
        return [
            version
            for version in versions
            if isinstance(version, models.FakeKey)
            and (not statuses or (getattr(version, "replication_status", None) or "NONE") in statuses)
            and (
                not before
                or version.last_modified.replace(tzinfo=UTC) < datetime.fromisoformat(re.sub("Z$", "+00:00", before))
            )
        ]

    def _replicate(self, region: str, job: Job, role: str, version: Any) -> None:
        configuration = replication_configuration(job.bucket)
        rules = rules_for(configuration, version.name, tags_of(version))
        try:
            arn = object_arn(job.bucket, version.name)
            self._platform.authorizer.check(role, "s3:InitiateReplication", arn, {"aws:RequestedRegion": region})
        except Denied as error:
            job.failed += 1
            job.reason = str(error)
            return
        while any(
            self._platform.is_down(str(home_region(name))) for name in [job.bucket, *(r.destination for r in rules)]
        ):
            time.sleep(0.2)
        arrived = [
            self._replicator.copy_object(version, rule, configuration["Role"]) for rule in rules if configuration
        ]
        if arrived and all(arrived):
            job.succeeded += 1
        else:
            job.failed += 1
