"""replicate_existing: S3 Batch Replication of what was in the buckets before replication was set up."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from mwaa_continuity import app, aws, events
from mwaa_continuity.app import Result
from mwaa_continuity.errors import BadInput
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, variable

ENDED_BADLY: Final = frozenset({"Failed", "Cancelled", "Suspended"})


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what each action answers."""
    return app.run("replicate_existing", {"start": start, "status": status}, event, context)


def bucket_arns() -> list[str]:
    """The buckets to replicate from, in the variable BUCKET_ARNS, divided by commas."""
    arns = [arn.strip() for arn in variable("BUCKET_ARNS").split(",") if arn.strip()]
    wrong = [arn for arn in arns if len(arn.split(":::")) != 2 or not arn.startswith("arn:")]
    if wrong or not arns:
        raise BadInput(f"BUCKET_ARNS holds {', '.join(wrong) or 'nothing'}; accepted: ARNs of buckets, by commas")
    return arns


def start(_event: Event, log: Log) -> Result:
    """Start one job per bucket; the same request starts no second one."""
    settings = Settings.read()
    arns = bucket_arns()
    account, role = variable("ACCOUNT_ID"), variable("BATCH_ROLE_ARN")
    request_id = str(log.context["request_id"])
    s3control = aws.client("s3control")
    jobs = []
    for arn in arns:
        job_id = s3control.create_job(**job(arn, account, role, settings.environment, request_id))["JobId"]
        log.info("job", job_id=job_id, bucket=arn)
        jobs.append({"bucket": arn, "job_id": job_id})
    return {"jobs": jobs}


def job(bucket_arn: str, account: str, role: str, environment: str, request_id: str) -> dict[str, Any]:
    """A job over every object that replication covers and has not replicated yet."""
    return {
        "AccountId": account,
        "ClientRequestToken": hashlib.sha256(f"{request_id}|{bucket_arn}".encode()).hexdigest(),
        "ConfirmationRequired": False,
        "Description": f"Existing objects of {environment}",
        "Operation": {"S3ReplicateObject": {}},
        "ManifestGenerator": {
            "S3JobManifestGenerator": {
                "ExpectedBucketOwner": account,
                "SourceBucket": bucket_arn,
                "EnableManifestOutput": False,
                "Filter": {"EligibleForReplication": True, "ObjectReplicationStatuses": ["NONE", "FAILED"]},
            }
        },
        "Report": {"Enabled": False},
        "Priority": 10,
        "RoleArn": role,
    }


def status(event: Event, log: Log) -> Result:
    """Whether all jobs are complete, and which failed: a job whose tasks failed in part has failed."""
    account = variable("ACCOUNT_ID")
    accepted = "a list of jobs as start answers it"
    jobs = event.get("jobs")
    if not isinstance(jobs, list) or not jobs:
        raise BadInput(f"jobs is {'empty' if jobs == [] else events.kind(jobs)}; accepted: {accepted}")
    s3control = aws.client("s3control")
    states = [state_of(s3control, account, events.text(events.as_event(item), "job_id", accepted)) for item in jobs]
    failed = [why for _, why in states if why]
    log.info("status", outcome=", ".join(state for state, _ in states))
    return {
        "done": all(state == "Complete" for state, _ in states),
        "failed": bool(failed),
        "why": "; ".join(failed),
    }


def state_of(s3control: Any, account: str, job_id: str) -> tuple[str, str]:
    """The status of a job, and what is wrong with it or ""."""
    answer = s3control.describe_job(AccountId=account, JobId=job_id)["Job"]
    failed_tasks = int(answer.get("ProgressSummary", {}).get("NumberOfTasksFailed", 0))
    state = str(answer["Status"])
    if state in ENDED_BADLY:
        reasons = [str(item.get("FailureReason", "")) for item in answer.get("FailureReasons", [])]
        return state, f"job {job_id} is {state}: {'; '.join(reasons)}"
    if state == "Complete" and failed_tasks:
        return state, f"job {job_id}: {failed_tasks} objects could not be replicated"
    return state, ""
