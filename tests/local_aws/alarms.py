"""Evaluates CloudWatch alarms from their metrics, composite ones from their rule, and runs their actions."""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import UTC, datetime
from typing import Any

from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.delivery import Delivery, NotDelivered
from tests.local_aws.events import put_event
from tests.local_aws.platform import LocalPlatform

_EVERY_SECONDS = 5.0
_COMPARISONS = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def statistic(values: list[float], name: str) -> float:
    """One of CloudWatch's simple statistics of a period's values."""
    return {
        "Sum": sum(values),
        "Average": sum(values) / len(values),
        "Minimum": min(values),
        "Maximum": max(values),
        "SampleCount": float(len(values)),
    }[name]


def state_of(points: list[float | None], needed: int, breaches: Any, missing: str) -> str | None:
    """State of an alarm from its periods, newest last; None: it stays. `missing` is treat_missing_data."""
    if all(point is None for point in points):
        return {"missing": "INSUFFICIENT_DATA", "breaching": "ALARM", "notBreaching": "OK", "ignore": None}[missing]
    breaching = sum(1 for p in points if (missing == "breaching" if p is None else breaches(p)))
    return "ALARM" if breaching >= needed else "OK"


def rule_holds(rule: str, states: dict[str, str]) -> bool:
    """Whether a composite alarm's rule holds: ALARM(), OK(), INSUFFICIENT_DATA() with AND, OR, NOT and brackets."""
    tokens = re.findall(
        r'(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"[^"]+"|[^)]+?)\s*\)|AND|OR|NOT|TRUE|FALSE|[()]', rule
    )
    position = 0

    def peek() -> str:
        return tokens[position] if position < len(tokens) else ""

    def take() -> str:
        nonlocal position
        position += 1
        return tokens[position - 1]

    def primary() -> bool:
        token = take()
        if token == "NOT":
            return not primary()
        if token == "(":
            value = either()
            take()
            return value
        if token in ("TRUE", "FALSE"):
            return token == "TRUE"
        state, _, name = token.partition("(")
        wanted = name[:-1].strip().strip('"')
        return states.get(wanted.rsplit(":alarm:", 1)[-1]) == state.strip()

    def both() -> bool:
        value = primary()
        while peek() == "AND":
            take()
            value = primary() and value
        return value

    def either() -> bool:
        value = both()
        while peek() == "OR":
            take()
            value = both() or value
        return value

    return either()


class AlarmEvaluator:
    """Looks at every alarm of every Region that is up, every few seconds."""

    def __init__(self, platform: LocalPlatform, delivery: Delivery) -> None:
        self._platform = platform
        self._delivery = delivery

    def install(self) -> None:
        """Run actions whenever an alarm changes its state, also by SetAlarmState."""
        from moto.cloudwatch.models import Alarm

        update, evaluator = Alarm.update_state, self

        def acting_update(alarm: Any, reason: str, reason_data: str, state_value: str) -> None:
            before = alarm.state_value
            update(alarm, reason, reason_data, state_value)
            if state_value != before:
                thread = threading.Thread(target=evaluator._act, args=(alarm, before, reason), daemon=True)
                thread.start()

        Alarm.update_state = acting_update

    def start(self) -> None:
        """Evaluate in the background until the stand-in stops."""
        threading.Thread(target=self._run, name="alarms", daemon=True).start()

    def _run(self) -> None:
        while not self._platform.stopping.wait(_EVERY_SECONDS):
            try:
                self.evaluate_all(time.time())
            except Exception as error:  # noqa: BLE001  # one bad alarm must not stop the others for good
                self._platform.record("alarm_error", "", error=repr(error))

    def evaluate_all(self, now: float) -> None:
        """Evaluate every alarm as of `now` (epoch seconds)."""
        from moto.cloudwatch.models import cloudwatch_backends

        for region, backend in list(cloudwatch_backends[ACCOUNT_ID].items()):
            if self._platform.is_down(region):
                continue
            alarms = list(backend.alarms.values())
            for alarm in alarms:
                if not alarm.rule and alarm.metric_name:
                    self._evaluate_metric_alarm(backend, alarm, now)
            states = {alarm.name: alarm.state_value for alarm in alarms}
            for alarm in alarms:
                if alarm.rule:
                    state = "ALARM" if rule_holds(alarm.rule, states) else "OK"
                    if state != alarm.state_value:
                        alarm.update_state(f"the rule is {state == 'ALARM'}", "{}", state)

    def _evaluate_metric_alarm(self, backend: Any, alarm: Any, now: float) -> None:
        period, count = int(alarm.period), int(alarm.evaluation_periods)
        end = now - now % period
        starts = [end - period * (count - index) for index in range(count)]
        points = [self._point(backend, alarm, start, start + period) for start in starts]
        compare = _COMPARISONS.get(alarm.comparison_operator)
        if compare is None:
            raise ValueError(f"alarm {alarm.name}: {alarm.comparison_operator} is not imitated")
        threshold, needed = float(alarm.threshold), int(alarm.datapoints_to_alarm or count)
        missing = alarm.treat_missing_data or "missing"
        state = state_of(points, needed, lambda value: compare(value, threshold), missing)
        if state is not None and state != alarm.state_value:
            alarm.update_state(f"{count} periods of {period} s: {points} against {threshold}", "{}", state)

    def _point(self, backend: Any, alarm: Any, start: float, end: float) -> float | None:
        wanted = sorted((d.name, d.value) for d in alarm.dimensions)
        values = [
            datum.value
            for datum in list(backend.metric_data)
            if datum.namespace == alarm.namespace
            and datum.name == alarm.metric_name
            and sorted((d.name, d.value) for d in datum.dimensions) == wanted
            and start <= datum.timestamp.replace(tzinfo=datum.timestamp.tzinfo or UTC).timestamp() < end
            and hasattr(datum, "value")
        ]
        return statistic(values, alarm.statistic) if values else None

    def _act(self, alarm: Any, before: str, reason: str) -> None:
        region, state = alarm.alarm_arn.split(":")[3], alarm.state_value
        changed = datetime.now(UTC)
        self._platform.record("alarm", region, alarm=alarm.name, state=state, before=before, reason=reason)
        detail = {
            "alarmName": alarm.name,
            "state": {"value": state, "reason": reason, "timestamp": changed.isoformat()},
            "previousState": {"value": before},
        }
        put_event(
            self._platform,
            region,
            source="aws.cloudwatch",
            kind="CloudWatch Alarm State Change",
            detail=detail,
            resource=alarm.alarm_arn,
        )
        actions = {
            "ALARM": alarm.alarm_actions,
            "OK": alarm.ok_actions,
            "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
        }
        if not alarm.actions_enabled:
            return
        message = {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.description,
            "AWSAccountId": ACCOUNT_ID,
            "NewStateValue": state,
            "OldStateValue": before,
            "NewStateReason": reason,
            "StateChangeTime": changed.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000",
            "Region": region,
            "AlarmArn": alarm.alarm_arn,
        }
        for action in actions[state] or []:
            try:
                self._delivery.as_service(action, json.dumps(message), "cloudwatch.amazonaws.com", alarm.alarm_arn)
            except NotDelivered as error:
                self._platform.record("alarm_action_lost", region, alarm=alarm.name, action=action, why=str(error))
