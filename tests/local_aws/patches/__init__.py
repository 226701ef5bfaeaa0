"""Where moto differs from AWS and this project would notice: one function each, saying what moto and what AWS does.

`tests/integration/local_aws/test_patches.py` probes moto with and without each: it fails when moto no longer needs one.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.local_aws.platform import LocalPlatform

Patch = Callable[[], None]


def _modules() -> list[ModuleType]:
    from tests.local_aws.patches import (
        awslambda,
        cloudwatch,
        dynamodb,
        ec2,
        ecs,
        emr,
        iam,
        kms,
        s3,
        scheduler,
        servicequotas,
        sqs,
        stepfunctions,
        stepfunctions_clients,
    )

    return [
        awslambda,
        cloudwatch,
        dynamodb,
        ec2,
        ecs,
        emr,
        iam,
        kms,
        s3,
        scheduler,
        servicequotas,
        sqs,
        stepfunctions,
        stepfunctions_clients,
    ]


def all_patches() -> dict[str, Patch]:
    """Every patch that stands alone, by `<service>.<name>`."""
    return {
        f"{module.__name__.rsplit('.', 1)[-1]}.{patch.__name__}": patch
        for module in _modules()
        for patch in module.PATCHES
    }


def apply(platform: LocalPlatform) -> None:
    """Apply every patch to moto in this process; once."""
    from tests.local_aws.patches import stepfunctions_clients

    for patch in all_patches().values():
        patch()
    stepfunctions_clients.tasks_use_their_role(platform)
