"""Tokens that the MWAA API signs and the web server of the environment accepts (see airflow2/local_aws_auth.py)."""

from __future__ import annotations

import base64
import hmac
import json
import time

SECRET_VARIABLE = "LOCAL_AWS_TOKEN_SECRET"
LIFETIME_SECONDS = 60


def sign(secret: str, use: str, role: str) -> str:
    """A token for one use (`rest`, `web` or `cli`) under an Airflow role, valid for a minute as on AWS."""
    claims = {"use": use, "role": role, "expires": time.time() + LIFETIME_SECONDS}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
    return f"{payload}.{hmac.new(secret.encode(), payload.encode(), 'sha256').hexdigest()}"
