"""Errors of AWS on the wire, in the protocol that the caller speaks."""

from __future__ import annotations

import json
import uuid
from typing import Any
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

#: Services that answer `AccessDenied`; all others say `AccessDeniedException`.
_SHORT_NAMES = frozenset({"s3", "s3control", "sts", "iam", "ec2", "sns", "sqs", "cloudwatch"})


def access_denied_code(service: str) -> str:
    """Name of the error when a role may not."""
    return "AccessDenied" if service in _SHORT_NAMES else "AccessDeniedException"


def aws_error(environ: dict[str, Any], service: str, code: str, message: str, status: int) -> Response:
    """A response that SDKs read as the error `code`."""
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": request_id, "x-amzn-ErrorType": code}
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service in ("s3", "s3control"):
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error>{error}<RequestId>{request_id}</RequestId></Error>"
        return Response(
            body if environ["REQUEST_METHOD"] != "HEAD" else "", status, headers, mimetype="application/xml"
        )
    if "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", ""):
        fault = "Sender" if status < 500 else "Receiver"
        error = f"<Error><Type>{fault}</Type>{error}</Error>"
        body = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
        return Response(body, status, headers, mimetype="text/xml")
    body = json.dumps({"__type": code, "message": message, "Message": message})
    return Response(body, status, headers, mimetype="application/x-amz-json-1.0")
