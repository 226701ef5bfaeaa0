"""What MWAA demands beyond its model."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local_aws.mwaa import rules
from tests.local_aws.mwaa.errors import ServiceError
from tests.unit.local_aws.mwaa.test_validation import GOOD


def complete(**change: Any) -> dict[str, Any]:
    given = {key: value for key, value in GOOD.items() if key not in ("Name", "Tags")}
    return rules.with_defaults({**given, **change}, "2.10.3")


def test_defaults_satisfy_the_rules() -> None:
    """Failure covered: `mw1.micro` with the default 2 schedulers is rejected."""
    for environment_class in rules.CLASSES:
        rules.check_document(complete(EnvironmentClass=environment_class))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"AirflowVersion": "2.2.2"}, "AirflowVersion: 2.2.2 is not supported"),
        ({"EnvironmentClass": "mw1.nano"}, "EnvironmentClass mw1.nano is not supported"),
        ({"EnvironmentClass": "mw1.micro", "Schedulers": 2}, "Schedulers: 2; accepted for mw1.micro: from 1 to 1"),
        ({"Schedulers": 1}, "Schedulers: 1; accepted for mw1.small: from 2 to 5"),
        ({"MinWebservers": 1}, "MinWebservers: 1"),
        ({"MaxWebservers": 6}, "MaxWebservers: 6"),
        ({"MinWebservers": 4, "MaxWebservers": 3}, "MinWebservers: 4 is more than MaxWebservers, which is 3"),
        ({"MaxWorkers": 51}, "MaxWorkers: 51"),
        ({"MinWorkers": 11}, "MinWorkers: 11 is more than MaxWorkers, which is 10"),
        ({"DagS3Path": "/"}, "DagS3Path: empty"),
        ({"DagS3Path": "s3://bucket/dags"}, "accepted: a path relative to the bucket"),
        ({"StartupScriptS3Path": "/startup.sh"}, "StartupScriptS3Path"),
        ({"PluginsS3ObjectVersion": "1"}, "PluginsS3ObjectVersion: given without PluginsS3Path"),
        (
            {"NetworkConfiguration": {"SubnetIds": ["subnet-1", "subnet-2"]}},
            "NetworkConfiguration.SecurityGroupIds: missing",
        ),
        ({"NetworkConfiguration": {"SubnetIds": ["a", "a"], "SecurityGroupIds": ["b"]}}, "the two subnets must differ"),
        ({"Teams": {"abc": {}}}, "Teams: not imitated"),
    ],
)
def test_what_mwaa_refuses(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ServiceError) as caught:
        rules.check_document(complete(**change))
    assert complaint in str(caught.value)


def test_an_environment_is_never_downgraded_nor_moved_to_another_major() -> None:
    rules.check_update(complete(), complete(AirflowVersion="2.11.0"))
    for version in ("2.9.2", "3.0.6"):
        with pytest.raises(ServiceError, match="AirflowVersion"):
            rules.check_update(complete(), complete(AirflowVersion=version))


def test_an_update_replaces_what_it_names_and_nothing_else() -> None:
    before = complete()
    change = {
        "NetworkConfiguration": {"SecurityGroupIds": ["sg-2"]},
        "LoggingConfiguration": {"WorkerLogs": {"Enabled": True, "LogLevel": "ERROR"}},
    }
    after = rules.merged(before, change)
    assert after["NetworkConfiguration"] == {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-2"]}
    assert set(after["LoggingConfiguration"]) == {"TaskLogs", "WorkerLogs"}
    assert {key for key in after if after[key] != before[key]} == {"NetworkConfiguration", "LoggingConfiguration"}


@pytest.mark.parametrize("status", ["CREATING", "UPDATING", "DELETING", "CREATING_SNAPSHOT"])
def test_nothing_changes_an_environment_in_transition(status: str) -> None:
    for allowed in (rules.UPDATABLE, rules.DELETABLE):
        with pytest.raises(ServiceError, match=f"its status is {status}"):
            rules.check_status("rehearsal", status, allowed, "changed")
