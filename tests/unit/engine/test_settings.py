"""Bad input is told by field, before anything is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from continuity.errors import BadInput
from continuity.settings import (
    InFlight,
    Prune,
    PruneConf,
    RunConf,
    Settings,
    load_settings,
    matches,
    parse_request_id,
    prune_schedule,
)

SETTINGS = {
    "environment": "analytics",
    "region": "us-east-1",
    "snapshot_bucket": "bucket",
    "kms_key": "arn:aws:kms:us-east-1:123456789012:key/mrk-1",
    "lease_table": "lease",
    "dag_prefix": "dags/",
    "tables": {"log": "skip"},
    "local_variables": ["region_*"],
    "local_connections": [],
    "in_flight": {"default": "rerun", "dags": {"billing": "fail"}},
    "prune": {"schedule": "0 4 * * *", "history_days": 30},
}
SNAPSHOT_ID = "20260131T235959Z-0a1b2c3d"


def test_settings_as_terraform_writes_them(tmp_path: Path) -> None:
    (tmp_path / "settings.us-east-1.json").write_text(json.dumps(SETTINGS))
    settings = load_settings(tmp_path, {"AWS_DEFAULT_REGION": "us-east-1"})
    assert settings.in_flight == InFlight("rerun", {"billing": "fail"})
    assert settings.prune == Prune("0 4 * * *", 30)
    assert Settings.parse({**SETTINGS, "prune": {"schedule": None}}).prune == Prune(None, 90)
    assert settings.history_days is None
    assert (settings.on_lease_unreachable, settings.lease_stale_minutes) == ("keep", 5)
    assert Settings.parse({**SETTINGS, "history_days": 30}).history_days == 30
    assert settings.catchup_after_sleep == "all"
    assert Settings.parse({**SETTINGS, "catchup_after_sleep": "none"}).catchup_after_sleep == "none"
    assert settings.local_patterns("variable") == ("region_*",)
    assert settings.local_patterns("slot_pool") == ()
    assert matches("region_bucket", settings.local_variables)
    assert not matches("Region_bucket", settings.local_variables)


def test_missing_settings_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"continuity/settings\.us-west-2\.json: the file is missing"):
        load_settings(tmp_path, {"AWS_REGION": "us-west-2"})
    with pytest.raises(BadInput, match="AWS_REGION"):
        load_settings(tmp_path, {})
    (tmp_path / "settings.us-west-2.json").write_text("{")
    with pytest.raises(BadInput, match="it is no JSON"):
        load_settings(tmp_path, {"AWS_REGION": "us-west-2"})
    (tmp_path / "settings.us-west-2.json").write_text(json.dumps(SETTINGS))
    with pytest.raises(BadInput, match=r"settings\.region: 'us-east-1' is not the Region of this worker"):
        load_settings(tmp_path, {"AWS_REGION": "us-west-2"})


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"environment": None}, "settings.environment"),
        ({"kms_key": ""}, "settings.kms_key"),
        ({"lease_table": 7}, "settings.lease_table"),
        ({"dag_prefix": None}, "settings.dag_prefix"),
        ({"tables": []}, "settings.tables"),
        ({"tables": {"log": "drop"}}, "settings.tables.log"),
        ({"local_variables": "region_*"}, "settings.local_variables"),
        ({"local_connections": [""]}, "settings.local_connections"),
        ({"in_flight": {"default": "keep"}}, "settings.in_flight.default"),
        ({"in_flight": {"dags": {"a": 1}}}, "settings.in_flight.dags.a"),
        ({"in_flight": {"dag": {}}}, "settings.in_flight.dag"),
        ({"prune": []}, "settings.prune"),
        ({"prune": {"schedule": ""}}, "settings.prune.schedule"),
        ({"prune": {"history_days": 0}}, "settings.prune.history_days"),
        ({"prune": {"history_days": True}}, "settings.prune.history_days"),
        ({"prune": {"days": 1}}, "settings.prune.days"),
        ({"history_days": 0}, "settings.history_days"),
        ({"catchup_after_sleep": "some"}, "settings.catchup_after_sleep"),
        ({"on_lease_unreachable": "stop"}, "settings.on_lease_unreachable"),
        ({"lease_stale_minutes": 0}, "settings.lease_stale_minutes"),
        ({"surprise": 1}, "settings.surprise"),
    ],
)
def test_wrong_settings_name_the_field(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        Settings.parse({**SETTINGS, **changed})
    assert refused.value.field == field
    assert "accepted" in str(refused.value)


@pytest.mark.parametrize(
    ("conf", "field"),
    [
        (None, "conf"),
        ([], "conf"),
        ({}, "conf.snapshot_id"),
        ({"snapshot_id": "latest"}, "conf.snapshot_id"),
        ({"snapshot_id": SNAPSHOT_ID + "\n"}, "conf.snapshot_id"),
        ({"snapshot_id": "../" + SNAPSHOT_ID}, "conf.snapshot_id"),
        ({"snapshot_id": SNAPSHOT_ID, "request_id": "a/b"}, "conf.request_id"),
        ({"snapshot_id": SNAPSHOT_ID, "request_id": 5}, "conf.request_id"),
        ({"snapshot_id": SNAPSHOT_ID, "in_flight": {}}, "conf.in_flight"),
        ({"snapshot_id": SNAPSHOT_ID, "inflight": {}}, "conf.inflight"),
    ],
)
def test_wrong_run_configuration_names_the_field(conf: Any, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        RunConf.parse(conf)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("conf", "field"),
    [
        ([], "conf"),
        ({"dry_run": "yes"}, "conf.dry_run"),
        ({"history_days": 0}, "conf.history_days"),
        ({"snapshot_id": SNAPSHOT_ID}, "conf.snapshot_id"),
    ],
)
def test_a_wrong_order_to_prune_names_the_field(conf: Any, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        PruneConf.parse(conf)
    assert refused.value.field == field


def test_an_order_to_prune() -> None:
    assert PruneConf.parse({}) == PruneConf(dry_run=False, history_days=None)
    assert PruneConf.parse({"dry_run": True, "history_days": 7}) == PruneConf(dry_run=True, history_days=7)


def test_the_dag_file_parses_whatever_the_settings_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    assert prune_schedule() is None


@pytest.mark.parametrize("seconds", [-1, True, "900", 1.5, 10**6])
def test_a_deadline_is_a_whole_number_of_seconds(seconds: Any) -> None:
    conf = {"snapshot_id": SNAPSHOT_ID, "parse_deadline_seconds": seconds}
    with pytest.raises(BadInput, match=r"conf\.parse_deadline_seconds"):
        RunConf.parse(conf, optional=("parse_deadline_seconds",))


def test_days_of_history_are_for_a_restore_only() -> None:
    conf = {"snapshot_id": SNAPSHOT_ID, "history_days": 7}
    assert RunConf.parse(conf, optional=("history_days",)).history_days == 7
    with pytest.raises(BadInput, match=r"conf\.history_days: unknown field"):
        RunConf.parse(conf)
    with pytest.raises(BadInput, match=r"conf\.history_days: '7' is no number of days"):
        RunConf.parse({**conf, "history_days": "7"}, optional=("history_days",))


def test_replacing_is_for_a_restore_only_and_said_outright() -> None:
    conf = {"snapshot_id": SNAPSHOT_ID, "replace": True}
    assert RunConf.parse(conf, optional=("replace",)).replace is True
    assert RunConf.parse({"snapshot_id": SNAPSHOT_ID}, optional=("replace",)).replace is False
    with pytest.raises(BadInput, match=r"conf\.replace: unknown field"):
        RunConf.parse(conf)
    with pytest.raises(BadInput, match=r"conf\.replace: 'yes' is neither; accepted: true or false"):
        RunConf.parse({**conf, "replace": "yes"}, optional=("replace",))


def test_a_refresh_deletes_nothing_that_ran_and_is_never_portable() -> None:
    conf = {"snapshot_id": SNAPSHOT_ID, "refresh": True}
    optional = ("refresh", "replace", "mode")
    assert RunConf.parse(conf, optional=optional).refresh is True
    for more in ({"replace": True}, {"mode": "portable"}):
        with pytest.raises(BadInput, match=r"conf\.refresh: it does not go with that; accepted: mode full"):
            RunConf.parse({**conf, **more}, optional=optional)


def test_a_request_can_be_answered_even_if_the_rest_is_wrong() -> None:
    assert parse_request_id({"request_id": "failover-1:go", "snapshot_id": 1}) == "failover-1:go"
    assert parse_request_id({}) is None
    assert parse_request_id("nonsense") is None
