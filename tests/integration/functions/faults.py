"""Faults of one state of a machine, and an environment that shows what became of its DAGs.

A task fails for good, is throttled twice, or never answers: that is done in what stands for Lambda, so that the machine
is the deployed one but for a mark in the payload of the state, and its patience.
"""

from __future__ import annotations

import copy
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import botocore.client
import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

from mwaa_continuity.sleep_state import key
from tests.integration.functions import machines
from tests.integration.functions.machines import Region, restored
from tests.unit.functions.conftest import LEASES, NAME, SECONDARY

FAILS, THROTTLED, SILENT = "fails", "throttled", "silent"
FAULTS: Final = (FAILS, THROTTLED, SILENT)
#: Error of a task that fails for good: no retrier names it.
FOR_GOOD: Final = "Broken"
#: How often a throttled task is refused.
REFUSED: Final = 2
TOKEN = ".waitForTaskToken"
#: DAGs of the environment and their paused flags.
BEFORE: Final = {"etl": False, "report": False, "off": True}

Flags = dict[str, bool]


def spoilt(definition: dict[str, Any], state: str, fault: str) -> dict[str, Any]:
    """The definition with one state marked; a fault that does not pass is tried once more only."""
    marked = copy.deepcopy(definition)
    task = marked["States"][state]
    if fault != THROTTLED:
        for retrier in task["Retry"]:
            retrier["MaxAttempts"] = min(1, retrier["MaxAttempts"])
    if fault == SILENT:
        task["HeartbeatSeconds" if TOKEN in task["Resource"] else "TimeoutSeconds"] = 1
    if "Payload" in task["Parameters"]:
        task["Parameters"]["Payload"]["fault"] = fault
    else:
        task["Parameters"]["Input"]["fault"] = fault
    return marked


class Lambda:
    """What stands for Lambda and for the call of another machine, with the faults of marked tasks."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self.real_call = botocore.client.BaseClient._make_api_call
        patch.setattr(lambda_eval_utils, "_invoke_lambda_function", self.invoke)
        patch.setattr(botocore.client.BaseClient, "_make_api_call", self.api_call_of())

    def invoke(self, parameters: dict[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:
        """See `machines.invoke`."""
        payload = json.loads(parameters["Payload"])
        fault = payload.pop("fault", None)
        if fault is None or self.passes(fault):  # nobody but a marked task says `fault`
            return machines.invoke(parameters | {"Payload": json.dumps(payload)}, region, state_credentials)
        if fault == SILENT:
            if "task_token" not in payload:
                time.sleep(2)
            return {"StatusCode": 200, "Payload": {}}
        error = FOR_GOOD if fault == FAILS else "Lambda.TooManyRequestsException"
        failure = {"errorType": error, "errorMessage": "as the test says", "stackTrace": []}
        return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": failure}

    def passes(self, fault: str) -> bool:
        """Whether this call of a marked task goes through."""
        self.calls[fault] += 1
        return fault == THROTTLED and self.calls[fault] > REFUSED

    def api_call_of(self) -> Callable[..., Any]:
        """`BaseClient._make_api_call` with the faults of a task that starts another machine."""

        def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
            given = json.loads(arguments.get("input") or "{}") if operation == "StartExecution" else {}
            fault = given.pop("fault", None)
            if fault is None:
                return self.real_call(client, operation, arguments)
            if self.passes(fault):
                return self.real_call(client, operation, arguments | {"input": json.dumps(given)})
            if fault == SILENT:
                time.sleep(2)
            error = {"Code": "Throttling" if fault == THROTTLED else "AccessDenied", "Message": "as the test says"}
            metadata: Any = {"HTTPStatusCode": 400, "RequestId": "r"}
            raise ClientError({"Error": error, "ResponseMetadata": metadata}, operation)

        return call


class Environment:
    """The environment of the Region, as far as its DAGs are concerned: they are paused by a drain, come back by its
    undoing, are restored paused, and go live as they were at the cut."""

    def __init__(self, region: Any) -> None:  #: a Region, or both
        self.region = region
        self.flags: Flags = dict(BEFORE)
        self.drained: list[str] | None = None
        create = region.account.mwaa.on_create

        def created(document: dict[str, Any]) -> None:
            self.flags, self.drained = {}, None  # its users' DAGs are hidden
            create(document)

        region.account.mwaa.on_create = created
        region.answer_dags(
            {
                "continuity_drain": self.drain,
                "continuity_undrain": self.undrain,
                "continuity_snapshot": self.snapshot,
                "continuity_restore": self.restore,
                "continuity_go_live": self.go_live,
                "continuity_drill": machines.found,
            }
        )

    def seen(self) -> Flags | None:
        """Paused flags of its DAGs, none where there is no environment, or soon none."""
        found = self.region.account.mwaa.environments.get((SECONDARY, NAME))
        return dict(self.flags) if found and found["Status"] != "DELETING" else None

    def drain(self) -> dict[str, Any]:
        running = [dag_id for dag_id, paused in self.flags.items() if not paused]
        self.drained = sorted({*(self.drained or []), *running})
        self.flags = dict.fromkeys(self.flags, True)
        return {"paused": len(self.drained), "executing": []}

    def undrain(self) -> dict[str, Any]:
        back, self.drained = self.drained or [], None
        self.flags |= dict.fromkeys(back, False)
        return {"unpaused": len(back), "missing_dags": []}

    def snapshot(self) -> dict[str, Any]:
        return machines.take_snapshot(self.region)

    def restore(self) -> dict[str, Any]:
        self.flags, self.drained = dict.fromkeys(BEFORE, True), None
        return restored()

    def go_live(self) -> dict[str, Any]:
        self.flags = dict(BEFORE)
        return machines.gone_live()


def sleeping(region: Region) -> str:
    """State of the hibernation item, "awake" where there is none."""
    item = region.account.dynamodb.get_item(TableName=LEASES, Key=key(SECONDARY)).get("Item", {})
    return str(item.get("state", {"S": "awake"})["S"])
