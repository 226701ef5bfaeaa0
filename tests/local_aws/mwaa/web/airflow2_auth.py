"""Authentication of the web server of an environment (Airflow 2): tokens that the MWAA API signed.

Loaded by the real web server as an API authentication backend. MWAA does the same with its own tokens: whoever IAM
lets take on an Airflow role becomes a user with that role, created at the first visit.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

from airflow.www.extensions.init_auth_manager import get_auth_manager
from flask import Flask, Response, request
from flask_login import login_user  # type: ignore[import-not-found]  # only in Airflow's own environment
from local_aws_tokens import SECRET_VARIABLE, role_of, user_of  # type: ignore[import-not-found]  # beside this file

CLIENT_AUTH: Any = None
#: Removed from the environment, so that no task or page of this server sees it.
_SECRET = os.environ.pop(SECRET_VARIABLE)


def init_app(app: Flask) -> None:
    """Add the address that turns a web login token into a session."""
    app.add_url_rule("/aws_mwaa/login", "aws_mwaa_login", _login, methods=["POST"])
    app.extensions["csrf"].exempt(_login)


def requires_authentication(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view that only a bearer of a token may call."""

    @wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        role = role_of(_SECRET, "rest", token) if scheme == "Bearer" else None
        if role is None:
            return Response("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})
        login_user(_user(role), remember=False)
        return function(*args, **kwargs)

    return decorated


def _login() -> Response:
    role = role_of(_SECRET, "web", request.form.get("token", ""))
    if role is None:
        return Response("Forbidden", 403)
    login_user(_user(role), remember=False)
    return Response("", 302, {"Location": "/home"})


def _user(role: str) -> Any:
    manager = get_auth_manager().security_manager
    name = user_of(role)
    user = manager.find_user(username=name)
    if user is None:
        password = secrets.token_urlsafe(24)
        user = manager.add_user(name, "MWAA", role, f"{name}@localhost", manager.find_role(role), password)
    return user
