"""Every patch of moto is still needed, and does what AWS does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.local_aws.client_env import machine_env
from tests.local_aws.patches import all_patches

_ROOT = Path(__file__).resolve().parents[3]
_MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:m"

#: Patch -> what moto answers without it, what AWS answers.
ANSWERS: dict[str, tuple[Any, Any]] = {
    "awslambda.configuration_members": (
        [None, None, "PassThrough"],
        ["arn:aws:sqs:us-east-1:123456789012:q", "/g", "Active"],
    ),
    "cloudwatch.composite_alarms": ("error NotImplementedError", ["both"]),
    "cloudwatch.initial_state": ("OK", "INSUFFICIENT_DATA"),
    "cloudwatch.statistics_periods": ([[3.0, 50]], [[1.0, 0]]),
    "dynamodb.global_tables": (
        "error ResourceNotFoundException",
        ["us-west-2", ["us-east-1"], {"pk": {"S": "x"}}],
    ),
    "dynamodb.replica_tags": ("error ResourceNotFoundException", [{"Key": "a", "Value": "b"}]),
    "ec2.endpoints_without_routes": ("error InvalidRoute.NotFound", [[], "deleted"]),
    "ec2.rule_description": ([None], ["from two"]),
    "ecs.memory_of_the_task": ("error TypeError", 0),
    "emr.region_of_the_signature": ("us-east-1", "us-west-2"),
    "iam.regional_s3_arns": ("error MalformedPolicyDocument", "accepted"),
    "iam.service_linked_role_of_mwaa": ("AWSServiceRoleForairflow", "AWSServiceRoleForAmazonMWAA"),
    "kms.multi_region_ciphertext": ("error AccessDeniedException", True),
    "kms.replicate_key": (
        [["REPLICA", "REPLICA"], "home", []],
        [["PRIMARY", "REPLICA"], "other", [{"TagKey": "a", "TagValue": "b"}]],
    ),
    "kms.unusable_keys": ("encrypted", "error DisabledException"),
    "s3.bucket_policy_conditions": ("error 403", "x"),
    "s3.delete_markers": ("error AttributeError", "deleted"),
    "s3.events_of_objects": ([True, False, False], [False, True, True]),
    "s3.notification_to_event_bridge": (None, {}),
    "s3.replication_configuration": (
        [{"Prefix": ""}, {"Status": "Disabled"}, None],
        [{"Prefix": "snapshots/"}, {"Status": "Enabled"}, {"SseKmsEncryptedObjects": {"Status": "Enabled"}}],
    ),
    "s3.replication_status": (None, "COMPLETED"),
    "scheduler.update_keeps_state": (None, "ENABLED"),
    "servicequotas.quotas_of_mwaa": ("error NoSuchResourceException", [10.0, 25.0]),
    "sqs.queue_attributes": ([False, False], [True, True]),
    "stepfunctions.execution": (["RUNNING", None], ["SUCCEEDED", "1"]),
    "stepfunctions.validate_definition": ("error NotImplementedError", ["OK", "FAIL"]),
    "stepfunctions.list_versions": ("error NotImplementedError", []),
    "stepfunctions.execution_names": (1, 2),
    "stepfunctions.heartbeat_without_limit": ("error InvalidToken", "accepted"),
    "stepfunctions.parse_once": (
        [2, "SUCCEEDED", "refused", "refused"],
        [1, "SUCCEEDED", "refused", "refused"],
    ),
    "stepfunctions.starting_executions": ("error AttributeError", "error InvalidToken"),
    "stepfunctions.sdk_error_names": ("ssm.ParameterNotFoundException", "Ssm.ParameterNotFoundException"),
    "stepfunctions.early_answers": (False, True),
    "stepfunctions.lambda_parameters": (None, "Event"),
    "stepfunctions.fail_with_any_error": ("States.Runtime", "States.Timeout"),
    "stepfunctions_clients.request_and_response_shapes": (["FAILED", None, ""], ["SUCCEEDED", '{"a":1}', "Z"]),
    "stepfunctions_clients.connection_errors": ("States.Runtime", "DynamoDb.SdkClientException"),
    "stepfunctions_clients.credentials_name_their_machine": ([None], [_MACHINE]),
}


def _probe(*arguments: str) -> dict[str, Any]:
    """Answers of the probes in an interpreter of its own: a patch cannot be taken back."""
    command = [sys.executable, "-m", "tests.integration.local_aws.probes", *arguments]
    done = subprocess.run(
        command, cwd=_ROOT, env=machine_env(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.fixture(scope="module")
def without() -> dict[str, Any]:
    """What moto answers as it comes."""
    return _probe()


@pytest.fixture(scope="module")
def patched() -> dict[str, Any]:
    """What moto answers with every patch."""
    return _probe("--patched")


def test_every_patch_is_probed() -> None:
    """A patch that nobody watches outlives its reason."""
    assert set(ANSWERS) == set(all_patches())


@pytest.mark.parametrize("name", ANSWERS)
def test_moto_still_needs_the_patch(without: dict[str, Any], name: str) -> None:
    """When this fails, moto has changed: look whether the patch can go."""
    assert without[name] == ANSWERS[name][0]


@pytest.mark.parametrize("name", ANSWERS)
def test_the_patch_does_what_aws_does(patched: dict[str, Any], name: str) -> None:
    assert patched[name] == ANSWERS[name][1]
