"""The heartbeat check against two Regions of moto; a dead service is a port that refuses connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mwaa_continuity import aws, heartbeat_check
from mwaa_continuity.errors import BadInput
from tests.unit.functions.conftest import NAME, PRIMARY, SECONDARY, Account, environment

Dead = Callable[..., None]
ALL_MINUTES = (1, 2, 3, 4, 5)


def check() -> dict[str, Any]:
    return heartbeat_check.handler({"request_id": "tick-1"}, None)


@pytest.fixture
def primary(account: Account) -> Account:
    account.mwaa.environments[PRIMARY, NAME] = environment()
    return account


def test_healthy(primary: Account) -> None:
    primary.beat(*ALL_MINUTES)
    primary.scheduler_heartbeat(*ALL_MINUTES)
    answer = check()
    assert answer["verdict"] == "healthy"
    assert answer["status"] == "AVAILABLE"
    assert answer["signals"] == {"probe": "ok", "beat": "arriving", "heartbeat": "present", "status": "available"}
    assert primary.published("Healthy") == [1.0]
    assert primary.published("Unhealthy") == primary.published("UnknownHealth") == [0.0]


def test_cloudwatch_erroring_while_beats_arrive_is_unknown(primary: Account, dead: Dead) -> None:
    """Failure covered: a CloudWatch outage triggers a takeover."""
    primary.beat(*ALL_MINUTES)
    dead(PRIMARY, "cloudwatch")
    answer = check()
    assert answer["verdict"] == "unknown"
    assert answer["signals"]["heartbeat"] == "unreachable"
    assert primary.published("UnknownHealth") == [1.0]


def test_a_whole_region_dead_is_unhealthy(primary: Account, dead: Dead) -> None:
    primary.beat(20, 21)
    dead(PRIMARY, "cloudwatch", "mwaa")
    answer = check()
    assert answer["verdict"] == "unhealthy"
    assert answer["status"] is None
    assert answer["signals"] == {
        "probe": "ok",
        "beat": "missing",
        "heartbeat": "unreachable",
        "status": "unreachable",
    }
    assert primary.published("Unhealthy") == [1.0]


@pytest.mark.parametrize("service", ["sts", "cloudwatch"])
def test_an_own_probe_that_fails_is_unknown(primary: Account, dead: Dead, service: str) -> None:
    """Failure covered: any exception in the check itself is "unhealthy"."""
    primary.beat(20)
    dead(PRIMARY, "cloudwatch", "mwaa")
    dead(SECONDARY, service)
    answer = check()
    assert answer["verdict"] == "unknown"
    assert answer["signals"]["probe"] == "failed"


def test_an_update_is_healthy(primary: Account) -> None:
    """Failure covered: no look at the environment's status: maintenance or an update triggers a takeover."""
    primary.beat(20)
    primary.mwaa.environments[PRIMARY, NAME]["Status"] = "UPDATING"
    answer = check()
    assert (answer["verdict"], answer["status"]) == ("healthy", "UPDATING")
    assert primary.published("EnvironmentChanging") == [1.0]


@pytest.mark.parametrize(("changed", "expected"), [((1, 2), "settling"), ((5,), "settling"), ((0, 6), "available")])
def test_just_after_an_update_silence_proves_nothing(primary: Account, changed: tuple[int, ...], expected: str) -> None:
    """Failure covered: maintenance or an update triggers a takeover, here while its scheduler is still starting."""
    primary.beat(20)
    primary.changing(*changed)
    answer = check()
    assert answer["signals"]["status"] == expected
    assert answer["verdict"] == ("healthy" if expected == "settling" else "unhealthy")
    assert answer["status"] == "AVAILABLE"


def test_a_region_lost_just_after_an_update_is_lost(primary: Account, dead: Dead) -> None:
    primary.beat(20)
    primary.changing(1)
    dead(PRIMARY, "cloudwatch", "mwaa")
    assert check()["verdict"] == "unhealthy"


def test_a_deleted_environment_is_unknown(account: Account) -> None:
    account.beat(20)
    answer = check()
    assert (answer["verdict"], answer["signals"]["status"]) == ("unknown", "gone")


def test_a_refusal_is_our_own_fault_not_the_regions(primary: Account) -> None:
    """Failure covered: any exception in the check itself is "unhealthy"."""
    primary.beat(20)
    primary.mwaa.failures["GetEnvironment"] = (403, {"message": "no"}, "AccessDeniedException")
    answer = check()
    assert answer["verdict"] == "unknown"
    assert answer["signals"]["probe"] == "failed"
    assert "AccessDeniedException" in answer["why"]


def test_no_beat_ever_is_no_failover(primary: Account, dead: Dead) -> None:
    dead(PRIMARY, "cloudwatch", "mwaa")
    assert check()["signals"]["beat"] == "never"
    assert primary.published("Unhealthy") == [0.0]


def test_a_primary_that_has_just_begun_to_beat_is_not_lost(primary: Account) -> None:
    """Failure covered: missing datapoints from before the environment existed are taken for an outage."""
    primary.beat(1)
    answer = check()
    assert answer["signals"]["beat"] == "arriving"
    assert answer["verdict"] == "healthy"
    assert primary.published("Unhealthy") == [0.0]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [((3, 4, 5), "arriving"), ((4, 5), "missing"), ((1, 3, 5), "arriving"), ((0, 6, 7), "missing")],
)
def test_beats_are_counted_over_whole_minutes(primary: Account, minutes: tuple[int, ...], expected: str) -> None:
    """Failure covered: one missing datapoint is "unhealthy"."""
    primary.beat(*minutes)
    primary.beat(1, 2, 3, 4, 5, region=SECONDARY)
    assert check()["signals"]["beat"] == expected


def test_a_dead_region_cannot_hold_the_check_up() -> None:
    """Two calls go to the primary; the function has 50 seconds."""
    config: Any = aws.QUICK
    attempts = config.retries["total_max_attempts"]
    assert attempts == 2
    assert 2 * attempts * (config.connect_timeout + config.read_timeout) <= 24


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PERIODS", "", "PERIODS is not set"),
        ("PERIODS", "five", "PERIODS is not a whole number"),
        ("PERIODS", "0", "PERIODS is 0; accepted: a whole number from 1 to 60"),
        ("MISSING", "6", r"MISSING is 6; accepted: a whole number from 1 to PERIODS \(5\)"),
        ("PRIMARY_REGION", "", "PRIMARY_REGION is not set"),
        ("LEASE_TABLE", " ", "LEASE_TABLE is not set"),
        ("ENVIRONMENT_NAME", "", "ENVIRONMENT_NAME is not set"),
    ],
)
def test_a_wrong_variable_is_named(
    account: Account, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=message):
        check()
    assert not account.mwaa.calls
