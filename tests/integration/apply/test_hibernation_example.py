"""An environment that sleeps at night: what Terraform makes of it, whether it is awake or asleep."""

from __future__ import annotations

from typing import Any

from pytest_terraform import terraform

from tests.integration.apply.planning import destroy, plan_again, resources
from tests.local_aws.fixtures import RunningStandIn

REGION = "us-east-1"
PREFIX = f"office-hours-{REGION}"


@terraform("hibernation", replay=False)
def test_terraform_leaves_sleep_to_the_state_machines(
    nothing_left: None, stand_in: RunningStandIn, hibernation: Any
) -> None:
    """Failure covered: a plan that would create what sleeps, or take back the address that a resume wrote."""
    again = plan_again("hibernation", hibernation.work_dir)
    assert again.returncode == 0, again.stdout + again.stderr
    assert stand_in.client("mwaa", REGION).list_environments()["Environments"] == []
    schedules = stand_in.client("scheduler", REGION)
    zones = {
        name: schedules.get_schedule(Name=f"{PREFIX}-{name}")["ScheduleExpressionTimezone"]
        for name in ("hibernate", "resume", "snapshot")
    }
    assert zones == {"hibernate": "Europe/Berlin", "resume": "Europe/Berlin", "snapshot": "UTC"}

    parameter = {"Name": f"/{PREFIX}/webserver-url", "Value": "https://example.airflow.amazonaws.com"}
    stand_in.client("ssm", REGION).put_parameter(**parameter, Type="String", Overwrite=True)
    again = plan_again("hibernation", hibernation.work_dir)
    assert again.returncode == 0, again.stdout + again.stderr

    asleep_is_not_destroyed(stand_in, hibernation.work_dir)


def asleep_is_not_destroyed(stand_in: RunningStandIn, work_dir: str) -> None:
    """Failure covered: a destroy schedules the key for deletion, then fails at the bucket of the snapshots."""
    s3 = stand_in.client("s3", REGION)
    (bucket,) = [found["Name"] for found in s3.list_buckets()["Buckets"] if found["Name"].endswith("-snapshots")]
    before = resources("hibernation", work_dir)
    key = "snapshots/office-hours/20261121T200000Z-0123abcd/manifest.json"
    version = s3.put_object(Bucket=bucket, Key=key, Body=b"{}")["VersionId"]
    try:
        refused = destroy("hibernation", work_dir)
        assert s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"][0]["VersionId"] == version
    finally:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version)

    words = " ".join(refused.stderr.replace("│", " ").split())
    assert refused.returncode == 1
    assert (
        f"MWAA environment office-hours in {REGION} does not exist now, and the snapshots in {bucket} (1) are" in words
    )
    assert "Nothing was destroyed." in words
    assert resources("hibernation", work_dir) == before
