"""Authentication of the web server of an environment (Airflow 2): tokens that the MWAA API signed.

Loaded by the real web server as an API authentication backend. MWAA does the same with its own tokens: whoever IAM
lets take on an Airflow role becomes a user with that role, created at the first visit. Tokens are
`payload.signature`: JSON `{"use", "role", "expires"}` and its HMAC-SHA256.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from airflow.www.extensions.init_auth_manager import get_auth_manager
from flask import Flask, Response, request
from flask_login import login_user  # type: ignore[import-not-found]  # only in Airflow's own environment

CLIENT_AUTH: Any = None
#: Removed from the environment, so that no task or page of this server sees it.
_SECRET = os.environ.pop("LOCAL_AWS_TOKEN_SECRET").encode()


def init_app(app: Flask) -> None:
    """Add the address that turns a web login token into a session."""
    app.add_url_rule("/aws_mwaa/login", "aws_mwaa_login", _login, methods=["POST"])
    app.extensions["csrf"].exempt(_login)


def requires_authentication(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view that only a bearer of a token may call."""

    @wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        role = _role_of(token, "rest") if scheme == "Bearer" else None
        if role is None:
            return Response("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})
        login_user(_user(role), remember=False)
        return function(*args, **kwargs)

    return decorated


def _login() -> Response:
    role = _role_of(request.form.get("token", ""), "web")
    if role is None:
        return Response("Forbidden", 403)
    login_user(_user(role), remember=False)
    return Response("", 302, {"Location": "/home"})


def _role_of(token: str, use: str) -> str | None:
    payload, _, signature = token.partition(".")
    wanted = hmac.new(_SECRET, payload.encode(), "sha256").hexdigest()
    if not hmac.compare_digest(signature.encode(), wanted.encode()):
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload))
    except (ValueError, binascii.Error):
        return None
    valid = claims["use"] == use and claims["expires"] > time.time()
    return str(claims["role"]) if valid else None


def _user(role: str) -> Any:
    manager = get_auth_manager().security_manager
    name = f"mwaa-{role.lower()}"
    user = manager.find_user(username=name)
    if user is None:
        password = secrets.token_urlsafe(24)
        user = manager.add_user(name, "MWAA", role, f"{name}@localhost", manager.find_role(role), password)
    return user
