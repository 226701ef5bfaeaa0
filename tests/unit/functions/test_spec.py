"""The spec: GetEnvironment of one Region -> a CreateEnvironment document that botocore's model of MWAA accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from mwaa_continuity import spec
from mwaa_continuity.errors import BadSpec
from tests.unit.functions.conftest import BINDING, PRIMARY, SECONDARY, SECRET_OPTION, environment


def moved(**changes: Any) -> dict[str, Any]:
    return spec.for_region(spec.from_environment(environment() | changes), PRIMARY, BINDING, SECONDARY)


def test_the_document_is_what_botocore_accepts() -> None:
    document = moved()
    assert not ParamValidator().validate(document, spec.create_shape()).has_errors()


def test_nothing_of_the_primary_is_left() -> None:
    """Failure covered: the primary's KMS key sent to the other Region."""
    document = moved()
    assert PRIMARY not in json.dumps(document)
    assert {name: document[name] for name in spec.REGION_BOUND} == {name: BINDING[name] for name in spec.REGION_BOUND}


def test_a_binding_without_a_key_sends_none() -> None:
    """Failure covered: the primary's KMS key sent to the other Region."""
    binding = {name: value for name, value in BINDING.items() if name != "KmsKey"}
    document = spec.for_region(spec.from_environment(environment()), PRIMARY, binding, SECONDARY)
    assert "KmsKey" not in document


def test_web_servers_are_kept() -> None:
    """Failure covered: Min/MaxWebservers forgotten."""
    document = moved()
    assert (document["MinWebservers"], document["MaxWebservers"]) == (2, 4)


def test_what_only_get_environment_knows_falls_away() -> None:
    document = spec.from_environment(environment())
    assert not set(document) & {
        "Arn", "Status", "CreatedAt", "LastUpdate", "WebserverUrl", "ServiceRoleArn", "CeleryExecutorQueue",
    }  # fmt: skip
    assert document["LoggingConfiguration"] == {"TaskLogs": {"Enabled": True, "LogLevel": "INFO"}}
    assert document["Tags"] == {"team": "data"}
    assert document["StartupScriptS3Path"] == "startup.sh"
    assert document["AirflowVersion"] == "2.10.3"


def test_only_aws_tags_leaves_no_tags() -> None:
    assert "Tags" not in spec.from_environment(environment() | {"Tags": {"aws:x": "y"}})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("arn:aws:sns:us-east-1:123456789012:alarms", "arn:aws:sns:us-west-2:123456789012:alarms"),
        ("https://sqs.us-east-1.amazonaws.com/1/q", "https://sqs.us-west-2.amazonaws.com/1/q"),
        ('{"region_name": "us-east-1"}', '{"region_name": "us-west-2"}'),
        ("us-east-1,eu-west-1", "us-west-2,eu-west-1"),
        ("s3://logs-us-east-1/path", "s3://logs-us-east-1/path"),
        ("us-east-1a", "us-east-1a"),
        ("us-east-11", "us-east-11"),
    ],
)
def test_regions_in_options(before: str, after: str) -> None:
    assert moved(AirflowConfigurationOptions={"a.b": before})["AirflowConfigurationOptions"]["a.b"] == after


def test_the_bindings_options_win_one_by_one() -> None:
    options = moved(AirflowConfigurationOptions={"email.from_email": "east@example.com", "core.parallelism": "8"})[
        "AirflowConfigurationOptions"
    ]
    assert options == {"email.from_email": "west@example.com", "core.parallelism": "8"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"MaxWorkers": 0}, "MaxWorkers has the value 0; accepted: 1 to any"),
        ({"MaxWorkers": "five"}, "MaxWorkers is str; accepted: integer"),
        ({"Schedulers": True}, "Schedulers is bool; accepted: integer"),
        ({"WebserverAccessMode": "OPEN"}, "WebserverAccessMode is of no known kind; accepted: PRIVATE_ONLY"),
        ({"WeeklyMaintenanceWindowStart": "never"}, "WeeklyMaintenanceWindowStart is not of the form"),
        ({"Name": "1st"}, "Name is not of the form"),
        ({"DagS3Path": None}, "DagS3Path is missing"),
    ],
)
def test_every_fault_is_named(changes: dict[str, Any], message: str) -> None:
    binding = {name: value for name, value in BINDING.items() if name != "Name"}
    document = spec.from_environment(environment() | changes)
    with pytest.raises(BadSpec, match=message):
        spec.for_region(document, PRIMARY, binding, SECONDARY)


def test_a_binding_that_lacks_the_network_is_refused() -> None:
    with pytest.raises(BadSpec, match="NetworkConfiguration is missing"):
        spec.for_region(spec.from_environment(environment()), PRIMARY, {"Name": "rehearsal"}, SECONDARY)


def test_a_fault_never_repeats_a_configuration_value() -> None:
    """Failure covered: bearer tokens and credentials in logs."""
    with pytest.raises(BadSpec) as caught:
        spec.validate(moved() | {"AirflowConfigurationOptions": {"a": [SECRET_OPTION], "b": {SECRET_OPTION: 1}}})
    assert "AirflowConfigurationOptions.a is list; accepted: string" in str(caught.value)
    assert SECRET_OPTION not in str(caught.value)


def values() -> st.SearchStrategy[Any]:
    """Right and wrong values for any member."""
    return st.one_of(
        st.none(), st.booleans(), st.integers(-1, 7), st.text(max_size=9), st.lists(st.text(max_size=3), max_size=3),
        st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    )  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(spec.create_shape().members)), values(), max_size=4))
def test_it_accepts_nothing_that_botocore_refuses(changes: dict[str, Any]) -> None:
    document = moved() | {name: value for name, value in changes.items() if value is not None}
    if ParamValidator().validate(document, spec.create_shape()).has_errors():
        with pytest.raises(BadSpec):
            spec.validate(document)


@given(st.text())
def test_a_region_is_replaced_only_where_it_stands_alone(text: str) -> None:
    assert spec.in_region(text, PRIMARY, SECONDARY).count(PRIMARY) <= text.count(PRIMARY)
    assert spec.in_region(f"x{PRIMARY}{text}", PRIMARY, SECONDARY).startswith(f"x{PRIMARY}")
