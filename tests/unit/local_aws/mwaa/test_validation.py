"""Requests against botocore's MWAA model: what AWS would refuse is refused, what it takes is taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local_aws.mwaa.errors import ServiceError
from tests.local_aws.mwaa.protocol import service_model
from tests.local_aws.mwaa.validation import validate

GOOD: dict[str, Any] = {
    "Name": "rehearsal",
    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/path/rehearsal",
    "SourceBucketArn": "arn:aws:s3:::rehearsal-dags",
    "DagS3Path": "dags",
    "NetworkConfiguration": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
    "AirflowVersion": "2.10.3",
    "AirflowConfigurationOptions": {"core.default_task_retries": "3"},
    "KmsKey": "arn:aws:kms:eu-west-1:123456789012:alias/rehearsal",
    "LoggingConfiguration": {"TaskLogs": {"Enabled": True, "LogLevel": "INFO"}},
    "Tags": {"Kostenstelle für Übung": "a b/c=d"},
}


def check(operation: str, params: dict[str, Any]) -> None:
    validate(service_model().operation_model(operation).input_shape, params)


def refusal(operation: str, params: dict[str, Any]) -> str:
    with pytest.raises(ServiceError) as caught:
        check(operation, params)
    assert caught.value.code == "ValidationException"
    return str(caught.value)


def test_a_complete_document_is_accepted() -> None:
    check("CreateEnvironment", GOOD)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"Colour": "red"}, "Value at 'colour' failed to satisfy constraint: Unknown member"),
        ({"Name": "1st"}, "Value '1st' at 'name'"),
        ({"Name": "n" * 81}, "length less than or equal to 80"),
        ({"MaxWorkers": 0}, "Value '0' at 'maxWorkers'"),
        ({"Schedulers": 6}, "Value '6' at 'schedulers'"),
        ({"MaxWorkers": True}, "Member must be of type integer"),
        ({"MaxWorkers": "10"}, "Member must be of type integer"),
        ({"WebserverAccessMode": "PRIVATE"}, "enum value set: [PRIVATE_ONLY, PUBLIC_ONLY, PUBLIC_AND_PRIVATE]"),
        ({"WeeklyMaintenanceWindowStart": "SUN:03:15"}, "at 'weeklyMaintenanceWindowStart'"),
        ({"SourceBucketArn": "rehearsal-dags"}, "at 'sourceBucketArn'"),
        ({"Tags": {}}, "length greater than or equal to 1"),
        ({"Tags": {"a?": "b"}}, "Value 'a?' at 'tags.key'"),
        ({"LoggingConfiguration": {"TaskLogs": {"Enabled": True}}}, "'loggingConfiguration.taskLogs.logLevel'"),
        (
            {"LoggingConfiguration": {"TaskLogs": {"Enabled": True, "LogLevel": "INFO", "CloudWatchLogGroupArn": "x"}}},
            "'loggingConfiguration.taskLogs.cloudWatchLogGroupArn' failed to satisfy constraint: Unknown member",
        ),
    ],
)
def test_what_the_model_forbids_is_refused(change: dict[str, Any], complaint: str) -> None:
    assert complaint in refusal("CreateEnvironment", {**GOOD, **change})


@pytest.mark.parametrize("count", [1, 3])
def test_exactly_two_subnets(count: int) -> None:
    subnets = [f"subnet-{number}" for number in range(count)]
    network = {"SubnetIds": subnets, "SecurityGroupIds": ["sg-1"]}
    assert "at 'networkConfiguration.subnetIds'" in refusal(
        "CreateEnvironment", {**GOOD, "NetworkConfiguration": network}
    )


@pytest.mark.parametrize("missing", ["ExecutionRoleArn", "SourceBucketArn", "DagS3Path", "NetworkConfiguration"])
def test_required_members(missing: str) -> None:
    document = {key: value for key, value in GOOD.items() if key != missing}
    assert f"Value null at '{missing[0].lower()}{missing[1:]}'" in refusal("CreateEnvironment", document)


def test_every_problem_is_told_at_once() -> None:
    assert refusal("CreateEnvironment", {**GOOD, "Name": "1", "MaxWorkers": 0}).startswith(
        "2 validation errors detected"
    )


def test_the_id_of_a_multi_region_key_is_refused_and_its_alias_is_not() -> None:
    """Failure covered: the primary's KMS key sent to the other Region."""
    key = "arn:aws:kms:eu-west-1:123456789012:key/mrk-0123456789abcdef0123456789abcdef"
    assert "at 'kmsKey'" in refusal("CreateEnvironment", {**GOOD, "KmsKey": key})
    check("CreateEnvironment", {**GOOD, "KmsKey": "alias/rehearsal"})


def test_configuration_values_are_not_repeated_in_messages() -> None:
    message = refusal("CreateEnvironment", {**GOOD, "AirflowConfigurationOptions": {"smtp.smtp_password": "geheim\n"}})
    assert "airflowConfigurationOptions.smtp.smtp_password" in message
    assert "geheim" not in message


def test_a_rest_path_has_at_most_64_characters() -> None:
    check("InvokeRestApi", {"Name": "a", "Path": "/" + "d" * 63, "Method": "GET", "Body": {"any": ["document", 1]}})
    assert "at 'path'" in refusal("InvokeRestApi", {"Name": "a", "Path": "/" + "d" * 64, "Method": "GET"})


def test_an_update_cannot_name_subnets() -> None:
    network = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert "'networkConfiguration.subnetIds'" in refusal(
        "UpdateEnvironment", {"Name": "a", "NetworkConfiguration": network}
    )
