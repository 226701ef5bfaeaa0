"""What of a live environment differs from its spec, and what of that can be changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mwaa_continuity import spec
from mwaa_continuity.changes import changes
from tests.unit.functions.conftest import SECONDARY, environment

LIVE: Mapping[str, Any] = spec.from_environment(environment(SECONDARY))


def wanted(**members: Any) -> dict[str, Any]:
    """The live document with other members; None takes one away."""
    return {name: value for name, value in {**LIVE, **members}.items() if value is not None}


def test_an_environment_that_is_as_its_spec_says_needs_nothing() -> None:
    found = changes(LIVE, wanted())
    assert (found.update, found.tags, found.fixed, found.names) == ({}, {}, [], [])


@pytest.mark.parametrize(
    ("members", "update"),
    [
        ({"MaxWorkers": 9}, {"MaxWorkers": 9}),
        ({"EnvironmentClass": "mw1.large", "Schedulers": 3}, {"EnvironmentClass": "mw1.large", "Schedulers": 3}),
        ({"ExecutionRoleArn": "arn:aws:iam::1:role/x"}, {"ExecutionRoleArn": "arn:aws:iam::1:role/x"}),
        ({"AirflowVersion": "2.11.2"}, {"AirflowVersion": "2.11.2"}),
        ({"AirflowConfigurationOptions": {"a.b": "c"}}, {"AirflowConfigurationOptions": {"a.b": "c"}}),
        ({"AirflowConfigurationOptions": None}, {"AirflowConfigurationOptions": {}}),
        (
            {"NetworkConfiguration": {"SubnetIds": ["subnet-2", "subnet-1"], "SecurityGroupIds": ["sg-2"]}},
            {"NetworkConfiguration": {"SecurityGroupIds": ["sg-2"]}},
        ),
        (
            {
                "LoggingConfiguration": {
                    "TaskLogs": {"Enabled": True, "LogLevel": "INFO"},
                    "WorkerLogs": {"Enabled": True, "LogLevel": "ERROR"},
                }
            },
            {"LoggingConfiguration": {"WorkerLogs": {"Enabled": True, "LogLevel": "ERROR"}}},
        ),
        (
            {"RequirementsS3ObjectVersion": "newer"},
            {"RequirementsS3Path": "requirements.txt", "RequirementsS3ObjectVersion": "newer"},
        ),
        ({"RequirementsS3ObjectVersion": None}, {}),
        (
            {"RequirementsS3Path": None, "RequirementsS3ObjectVersion": None},
            {"RequirementsS3Path": "", "RequirementsS3ObjectVersion": ""},
        ),
        ({"PluginsS3Path": "plugins.zip"}, {"PluginsS3Path": "plugins.zip"}),
        ({"WeeklyMaintenanceWindowStart": None}, {}),
    ],
)
def test_only_what_differs_is_sent(members: dict[str, Any], update: dict[str, Any]) -> None:
    """Failure covered: Min/MaxWebservers forgotten, and with them whatever nobody wrote down."""
    found = changes(LIVE, wanted(**members))
    assert (found.update, found.fixed) == (update, [])
    assert found.names == sorted(update)
    assert set(update) <= spec.update_members()


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"KmsKey": "arn:aws:kms:us-west-2:1:key/other"}, "KmsKey"),
        ({"KmsKey": None}, "KmsKey"),
        ({"EndpointManagement": "CUSTOMER"}, "EndpointManagement"),
        (
            {"NetworkConfiguration": {"SubnetIds": ["subnet-1", "subnet-3"], "SecurityGroupIds": ["sg-1"]}},
            "NetworkConfiguration.SubnetIds",
        ),
        ({"AirflowVersion": "2.9.2"}, "AirflowVersion (2.10.3 to 2.9.2)"),
        ({"AirflowVersion": "3.0.6"}, "AirflowVersion (2.10.3 to 3.0.6)"),
    ],
)
def test_what_mwaa_cannot_change_is_named(members: dict[str, Any], named: str) -> None:
    found = changes(LIVE, wanted(**members))
    assert (found.update, found.fixed) == ({}, [named])


def test_tags_are_added_and_those_of_others_stay() -> None:
    found = changes(LIVE, wanted(Tags={"team": "other", "cost": "1"}))
    assert (found.tags, found.names) == ({"team": "other", "cost": "1"}, ["Tags"])
    assert changes({**LIVE, "Tags": {"team": "data", "by-hand": "x"}}, wanted(Tags={"team": "data"})).names == []


def test_every_member_of_a_spec_is_compared() -> None:
    """A member that AWS adds is seen, whether it can be changed or not."""
    members = set(spec.create_shape().members) - {"Name", "Tags", "NetworkConfiguration", "LoggingConfiguration"}
    for name in sorted(members):
        found = changes(LIVE, wanted(**{name: {"x": "y"} if name == "AirflowConfigurationOptions" else "9.9.9"}))
        assert found.names, name
