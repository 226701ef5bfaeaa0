"""An environment that sleeps at night: what Terraform makes of it, whether it is awake or asleep."""

from __future__ import annotations

from typing import Any

from pytest_terraform import terraform

from tests.integration.apply.planning import plan_again
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
