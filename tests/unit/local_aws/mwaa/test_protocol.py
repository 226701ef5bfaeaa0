"""Requests as they come from SDKs, and errors as SDKs read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from tests.local_aws.mwaa.errors import ServiceError, not_found
from tests.local_aws.mwaa.protocol import read_call, write_error

SIGNED = [("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/airflow/aws4_request")]
ARN = "arn:aws:airflow:eu-west-1:123456789012:environment/rehearsal"


def request(method: str, sent: str, body: Any = None, headers: Iterable[tuple[str, str]] = SIGNED) -> Request:
    path, _, query = sent.partition("?")
    builder = EnvironBuilder(path, method=method, query_string=query, headers=list(headers), json=body)
    environ = builder.get_environ()
    environ["RAW_URI"] = environ["REQUEST_URI"] = sent
    return Request(environ)


def test_a_resource_arn_in_the_path_is_unescaped_after_routing() -> None:
    call = read_call(request("DELETE", f"/tags/{ARN.replace('/', '%2F')}?tagKeys=a&tagKeys=b"))
    assert (call.operation, call.region) == ("UntagResource", "eu-west-1")
    assert call.params == {"ResourceArn": ARN, "tagKeys": ["a", "b"]}


def test_a_whole_address_as_proxies_get_it() -> None:
    call = read_call(request("GET", "http://api.mwaa.test/environments?MaxResults=5"))
    assert (call.operation, call.params) == ("ListEnvironments", {"MaxResults": 5})


def test_path_and_body_make_one_set_of_parameters() -> None:
    call = read_call(request("PATCH", "/environments/rehearsal", {"MaxWorkers": 3}))
    assert (call.operation, call.params) == ("UpdateEnvironment", {"Name": "rehearsal", "MaxWorkers": 3})


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/environments/rehearsal", None, "ValidationException"),
        ("PUT", "/environments/rehearsal", ["a list"], "ValidationException"),
        ("PUT", "/environments/rehearsal", {"Name": "another"}, "ValidationException"),
        ("GET", "/environments?MaxResults=many", None, "ValidationException"),
    ],
)
def test_bad_requests(method: str, path: str, body: Any, code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_call(request(method, path, body))
    assert caught.value.code == code


def test_an_unsigned_request_is_refused() -> None:
    with pytest.raises(ServiceError) as caught:
        read_call(request("GET", "/environments", headers=[]))
    assert caught.value.code == "AccessDeniedException"


def test_errors_carry_the_status_of_the_model_and_their_members() -> None:
    response = write_error(not_found("Environment rehearsal"))
    assert (response.status_code, response.headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")
    body = {"RestApiStatusCode": 409, "RestApiResponse": {"title": "Conflict"}}
    response = write_error(ServiceError("RestApiClientException", "409", body))
    assert (response.status_code, json.loads(response.get_data())) == (400, body)
