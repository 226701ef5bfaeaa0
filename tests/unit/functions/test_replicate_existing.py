"""replicate_existing: the calls that S3 Batch Replication gets, checked by botocore (moto does not know CreateJob)."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from mwaa_continuity import aws, replicate_existing
from mwaa_continuity.errors import BadInput
from tests.unit.functions.conftest import DAGS, SNAPSHOTS, own_client

ACCOUNT_ID = "123456789012"


@pytest.fixture
def s3control(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Stubber:
    assert variables
    client = own_client("s3control")
    monkeypatch.setattr(aws, "client", lambda _service: client)
    stubber = Stubber(client)
    stubber.activate()
    return stubber


def test_one_job_per_bucket_and_the_same_request_starts_no_second_one(s3control: Stubber) -> None:
    for _ in range(2):
        for bucket in (DAGS, SNAPSHOTS):
            expected = replicate_existing.job(
                f"arn:aws:s3:::{bucket}", ACCOUNT_ID, "arn:aws:iam::123456789012:role/batch", "rehearsal", "r-1"
            )
            s3control.add_response("create_job", {"JobId": f"job-{bucket}"}, expected)
    answers = [replicate_existing.handler({"action": "start", "request_id": "r-1"}, None) for _ in range(2)]
    assert answers[0] == answers[1]
    assert [item["job_id"] for item in answers[0]["jobs"]] == [f"job-{DAGS}", f"job-{SNAPSHOTS}"]
    s3control.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([{"Status": "Complete"}, {"Status": "Active"}], {"done": False, "failed": False, "why": ""}),
        ([{"Status": "Complete"}, {"Status": "Complete"}], {"done": True, "failed": False, "why": ""}),
        (
            [{"Status": "Complete", "ProgressSummary": {"NumberOfTasksFailed": 3}}, {"Status": "Complete"}],
            {"done": True, "failed": True, "why": "job job-0: 3 objects could not be replicated"},
        ),
        (
            [{"Status": "Failed", "FailureReasons": [{"FailureReason": "no role"}]}, {"Status": "Active"}],
            {"done": False, "failed": True, "why": "job job-0 is Failed: no role"},
        ),
    ],
)
def test_status(s3control: Stubber, jobs: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    for number, job in enumerate(jobs):
        s3control.add_response("describe_job", {"Job": job}, {"AccountId": ACCOUNT_ID, "JobId": f"job-{number}"})
    event = {"action": "status", "jobs": [{"bucket": "b", "job_id": f"job-{number}"} for number in range(len(jobs))]}
    assert replicate_existing.handler(event, None) == expected


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "action is missing; accepted: one of start, status"),
        ({"action": "status"}, "jobs is missing; accepted: a list of jobs"),
        ({"action": "status", "jobs": []}, "jobs is empty"),
        ({"action": "status", "jobs": "j1"}, "jobs is a string"),
        ({"action": "status", "jobs": [{}]}, "job_id is missing"),
    ],
)
def test_bad_input_is_named(s3control: Stubber, event: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replicate_existing.handler(event, None)
    s3control.assert_no_pending_responses()


@pytest.mark.parametrize("value", ["my-bucket", "arn:aws:s3:::a,b", ","])
def test_wrong_buckets_are_named(s3control: Stubber, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("BUCKET_ARNS", value)
    with pytest.raises(BadInput, match=r"BUCKET_ARNS holds .*; accepted: ARNs of buckets"):
        replicate_existing.handler({"action": "start"}, None)
    s3control.assert_no_pending_responses()
