"""The secondary Region before and after a failover, in the account of the functions' unit tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from moto.core.config import default_user_config
from moto.dynamodb.models import DynamoDBBackend
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

from mwaa_continuity import spec
from tests.integration.functions.machines import (
    PARSED,
    PARSING,
    PATCHED,
    PLAYED,
    SNAPSHOT,
    Region,
    become,
    hasten,
    invoke,
    vanish,
)
from tests.local_aws.patches import stepfunctions, stepfunctions_clients
from tests.unit.functions.conftest import (
    BINDING,
    DAGS,
    NAME,
    PRIMARY,
    SECONDARY,
    Account,
    account,
    dead,
    environment,
    service_models_are_read_once,
    variables,
)

__all__ = ["account", "dead", "service_models_are_read_once", "variables"]


@pytest.fixture(scope="session", autouse=True)
def definitions_are_parsed_once() -> Iterator[None]:
    """Every test deploys the same machines."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in PARSING:
            patch.setattr(owner, name, getattr(owner, name))
        stepfunctions.parse_once()
        yield


@pytest.fixture(scope="session", autouse=True)
def items_are_written_one_at_a_time() -> Iterator[None]:
    """moto looks at a condition and writes afterwards: of two threads both may. DynamoDB does it in one."""
    turn = threading.RLock()

    def in_turn(write: Any) -> Any:
        def written(*arguments: Any, **named: Any) -> Any:
            with turn:
                return write(*arguments, **named)

        return written

    with pytest.MonkeyPatch.context() as patch:
        for name in ("put_item", "update_item", "delete_item"):
            patch.setattr(DynamoDBBackend, name, in_turn(getattr(DynamoDBBackend, name)))
        yield


@pytest.fixture
def region(account: Account, monkeypatch: pytest.MonkeyPatch) -> Region:
    """The secondary before a failover: binding, observed spec, one good snapshot, the lease with the primary."""
    monkeypatch.setitem(default_user_config, "stepfunctions", {"execute_state_machine": True})
    for owner, name in PATCHED:
        monkeypatch.setattr(owner, name, getattr(owner, name))  # restored after the test
    hasten(monkeypatch)
    stepfunctions.fail_with_any_error()
    stepfunctions.starting_executions()
    stepfunctions_clients.request_and_response_shapes()
    monkeypatch.setattr(lambda_eval_utils, "_invoke_lambda_function", invoke)
    account.mwaa.environments[PRIMARY, NAME] = environment()
    account.set_lease()
    account.put_json(f"spec/{NAME}/binding.{SECONDARY}.json", BINDING)
    for key in ("requirements.txt", "startup.sh"):
        account.s3.put_object(Bucket=DAGS, Key=key, Body=b"x")
    account.snapshot(SNAPSHOT)
    account.snapshot(SNAPSHOT)
    return Region(account)


@pytest.fixture
def active(region: Region) -> Region:
    """After a failover: this Region is active and its environment runs."""
    region.deploy()
    region.account.set_lease(holder=SECONDARY, token=2)
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    region.account.mwaa.dags["continuity_snapshot"] = dict(PARSED)
    return region


@pytest.fixture
def standalone(region: Region, monkeypatch: pytest.MonkeyPatch) -> Region:
    """A standalone whose environment runs and can be created again; MWAA deletes and creates in a moment."""
    account = region.account
    settings = {"PRIMARY_REGION": SECONDARY, "URL_PARAMETER": "/rehearsal/webserver-url", "TIMEZONE": "Europe/Berlin"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(PLAYED, "preflight", lambda _event, _context: {"ok": True, "failed": [], "checks": []})
    account.set_lease(holder=SECONDARY)
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.mwaa.dags |= {f"continuity_{name}": dict(PARSED) for name in ("snapshot", "drain", "undrain")}
    account.put_json(f"spec/{NAME}/published.{SECONDARY}.json", spec.from_environment(environment(SECONDARY)))
    become(account, "AVAILABLE")
    vanish(account)
    return region
