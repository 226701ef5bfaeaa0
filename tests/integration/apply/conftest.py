"""Terraform of this folder's tests talks to the stand-in and to nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local_aws.fixtures import RunningStandIn
from tests.local_aws.inventory import inventory, left
from tests.tools import set_up_machine

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="package")
def terraform_environment(stand_in: RunningStandIn) -> Iterator[None]:
    """Environment variables with which every Terraform that is started from here reaches the stand-in."""
    set_up_machine.terraform()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in stand_in.terraform_env.items():
            patch.setenv(name, value)
        patch.setenv("TF_CLI_CONFIG_FILE", str(ROOT / "build" / "terraform.rc"))
        patch.setenv("CHECKPOINT_DISABLE", "1")
        yield


@pytest.fixture
def nothing_left(stand_in: RunningStandIn, terraform_environment: None) -> Iterator[None]:
    """After Terraform has destroyed what it applied, the account is as it was before."""
    region = "us-east-1"
    before = inventory(stand_in, [region])
    yield
    assert left(before, inventory(stand_in, [region])) == []
