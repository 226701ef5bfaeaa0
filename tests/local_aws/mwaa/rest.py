"""InvokeRestApi: a request to the real web server of an environment."""

from __future__ import annotations

import json
from typing import Any

import requests

from tests.local_aws.mwaa.errors import ServiceError, invalid
from tests.local_aws.mwaa.runner import AirflowRunner

TIMEOUT_SECONDS = 10.0
LARGEST_ANSWER = 6 * 1024 * 1024


def invoke(runner: AirflowRunner, role: str, params: dict[str, Any]) -> dict[str, Any]:
    """Answer of InvokeRestApi; an error of Airflow becomes RestApiClientException or RestApiServerException."""
    path = params["Path"]
    if not path.startswith("/"):
        raise invalid(
            f"path: '{path}'; accepted: starts with a slash, without the prefix {runner.settings.major.rest_prefix}"
        )
    if path.startswith("/api/"):
        raise invalid(f"path: '{path}'; the prefix {runner.settings.major.rest_prefix} is implicit")
    try:
        with runner.request(
            role,
            params["Method"],
            path,
            query=params.get("QueryParameters"),
            body=params.get("Body"),
            timeout=TIMEOUT_SECONDS,
        ) as response:
            return _answer(response.status_code, _read(response))
    except requests.Timeout as error:
        raise _failed(504, {"title": f"no answer within {TIMEOUT_SECONDS:.0f} seconds"}) from error
    except requests.RequestException as error:
        raise _failed(503, {"title": "the web server does not answer"}) from error


def _read(response: requests.Response) -> bytes:
    body = b""
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise _failed(413, {"title": f"the answer is larger than {LARGEST_ANSWER} bytes"})
    return body


def _answer(status: int, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        document = body.decode("utf-8", "replace")
    if status >= 400:
        raise _failed(status, document)
    return {"RestApiStatusCode": status, "RestApiResponse": document}


def _failed(status: int, document: Any) -> ServiceError:
    code = "RestApiServerException" if status >= 500 else "RestApiClientException"
    return ServiceError(code, str(status), {"RestApiStatusCode": status, "RestApiResponse": document})
