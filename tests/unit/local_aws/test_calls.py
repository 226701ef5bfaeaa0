"""Signed requests read as calls, and calls as actions on ARNs."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.local_aws.authz.actions import UnknownResource, airflow_role_requests, requests_of
from tests.local_aws.authz.calls import Call, parse_call


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:us-east-1:123456789012:{resource}"


def _on(action: str, resource: str) -> list[tuple[str, str]]:
    return [(action, _arn(action.partition(":")[0], resource))]


def _environ(service: str, method: str, path: str, body: bytes = b"", **more: str) -> dict[str, Any]:
    path, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=ASIA1/20261121/us-east-1/{service}/aws4_request",
        "HTTP_X_AMZ_ACCOUNT_ID": "123456789012",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **more,
    }


def _call(*arguments: Any, **more: str) -> Call:
    call = parse_call(_environ(*arguments, **more))
    assert call is not None
    return call


def _needs(call: Call) -> list[tuple[str, str]]:
    return [(request.action, request.resource) for request in requests_of(call)]


@pytest.mark.parametrize(
    ("service", "method", "path", "needs"),
    [
        ("s3", "GET", "/bucket/a/b%20c", [("s3:GetObject", "arn:aws:s3:::bucket/a/b%20c")]),
        ("s3", "GET", "/bucket/a?versionId=1", [("s3:GetObjectVersion", "arn:aws:s3:::bucket/a")]),
        ("s3", "HEAD", "/bucket/a", [("s3:GetObject", "arn:aws:s3:::bucket/a")]),
        ("s3", "GET", "/bucket?list-type=2&prefix=a", [("s3:ListBucket", "arn:aws:s3:::bucket")]),
        ("s3", "GET", "/bucket?versions", [("s3:ListBucketVersions", "arn:aws:s3:::bucket")]),
        ("s3", "PUT", "/bucket/a?partNumber=1&uploadId=u", [("s3:PutObject", "arn:aws:s3:::bucket/a")]),
        ("s3", "DELETE", "/bucket/a?uploadId=u", [("s3:AbortMultipartUpload", "arn:aws:s3:::bucket/a")]),
        ("s3", "DELETE", "/bucket/a?versionId=1", [("s3:DeleteObjectVersion", "arn:aws:s3:::bucket/a")]),
        ("s3", "PUT", "/bucket/a", [("s3:PutObject", "arn:aws:s3:::bucket/a")]),
        ("s3", "GET", "/bucket?replication", [("s3:GetReplicationConfiguration", "arn:aws:s3:::bucket")]),
        ("lambda", "POST", "/2015-03-31/functions/f/invocations", _on("lambda:InvokeFunction", "function:f")),
        ("airflow", "GET", "/environments/e", [("airflow:GetEnvironment", _arn("airflow", "environment/e"))]),
        ("airflow", "GET", "/environments", [("airflow:ListEnvironments", "*")]),
        ("s3", "GET", "/v20180820/jobs/j", [("s3:DescribeJob", _arn("s3", "job/j"))]),
    ],
)
def test_rest_calls(service: str, method: str, path: str, needs: list[tuple[str, str]]) -> None:
    assert _needs(_call(service, method, path)) == needs


@pytest.mark.parametrize(
    ("service", "target", "body", "needs"),
    [
        ("states", "AWSStepFunctions.SendTaskSuccess", {"taskToken": "t"}, [("states:SendTaskSuccess", "*")]),
        ("states", "AWSStepFunctions.StartExecution", {"stateMachineArn": "m"}, [("states:StartExecution", "m")]),
        ("dynamodb", "DynamoDB_20120810.GetItem", {"TableName": "t"}, _on("dynamodb:GetItem", "table/t")),
        (
            "dynamodb",
            "DynamoDB_20120810.Query",
            {"TableName": "t", "IndexName": "i"},
            _on("dynamodb:Query", "table/t/index/i"),
        ),
        (
            "dynamodb",
            "DynamoDB_20120810.TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "t"}}, {"ConditionCheck": {"TableName": "u"}}]},
            _on("dynamodb:PutItem", "table/t") + _on("dynamodb:ConditionCheckItem", "table/u"),
        ),
        (
            "logs",
            "Logs_20140328.PutLogEvents",
            {"logGroupName": "g", "logStreamName": "s"},
            _on("logs:PutLogEvents", "log-group:g:log-stream:s"),
        ),
        ("kms", "TrentService.GenerateDataKey", {"KeyId": "k"}, _on("kms:GenerateDataKey", "key/k")),
        ("monitoring", "GraniteService.PutMetricData", {"Namespace": "n"}, [("cloudwatch:PutMetricData", "*")]),
    ],
)
def test_json_calls(service: str, target: str, body: dict[str, Any], needs: list[tuple[str, str]]) -> None:
    assert _needs(_call(service, "POST", "/", json.dumps(body).encode(), HTTP_X_AMZ_TARGET=target)) == needs


def test_form_calls() -> None:
    body = b"Action=Publish&TopicArn=topic&Message=m"
    call = _call("sns", "POST", "/", body, CONTENT_TYPE="application/x-www-form-urlencoded")
    assert _needs(call) == [("sns:Publish", "topic")]


def test_every_object_of_a_bulk_delete_is_asked_for() -> None:
    body = b"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key><VersionId>1</VersionId></Object></Delete>"
    assert _needs(_call("s3", "POST", "/bucket?delete", body)) == [
        ("s3:DeleteObject", "arn:aws:s3:::bucket/a"),
        ("s3:DeleteObjectVersion", "arn:aws:s3:::bucket/b"),
    ]


def test_a_copy_is_told_from_an_upload() -> None:
    call = _call("s3", "PUT", "/bucket/a", HTTP_X_AMZ_COPY_SOURCE="other/b%20c")
    assert _needs(call) == [("s3:GetObject", "arn:aws:s3:::other/b c"), ("s3:PutObject", "arn:aws:s3:::bucket/a")]


def test_the_body_is_left_for_the_service() -> None:
    environ = _environ(
        "states", "POST", "/", b'{"taskToken": "t"}', HTTP_X_AMZ_TARGET="AWSStepFunctions.SendTaskSuccess"
    )
    assert parse_call(environ) is not None
    assert environ["wsgi.input"].read() == b'{"taskToken": "t"}'


def test_the_encryption_context_is_a_condition_key() -> None:
    body = json.dumps({"KeyId": "k", "EncryptionContext": {"environment": "e"}}).encode()
    call = _call("kms", "POST", "/", body, HTTP_X_AMZ_TARGET="TrentService.Decrypt")
    assert requests_of(call)[0].value("kms:EncryptionContext:environment") == "e"


def test_creating_an_environment_passes_its_role() -> None:
    """Failure covered: `iam:PassRole` on `*`. Who creates an environment must be allowed to pass exactly its role."""
    body = json.dumps({"ExecutionRoleArn": "role", "Tags": {"a": "b"}}).encode()
    call = _call("airflow", "PUT", "/environments/e", body, CONTENT_TYPE="application/json")
    environment = _arn("airflow", "environment/e")
    assert _needs(call) == [
        ("airflow:CreateEnvironment", environment),
        ("iam:PassRole", "role"),
        ("airflow:TagResource", environment),
    ]


def test_the_rest_api_is_asked_for_by_airflow_role() -> None:
    asked = airflow_role_requests(_call("airflow", "POST", "/restapi/e", b"{}", CONTENT_TYPE="application/json"))
    assert asked is not None
    assert asked["Op"].resource == _arn("airflow", "role/e/Op")


def test_an_unknown_service_cannot_be_judged() -> None:
    with pytest.raises(UnknownResource, match="glue:GetTable"):
        requests_of(_call("glue", "POST", "/", b"{}", HTTP_X_AMZ_TARGET="AWSGlue.GetTable"))


def test_an_unsigned_request_is_no_call() -> None:
    environ = _environ("s3", "GET", "/bucket/a")
    del environ["HTTP_AUTHORIZATION"]
    assert parse_call(environ) is None
