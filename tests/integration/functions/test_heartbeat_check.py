"""The heartbeat check: what it keeps, and when it starts a failover."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from tests.integration.functions.machines import Dead, Region, become
from tests.unit.functions.conftest import NAME, PRIMARY, SECONDARY


def test_a_healthy_check_keeps_the_spec(region: Region) -> None:
    region.deploy()
    region.account.beat(1, 2, 3, 4, 5)
    done = region.run("heartbeat_check", scheduled_at="2026-11-21T08:15:00Z")
    assert done["status"] == "SUCCEEDED", done
    assert region.entered(done["executionArn"])[-2:] == ["StoreSpec", "Healthy"]
    assert f"spec/{NAME}/observed.{PRIMARY}.json" in region.account.objects()
    assert region.executions("failover") == []


def test_an_update_keeps_no_spec(region: Region) -> None:
    region.deploy()
    region.account.mwaa.environments[PRIMARY, NAME]["Status"] = "UPDATING"
    done = region.run("heartbeat_check")
    assert region.entered(done["executionArn"])[-2:] == ["Verdict", "Healthy"]
    assert f"spec/{NAME}/observed.{PRIMARY}.json" not in region.account.objects()


def test_two_ticks_of_one_minute_start_one_failover(region: Region, dead: Dead) -> None:
    """Failure covered: two deliveries of one schedule start two failovers."""
    region.deploy()
    become(region.account, "CREATE_FAILED")
    region.account.beat(20)
    dead(PRIMARY, "cloudwatch", "mwaa")
    at = "2026-11-21T08:15:00Z"
    ends = [
        region.entered(region.run("heartbeat_check", name=name, scheduled_at=at)["executionArn"])[-1]
        for name in ("tick-1", "tick-2")
    ]
    assert ends[0] == "FailoverStarted"
    assert ends[1] in {"FailoverStarted", "TakingOver"}
    (name,) = region.executions("failover")
    minute = int(datetime.fromisoformat(at).timestamp()) // 60
    assert name == f"lease-1-minute-{minute}"
    region.wait(region.execution("failover", name))


@pytest.mark.parametrize(
    ("lease", "settings", "end"),
    [
        ({"locked": True}, {}, "Locked"),
        ({"since": int(time.time())}, {}, "CoolingDown"),
        ({}, {"automatic": False}, "NotAutomatic"),
        ({"holder": SECONDARY, "token": 2, "live": True}, {}, "Active"),
        ({"holder": SECONDARY, "token": 2, "live": False, "locked": True}, {}, "TakingOver"),
        ({"holder": SECONDARY, "token": 2, "live": False}, {"automatic": False}, "TakingOver"),
        ({"holder": SECONDARY, "token": 2, "live": False}, {}, "FailoverStarted"),
    ],
)
def test_when_an_unhealthy_primary_is_not_taken_over(
    region: Region, dead: Dead, lease: dict[str, Any], settings: dict[str, Any], end: str
) -> None:
    region.deploy(**settings)
    become(region.account, "CREATE_FAILED")
    region.account.set_lease(**lease)
    region.account.beat(20)
    dead(PRIMARY, "cloudwatch", "mwaa")
    done = region.run("heartbeat_check")
    assert done["status"] == "SUCCEEDED", done
    assert region.entered(done["executionArn"])[-1] == end
    started = region.executions("failover")
    assert len(started) == (end == "FailoverStarted")
    for name in started:
        region.wait(region.execution("failover", name))


def test_unknown_health_takes_nothing_over(region: Region, dead: Dead) -> None:
    """Failure covered: a CloudWatch outage triggers a takeover."""
    region.deploy()
    region.account.beat(1, 2, 3, 4, 5)
    dead(PRIMARY, "cloudwatch")
    done = region.run("heartbeat_check")
    assert region.entered(done["executionArn"])[-1] == "Unknown"
    assert region.executions("failover") == []
