"""Environment variables with which AWS clients reach the stand-in."""

from __future__ import annotations

import os

ADMIN_ACCESS_KEY = "AKIALOCALADMIN000000"
ADMIN_SECRET_KEY = "local-aws-administrator"
#: Names that no resolver knows: requests to them go through HTTP_PROXY, which is the stand-in.
MWAA_ENDPOINT = "http://mwaa.test"
S3_CONTROL_ENDPOINT = "http://s3control.test"


def _common_env(port: int) -> dict[str, str]:
    """SDKs put the account's id before the host of S3 Control whatever they are told: it has an invented host too."""
    return {
        "AWS_ACCESS_KEY_ID": ADMIN_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ADMIN_SECRET_KEY,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ENDPOINT_URL_S3_CONTROL": S3_CONTROL_ENDPOINT,
        "HTTP_PROXY": f"http://127.0.0.1:{port}",
        "NO_PROXY": "127.0.0.1,localhost",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


def terraform_env(port: int) -> dict[str, str]:
    """For Terraform and its AWS provider.

    The Go SDK puts `api.` before the host of MWAA. No loopback name carries that prefix, so MWAA has an invented host
    which is reached through the proxy setting; Go never uses a proxy for loopback addresses, so every other service is
    called directly.
    """
    return {
        **_common_env(port),
        "AWS_ENDPOINT_URL_MWAA": MWAA_ENDPOINT,
        "AWS_MAX_ATTEMPTS": "2",
        "AWS_S3_USE_PATH_STYLE": "true",
    }


def boto_env(port: int) -> dict[str, str]:
    """For boto3 in another process; an administrator's credentials, to be overlaid with those of a role."""
    return {**_common_env(port), "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}


def machine_env() -> dict[str, str]:
    """This process's environment without what a person set for AWS or for a proxy: the stand-in must not follow it."""
    proxies = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    return {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name.upper() not in proxies
    }
