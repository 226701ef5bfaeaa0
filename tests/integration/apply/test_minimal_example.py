"""The smallest caller of the module, from nothing to a running environment and back to nothing."""

from __future__ import annotations

import json
from typing import Any

from pytest_terraform import terraform

from tests.integration.apply.fencing import assert_that_a_region_without_the_lease_starts_nothing_new
from tests.integration.apply.planning import plan_again
from tests.local_aws import grants
from tests.local_aws.fixtures import RunningStandIn

REGION = "us-east-1"


@terraform("minimal", replay=False)
def test_an_environment_from_nothing_to_fenced_to_nothing(
    nothing_left: None, stand_in: RunningStandIn, minimal: Any
) -> None:
    """Failure covered: no fencing: the primary is never paused, so a Region that comes back runs everything twice.

    Also: a second plan that shows changes, a destroy that leaves something, and grants of whole services. One apply
    serves all: it takes long.
    """
    again = plan_again("minimal", minimal.work_dir)
    assert again.returncode == 0, again.stdout + again.stderr

    mwaa = stand_in.client("mwaa", REGION)
    environment = mwaa.get_environment(Name="minimal")["Environment"]
    assert environment["Status"] == "AVAILABLE"
    answer = mwaa.invoke_rest_api(Name="minimal", Method="GET", Path="/dags", QueryParameters={"limit": 100})
    dags = {dag["dag_id"] for dag in answer["RestApiResponse"]["dags"]}
    own = {"snapshot", "restore", "go_live", "beat", "guard", "prune"}
    assert {f"continuity_{name}" for name in own} <= dags

    bucket = environment["SourceBucketArn"].rsplit(":", 1)[1]
    s3 = stand_in.client("s3", REGION)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    statements = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert any(s["Effect"] == "Deny" and s["Condition"]["Bool"] == {"aws:SecureTransport": "false"} for s in statements)

    assert grants.wide(grants.all_grants(stand_in.client("iam", REGION))) == []

    assert_that_a_region_without_the_lease_starts_nothing_new(stand_in)
