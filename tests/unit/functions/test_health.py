"""The truth table: total, every row reachable, and each promise of the heartbeat check by name."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from mwaa_continuity import health

TABLE = health.load()
COMBINATIONS = [dict(zip(TABLE.signals, values, strict=True)) for values in itertools.product(*TABLE.signals.values())]


def decide(probe: str, beat: str, heartbeat: str, status: str) -> str:
    return TABLE.decide({"probe": probe, "beat": beat, "heartbeat": heartbeat, "status": status}).verdict


def test_the_table_is_total() -> None:
    """Failure covered: an exception in the check itself is taken for an outage."""
    assert len(COMBINATIONS) == 2 * 3 * 3 * 6
    for signals in COMBINATIONS:
        row = TABLE.decide(signals)
        assert row.verdict in {"healthy", "unhealthy", "unknown"}
        assert row.why.endswith(".")


@pytest.mark.parametrize("row", TABLE.rows, ids=lambda row: row.name)
def test_every_row_decides_something(row: health.Row) -> None:
    assert [signals for signals in COMBINATIONS if TABLE.decide(signals) is row]
    for signal, accepted in row.when.items():
        assert set(accepted) <= set(TABLE.signals[signal])


def test_unhealthy_needs_missing_beats_and_a_second_signal_and_a_working_probe() -> None:
    """Failure covered: one missing datapoint is "unhealthy"."""
    for signals in COMBINATIONS:
        if TABLE.decide(signals).verdict == "unhealthy":
            assert signals["probe"] == "ok"
            assert signals["beat"] == "missing"
            assert signals["heartbeat"] != "present"
            assert signals["heartbeat"] == "missing" or signals["status"] in {"broken", "unreachable"}
            assert signals["status"] not in {"changing", "settling", "gone"}


def test_cloudwatch_erroring_while_beats_arrive_is_unknown() -> None:
    """Failure covered: a CloudWatch outage triggers a takeover."""
    assert decide("ok", "arriving", "unreachable", "available") == "unknown"


def test_whole_region_dead_is_unhealthy() -> None:
    assert decide("ok", "missing", "unreachable", "unreachable") == "unhealthy"


@pytest.mark.parametrize(("beat", "heartbeat"), list(itertools.product(*list(TABLE.signals.values())[1:3])))
def test_updating_is_healthy_whatever_else_is_seen(beat: str, heartbeat: str) -> None:
    """Failure covered: no look at the environment's status: maintenance or an update triggers a takeover."""
    assert decide("ok", beat, heartbeat, "changing") == "healthy"


def test_an_environment_that_somebody_deleted_is_unknown() -> None:
    assert {
        decide("ok", beat, seen, "gone") for beat, seen in itertools.product(*list(TABLE.signals.values())[1:3])
    } == {"unknown"}


def test_a_failed_own_probe_is_always_unknown() -> None:
    assert {TABLE.decide(signals).verdict for signals in COMBINATIONS if signals["probe"] == "failed"} == {"unknown"}


def test_without_any_beat_there_is_no_failover() -> None:
    assert "unhealthy" not in {TABLE.decide(signals).verdict for signals in COMBINATIONS if signals["beat"] == "never"}


def test_a_suppressed_scheduler_metric_is_healthy_while_beats_arrive() -> None:
    assert decide("ok", "arriving", "missing", "available") == "healthy"


def test_a_scheduler_that_beats_without_a_canary_is_unknown() -> None:
    assert decide("ok", "missing", "present", "available") == "unknown"


def test_beats_and_heartbeat_missing_is_unhealthy_though_mwaa_says_available() -> None:
    assert decide("ok", "missing", "missing", "available") == "unhealthy"


def test_every_status_of_the_service_has_a_signal() -> None:
    shape: Any = Session().get_service_model("mwaa").shape_for("EnvironmentStatus")
    assert set(health.STATUS_SIGNAL) == set(shape.enum)
    assert set(health.STATUS_SIGNAL.values()) <= set(TABLE.signals["status"])


def test_a_signal_the_table_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match="signal beat is 'late'; accepted: arriving, missing, never"):
        decide("ok", "late", "present", "available")


@given(now=st.integers(min_value=10**9, max_value=2 * 10**9), periods=st.integers(1, 60))
def test_the_running_minute_is_never_counted(now: int, periods: int) -> None:
    """Failure covered: one missing datapoint is "unhealthy"."""
    minutes = health.whole_minutes(now, periods)
    assert len(minutes) == periods
    assert (minutes[-1] + 1) * 60 <= now < (minutes[-1] + 2) * 60


@given(
    seen=st.sets(st.integers(0, 9)),
    missing=st.integers(1, 10),
)
def test_silent_means_at_least_n_of_m(seen: set[int], missing: int) -> None:
    assert health.silent(range(10), seen, missing) == (10 - len(seen) >= missing)
