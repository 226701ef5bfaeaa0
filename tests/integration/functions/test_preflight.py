"""The preflight machine: it succeeds where all is fine, and fails naming the checks that failed."""

from __future__ import annotations

import json

import pytest

from mwaa_continuity import preflight
from tests.integration.functions.machines import Dead, Region
from tests.unit.functions.conftest import SECONDARY
from tests.unit.functions.preflight_region import ReadyRegion


@pytest.fixture
def ready(region: Region) -> ReadyRegion:
    """A Region with all that the environment needs, and its machines."""
    region.deploy()
    return ReadyRegion(region.account)


def test_a_region_that_is_ready(region: Region, ready: ReadyRegion) -> None:
    done = region.run("preflight")
    assert done["status"] == "SUCCEEDED", done
    assert region.entered(done["executionArn"])[-1] == "Ready"
    checks = json.loads(done["output"])["preflight"]["checks"]
    assert [check["name"] for check in checks] == list(preflight.CHECKS)
    assert ready.account.published("PreflightFailures") == [0]


def test_one_that_is_not(region: Region, ready: ReadyRegion) -> None:
    """Failure covered: a broken standby that nobody hears of until it is needed."""
    ready.block(BlockPublicAcls=False)
    ready.account.kms.disable_key(KeyId=ready.key["KeyId"])
    done = region.run("preflight")
    assert (done["status"], done["error"]) == ("FAILED", "NotReady")
    assert done["cause"] == 'these checks failed: ["key","dag_bucket"]'


def test_a_function_that_fails_is_no_readiness(region: Region, ready: ReadyRegion, dead: Dead) -> None:
    assert ready.account
    dead(SECONDARY, "cloudwatch")
    done = region.run("preflight")
    assert (done["status"], done["error"]) == ("FAILED", "Transient")
