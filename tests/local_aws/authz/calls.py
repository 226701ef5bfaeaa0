"""A signed HTTP request read as an AWS call: service, operation, Region, caller's key and parameters."""

from __future__ import annotations

import functools
import io
import json
import re
import threading
import urllib.parse
import xml.parsers.expat
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import xmltodict
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, ServiceModel

_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
#: Signing name -> botocore's name, where they differ.
_BOTOCORE_NAMES = {
    "states": "stepfunctions",
    "monitoring": "cloudwatch",
    "airflow": "mwaa",
    "elasticmapreduce": "emr",
}
#: Signing name -> IAM prefix, where they differ.
_IAM_PREFIXES = {"monitoring": "cloudwatch"}
_S3_CONTROL_PATH = "/v20180820/"
#: Object operations of S3 whose body is data, not parameters.
_DATA_BODIES = frozenset({"PutObject", "UploadPart"})
_loader_lock = threading.Lock()
_botocore = botocore.session.Session()


@dataclass(frozen=True)
class Call:
    """One call of the AWS API."""

    access_key: str
    region: str
    signing_name: str
    service: str  #: botocore's name
    operation: str | None  #: None when the request fits no operation of the service
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    @property
    def iam_prefix(self) -> str:
        """Prefix of the service's IAM actions."""
        return _IAM_PREFIXES.get(self.signing_name, self.signing_name)

    @property
    def names(self) -> frozenset[str]:
        """Every name by which a fault may mean this service."""
        return frozenset({self.signing_name, self.service, self.iam_prefix})


@dataclass(frozen=True)
class _Route:
    method: str
    path: re.Pattern[str]
    query: frozenset[tuple[str, str]]  #: names and values that must be there; of a value "" the name only
    headers: frozenset[str]  #: names of headers that must be there, in lower case
    operation: OperationModel
    literal: int  #: length of the fixed part of the path: the longer, the more specific


@functools.cache
def _service_model(service: str) -> ServiceModel | None:
    with _loader_lock:
        try:
            return _botocore.get_service_model(service)
        except UnknownServiceError:
            return None


@functools.cache
def _routes(service: str) -> list[_Route]:
    """Every operation of the service, those that ask for most first."""
    model = _service_model(service)
    routes = [_route(model.operation_model(name)) for name in model.operation_names] if model else []
    return sorted(routes, key=lambda r: (-len(r.query) - len(r.headers), -r.literal, -r.path.groups))


def _route(operation: OperationModel) -> _Route:
    uri, _, query = operation.http["requestUri"].partition("?")
    pattern = re.sub(r"\\\{(\w+)(\\\+)?\\\}", _placeholder, re.escape(uri))
    pairs = set(urllib.parse.parse_qsl(query, keep_blank_values=True))
    return _Route(
        method=operation.http["method"],
        path=re.compile(f"{pattern}/?"),
        query=frozenset(pairs | {(name, "") for name in _required(operation, "querystring")}),
        headers=frozenset(name.lower() for name in _required(operation, "header")),
        operation=operation,
        literal=len(re.sub(r"\{[^}]+\}", "", uri)),
    )


def _required(operation: OperationModel, location: str) -> list[str]:
    """Names on the wire of the members without which the operation cannot be called."""
    shape = operation.input_shape
    if shape is None:
        return []
    members = [shape.members[name] for name in shape.required_members]
    return [m.serialization["name"] for m in members if m.serialization.get("location") == location]


def _placeholder(match: re.Match[str]) -> str:
    return f"(?P<{match.group(1)}>{'.+' if match.group(2) else '[^/]+'})"


def scope_of(environ: dict[str, Any]) -> tuple[str, str, str] | None:
    """Access key, Region and signing name from the credential scope (header or presigned URL), if any."""
    text = environ.get("HTTP_AUTHORIZATION", "")
    if "X-Amz-Credential=" in environ.get("QUERY_STRING", ""):
        query = urllib.parse.parse_qs(environ["QUERY_STRING"])
        text = f"Credential={query['X-Amz-Credential'][0]}"
    match = _SCOPE.search(text)
    return (match.group(1), match.group(2), match.group(3)) if match else None


def _headers_of(environ: dict[str, Any]) -> dict[str, str]:
    return {key[5:].replace("_", "-").lower(): str(value) for key, value in environ.items() if key.startswith("HTTP_")}


def _read_body(environ: dict[str, Any]) -> bytes:
    """The whole body; the stream is put back for whoever answers."""
    length = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    if length:
        body = stream.read(int(length))
    elif environ.get("wsgi.input_terminated"):
        body = stream.read()
    else:
        return b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return bytes(body)


def _parse_body(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        parsed = xmltodict.parse(body) if body[:1] == b"<" else json.loads(body)
    except (ValueError, xml.parsers.expat.ExpatError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _rest_operation(
    environ: dict[str, Any], service: str, path: str, query: dict[str, str]
) -> tuple[str | None, dict[str, str]]:
    headers = _headers_of(environ)
    for route in _routes(service):
        asked = all(query.get(key) == value or (not value and key in query) for key, value in route.query)
        if route.method != environ["REQUEST_METHOD"] or not asked or not route.headers <= headers.keys():
            continue
        if match := route.path.fullmatch(path):
            return route.operation.name, _member_names(route.operation, match.groupdict())
    return None, {}


def _member_names(operation: OperationModel, in_path: dict[str, str]) -> dict[str, str]:
    """Values from the path under the names of the operation's members."""
    shape = operation.input_shape
    members = shape.members if shape is not None else {}
    names = {
        member.serialization.get("name", name): name
        for name, member in members.items()
        if member.serialization.get("location") == "uri"
    }
    return {names.get(placeholder, placeholder): value for placeholder, value in in_path.items()}


def _query_parameters(service: str, operation: str | None, query: dict[str, str]) -> dict[str, Any]:
    """Query-string values under the names of the operation's members."""
    model = _service_model(service)
    if model is None or operation is None:
        return {}
    shape = model.operation_model(operation).input_shape
    members = shape.members if shape is not None else {}
    return {
        name: query[member.serialization["name"]]
        for name, member in members.items()
        if member.serialization.get("location") == "querystring" and member.serialization.get("name") in query
    }


def parse_call(environ: dict[str, Any]) -> Call | None:
    """The AWS call that a WSGI request carries; None when it is not signed."""
    scope = scope_of(environ)
    if scope is None:
        return None
    access_key, region, signing_name = scope
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    service = _BOTOCORE_NAMES.get(signing_name, signing_name)
    if signing_name == "s3" and path.startswith(_S3_CONTROL_PATH):
        service = "s3control"
    query = dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    operation, params = _operation_and_params(environ, service, path, query)
    return Call(access_key, region, signing_name, service, operation, params, _headers_of(environ), query)


def _operation_and_params(
    environ: dict[str, Any], service: str, path: str, query: dict[str, str]
) -> tuple[str | None, dict[str, Any]]:
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    content_type = environ.get("CONTENT_TYPE", "")
    if target:
        return target.rsplit(".", 1)[-1], _parse_body(_read_body(environ))
    if "x-www-form-urlencoded" in content_type or "Action" in query:
        form = dict(urllib.parse.parse_qsl(_read_body(environ).decode(), keep_blank_values=True))
        return {**query, **form}.get("Action"), {**query, **form}
    operation, in_path = _rest_operation(environ, service, path, query)
    body = {} if operation in _DATA_BODIES else _parse_body(_read_body(environ))
    return operation, {**body, **_query_parameters(service, operation, query), **in_path}
