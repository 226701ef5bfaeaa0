"""Input transformers of EventBridge: paths into the event, and a template that takes their values."""

from __future__ import annotations

import json
import re
from typing import Any

_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")


def value_at(event: Any, path: str) -> Any:
    """Value at a JSON path such as `$.detail.name` or `$.resources[0]`; None when there is none."""
    value = event
    for name, index in re.findall(r"\.([A-Za-z0-9_\-]+)|\[(\d+)\]", path.removeprefix("$")):
        if name:
            value = value.get(name) if isinstance(value, dict) else None
        else:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
    return value


def transform(template: str, paths: dict[str, str], event: dict[str, Any], rule_arn: str) -> str:
    """The message that a target gets. Values inside quotes are put in as text (absent: empty), elsewhere as JSON."""
    values: dict[str, Any] = {name: value_at(event, path) for name, path in paths.items()}
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rsplit("/", 1)[-1],
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
        "aws.events.event.json": event,
        "aws.events.event.ingestion-time": event.get("time"),
    }

    def quoted(position: int) -> bool:
        return len(re.findall(r'(?<!\\)"', template[:position])) % 2 == 1

    def put(match: re.Match[str]) -> str:
        if match.group(1) not in values:
            return match.group(0)
        value = values[match.group(1)]
        if not quoted(match.start()):
            return json.dumps(value)
        if value is None:
            return ""
        return json.dumps(value)[1:-1] if isinstance(value, str) else json.dumps(value).replace('"', "")

    return _PLACEHOLDER.sub(put, template)
