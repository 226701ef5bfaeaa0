"""Probes of the patches of scheduler."""

from __future__ import annotations

from typing import Any

from tests.integration.local_aws.probes.inside import ROLE, client


def update_keeps_state() -> Any:
    schedules = client("scheduler")
    shape = {
        "Name": "s",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ScheduleExpression": "rate(1 minute)",
        "Target": {"Arn": "arn:aws:sqs:us-east-1:1:q", "RoleArn": ROLE},
    }
    schedules.create_schedule(**shape)
    schedules.update_schedule(**shape)
    return schedules.get_schedule(Name="s").get("State")
