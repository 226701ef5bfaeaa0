"""The wire format of the MWAA API (REST-JSON), driven by botocore's own service model."""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
import uuid
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel
from werkzeug.wrappers import Request, Response

from tests.local_aws.mwaa.errors import ServiceError, invalid

_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/([^/]+)/[^/]+/aws4_request")


@dataclass(frozen=True)
class ApiCall:
    """One request: which operation, in which Region, with which parameters (by the names of the model's members)."""

    operation: str
    region: str
    params: dict[str, Any]


@functools.cache
def service_model() -> ServiceModel:
    """Botocore's description of the MWAA API."""
    return botocore.session.Session().get_service_model("mwaa")


@functools.cache
def _routes() -> list[tuple[str, re.Pattern[str], OperationModel]]:
    model = service_model()
    routes = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(operation.http["requestUri"]))
        routes.append((operation.http["method"], re.compile(path), operation))
    return routes


def read_call(request: Request) -> ApiCall:
    """The call that a request carries; raises ServiceError when there is none."""
    path = _raw_path(request)
    for method, pattern, operation in _routes():
        match = pattern.fullmatch(path) if method == request.method else None
        if match:
            params = {name: urllib.parse.unquote(value) for name, value in match.groupdict().items()}
            params = {**_body(request, operation), **_query(request, operation), **params}
            return ApiCall(operation.name, _region(request), params)
    raise ServiceError("ValidationException", f"{request.method} {path} is no operation of the MWAA API")


def write_answer(answer: dict[str, Any]) -> Response:
    """The response of a call that succeeded."""
    return _json_response(answer, 200)


def write_error(error: ServiceError) -> Response:
    """The response of a call that failed, with the status that the model gives this error."""
    shape = service_model().shape_for(error.code)
    response = _json_response(error.body, int(shape.metadata["error"]["httpStatusCode"]))
    response.headers["x-amzn-ErrorType"] = error.code
    return response


def _json_response(body: dict[str, Any], status: int) -> Response:
    response = Response(json.dumps(body), status, mimetype="application/json")
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    return response


def _raw_path(request: Request) -> str:
    """The path as sent: a resource ARN in it has escaped slashes, and through a proxy comes the whole address."""
    sent = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI")
    return urllib.parse.urlsplit(sent).path if sent else urllib.parse.quote(request.path, safe="/")


def _region(request: Request) -> str:
    match = _SCOPE.search(request.headers.get("Authorization", ""))
    if not match:
        raise ServiceError("AccessDeniedException", "", {"Message": "Missing Authentication Token"})
    return match.group(1)


def _query(request: Request, operation: OperationModel) -> dict[str, Any]:
    shape = operation.input_shape
    values: dict[str, Any] = {}
    for name, member in shape.members.items() if shape else []:
        if member.serialization.get("location") != "querystring":
            continue
        given = request.args.getlist(member.serialization["name"])
        if not given:
            continue
        if member.type_name == "list":
            values[name] = given
        elif member.type_name == "integer":
            values[name] = _integer(name, given[0])
        else:
            values[name] = given[0]
    return values


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise invalid(f"{name}: '{text}' is not a whole number") from error


def _body(request: Request, operation: OperationModel) -> dict[str, Any]:
    raw = request.get_data()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise invalid(f"the body of {operation.name} is not JSON ({error})") from error
    if not isinstance(body, dict):
        raise invalid(f"the body of {operation.name} must be a JSON object")
    shape = operation.input_shape
    elsewhere = (
        {name for name, member in shape.members.items() if member.serialization.get("location")} if shape else set()
    )
    if misplaced := sorted(elsewhere & set(body)):
        raise invalid(f"{misplaced[0]}: belongs into the address of the request, not into its body")
    return body
