"""Status changes of state machines become events, and events reach the targets of their rules."""

from __future__ import annotations

import json
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.delivery import Delivery, NotDelivered
from tests.local_aws.event_templates import transform, value_at
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.sessions import RoleCannotBeAssumed, assume_as_service

#: Kinds of targets that are delivered here; moto serves the others (log groups, buses, archives).
_OWN_TARGETS = frozenset({"sns", "lambda", "states", "sqs"})


def put_event(
    platform: LocalPlatform, region: str, *, source: str, kind: str, detail: dict[str, Any], resource: str
) -> None:
    """Put an event on the default bus of the Region, as AWS services do."""
    from moto.events.models import events_backends

    if platform.is_down(region):
        return
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT_ID,
        "time": time.time(),
        "region": region,
        "resources": [resource],
        "detail": detail,
    }
    bus = events_backends[ACCOUNT_ID][region].describe_event_bus("default")
    for rule in list(bus.rules.values()):
        rule.send_to_targets(event)


class EventSource:
    """Puts events for executions, and delivers events to targets that moto does not serve."""

    def __init__(self, platform: LocalPlatform, delivery: Delivery) -> None:
        self._platform = platform
        self._delivery = delivery

    def install(self) -> None:
        """Hook into moto."""
        self._delivery.install()
        self._install_rules()
        self._install_executions()

    def _install_rules(self) -> None:
        from moto.events.models import Rule

        send, source = Rule.send_to_targets, self

        def send_to_targets(rule: Any, event: Any, transform_input: bool = True) -> None:
            # A rule with a schedule has no pattern, and would mean every event.
            if rule.state == "DISABLED" or rule.scheduled_expression or not rule.event_pattern.matches_event(event):
                return
            own = [target for target in rule.targets if target["Arn"].split(":")[2] in _OWN_TARGETS]
            for target in own:
                thread = threading.Thread(target=source._deliver, args=(rule, target, event), daemon=True)
                thread.start()
            others = [target for target in rule.targets if target not in own]
            if others:
                send(_only(rule, others), event, transform_input)

        Rule.send_to_targets = send_to_targets

    def _deliver(self, rule: Any, target: dict[str, Any], event: dict[str, Any]) -> None:
        stamped = dict(event)
        if isinstance(stamped.get("time"), float):
            stamped["time"] = datetime.fromtimestamp(stamped["time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        detail = {"rule": rule.name, "target": target["Arn"]}
        try:
            payload = _payload(target, stamped, rule.arn)
            if role_arn := target.get("RoleArn"):
                session = assume_as_service(role_arn, "events.amazonaws.com", rule.name, rule.arn)
                self._delivery.as_role(target["Arn"], payload, session, rule.region_name)
            else:
                self._delivery.as_service(target["Arn"], payload, "events.amazonaws.com", rule.arn)
        except (NotDelivered, RoleCannotBeAssumed) as error:
            self._platform.record("event_lost", rule.region_name, **detail, why=str(error))
        except Exception as error:  # noqa: BLE001  # a thread of its own: the time line is where its failures are seen
            self._platform.record("event_lost", rule.region_name, **detail, why=repr(error))
        else:
            self._platform.record("event", rule.region_name, **detail)

    def _install_executions(self) -> None:
        from moto.stepfunctions.parser.backend import execution as executions

        communication, source = executions.BaseExecutionWorkerCommunication, self
        terminated, start = communication.terminated, executions.Execution.start

        def telling_terminated(worker: Any) -> None:
            terminated(worker)
            source._tell(worker.execution)

        def telling_start(execution: Any) -> None:
            start(execution)
            source._tell(execution, "RUNNING")

        communication.terminated = telling_terminated
        executions.Execution.start = telling_start

    def _tell(self, execution: Any, status: str | None = None) -> None:
        region = execution.region_name
        status = status or execution.status
        done = status != "RUNNING"
        detail = {
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine.arn,
            "name": execution.name,
            "status": status,
            "startDate": int(execution.start_date.timestamp() * 1000),
            "stopDate": int(execution.stop_date.timestamp() * 1000) if done else None,
            "input": json.dumps(execution.input_data),
            "inputDetails": {"included": True},
            "output": json.dumps(execution.output) if status == "SUCCEEDED" else None,
            "outputDetails": {"included": True} if status == "SUCCEEDED" else None,
            "error": execution.error if done else None,
            "cause": execution.cause if done else None,
        }
        machine = execution.state_machine.arn.rsplit(":", 1)[-1]
        brief = {key: detail[key] for key in ("executionArn", "status", "error", "cause")}
        self._platform.record("execution", region, machine=machine, name=execution.name, **brief)
        put_event(
            self._platform,
            region,
            source="aws.states",
            kind="Step Functions Execution Status Change",
            detail=detail,
            resource=execution.exec_arn,
        )


def _payload(target: dict[str, Any], event: dict[str, Any], rule_arn: str) -> str:
    if transformer := target.get("InputTransformer"):
        return transform(transformer["InputTemplate"], transformer.get("InputPathsMap", {}), event, rule_arn)
    if "Input" in target:
        return str(target["Input"])
    return json.dumps(value_at(event, target["InputPath"]) if "InputPath" in target else event)


def _only(rule: Any, targets: list[dict[str, Any]]) -> Any:
    """The rule with some of its targets."""
    from copy import copy

    limited = copy(rule)
    limited.targets = targets
    return limited
