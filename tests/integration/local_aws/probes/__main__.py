"""Every probe, in an interpreter of its own: `python -m tests.integration.local_aws.probes [--patched]`.

Prints the answers as JSON.
"""

from __future__ import annotations

import inspect
import json
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

os.environ |= {"AWS_ACCESS_KEY_ID": "ak", "AWS_SECRET_ACCESS_KEY": "sk", "AWS_DEFAULT_REGION": "us-east-1"}

from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.config import default_user_config

from tests.integration.local_aws import probes
from tests.local_aws.patches import all_patches


def all_probes() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every probe by the name of its patch."""
    for found in pkgutil.iter_modules(probes.__path__):
        if found.name in ("__main__", "inside"):
            continue
        module = import_module(f"{probes.__name__}.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{found.name}.{name}", function


def answer(probe: Callable[[], Any]) -> Any:
    """What the probe saw; of an error its name, as AWS or Python gives it."""
    executing = default_user_config["stepfunctions"]["execute_state_machine"]
    with mock_aws():
        try:
            return probe()
        except ClientError as error:
            return f"error {error.response['Error']['Code']}"
        except Exception as error:  # noqa: BLE001  # moto's gaps show as any exception; its name is the answer
            return f"error {type(error).__name__}"
        finally:
            default_user_config["stepfunctions"]["execute_state_machine"] = executing


def main(arguments: list[str]) -> None:
    """Print every answer."""
    if "--patched" in arguments:
        for patch in all_patches().values():
            patch()
    print(json.dumps({name: answer(probe) for name, probe in all_probes()}, default=str))


if __name__ == "__main__":
    main(sys.argv[1:])
