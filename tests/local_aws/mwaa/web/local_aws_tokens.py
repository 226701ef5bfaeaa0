"""Tokens that the MWAA API signs and the web server of the environment accepts.

`payload.signature`: JSON `{"use", "role", "expires"}` and its HMAC-SHA256. Runs on the standard library alone, because
both sides load it: the stand-in, and the Airflow of an environment.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time

SECRET_VARIABLE = "LOCAL_AWS_TOKEN_SECRET"
LIFETIME_SECONDS = 60


def sign(secret: str, use: str, role: str) -> str:
    """A token for one use (`rest`, `web` or `cli`) under an Airflow role, valid for a minute as on AWS."""
    claims = {"use": use, "role": role, "expires": time.time() + LIFETIME_SECONDS}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
    return f"{payload}.{_signature(secret, payload)}"


def role_of(secret: str, use: str, token: str) -> str | None:
    """The Airflow role that a token gives its bearer for one use; None where it is none, or no longer valid."""
    payload, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(secret, payload).encode()):
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload))
    except (ValueError, binascii.Error):
        return None
    valid = claims["use"] == use and claims["expires"] > time.time()
    return str(claims["role"]) if valid else None


def user_of(role: str) -> str:
    """Name of the Airflow user that stands for a role."""
    return f"mwaa-{role.lower()}"


def _signature(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), "sha256").hexdigest()
