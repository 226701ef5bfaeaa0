"""Fill the state machine templates as Terraform's templatefile would, for checks that run without Terraform.

Of the template language, only what the templates use: `${name}`, `${map.key}`, and sums of products of numbers.
States that several machines go through are templates of their own (`*.states.json`), filled first.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).resolve().parents[2] / "modules" / "continuity"

MACHINES = (
    "failover",
    "heartbeat_check",
    "hibernate",
    "preflight",
    "replicate_existing",
    "resume",
    "retention",
    "snapshot",
)
FUNCTIONS = (
    "backup",
    "heartbeat_check",
    "hibernation",
    "lease",
    "preflight",
    "recreate",
    "replicate_existing",
    "restore",
    "retention",
)

#: The states that several machines go through, and what of them is each machine's own.
SHARED_STATES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "bring_back": {
        "failover": {
            "wanted_snapshot_path": "$.input.snapshot_id",
            "recorded_snapshot_path": "$.lease.snapshot_id",
            "since_path": "$.lease.since",
            "replace": '"replace.$": "$.input.replace"',
            "before_live_failed": "Failed",
            "after_selection": "RecordSnapshot",
            "when_ready": "HideDagsAgain",
            "after_restore": "RevealDags",
            "after_going_live": "MarkLive",
        },
        "resume": {
            "wanted_snapshot_path": "$.begun.snapshot_id",
            "recorded_snapshot_path": "$.begun.snapshot_id",
            "since_path": "$.begun.since",
            "replace": '"replace": false',
            "before_live_failed": "Failed",
            "after_selection": "HideDags",
            "when_ready": "HideDagsAgain",
            "after_restore": "RevealDags",
            "after_going_live": "PublishUrl",
        },
    },
    "drained_snapshot": {
        "hibernate": {
            "after_snapshot": "RecordSnapshot",
            "portable_advice": " Set accept_portable to give that up.",
        },
    },
    "ensure": {
        "failover": {
            "machine": "failover",
            "more_to_hide": ', "snapshot_id.$": "$.snapshot.snapshot_id", "since.$": "$.lease.since"',
            "more_to_ensure": ', "snapshot_id.$": "$.snapshot.snapshot_id"',
            "more_of_ensure": "",
            "before_live_failed": "Failed",
            "after_ensure": "StartPolling",
            "after_available": "WaitingSince",
        },
        "resume": {
            "machine": "resume",
            "more_to_hide": ', "snapshot_id.$": "$.snapshot.snapshot_id", "since.$": "$.begun.since"',
            "more_to_ensure": ', "snapshot_id.$": "$.snapshot.snapshot_id"',
            "more_of_ensure": ', "published_version.$": "$.Payload.published_version"',
            "before_live_failed": "Failed",
            "after_ensure": "StartPolling",
            "after_available": "WaitingSince",
        },
    },
    "mark_awake": {
        "hibernate": {
            "mark_failure_path": "$.mark_failure",
            "after_awake": "Failed",
        },
        "resume": {
            "mark_failure_path": "$.failure",
            "after_awake": "WhichWay",
        },
    },
    "put_back": {
        "hibernate": {
            "put_back_failed": "LeftPaused",
            "put_back_failure_path": "$.put_back",
            "after_put_back": "MarkAwake",
        },
        "resume": {
            "put_back_failed": "Failed",
            "put_back_failure_path": "$.failure",
            "after_put_back": "MarkAwake",
        },
    },
    "removal": {
        "hibernate": {
            "removed_snapshot_path": "$.recorded.snapshot_id",
            "drained_at_path": "$.drained.at",
            "remove_failed": "PutBack",
            "after_removal": "MarkAsleep",
            "removal_advice": "Start hibernate or resume again: either goes on from there.",
        },
    },
}

Value = str | int | bool | Mapping[str, str]


def example_variables(region: str = "us-west-2", account_id: str = "123456789012") -> dict[str, Value]:
    """Values for every variable of the templates (docs/architecture.md, "State machines")."""
    lambda_arn = f"arn:aws:lambda:{region}:{account_id}:function:rehearsal-"
    machine_arn = f"arn:aws:states:{region}:{account_id}:stateMachine:rehearsal-"
    return {
        "partition": "aws",
        "region": region,
        "account_id": account_id,
        "environment_name": "rehearsal",
        "functions": {name: lambda_arn + name for name in FUNCTIONS},
        "machines": {name: machine_arn + name for name in MACHINES},
        "automatic": True,
        "poll_seconds": 30,
        "create_timeout_minutes": 120,
        "dag_timeout_minutes": 60,
        "heartbeat_seconds": 300,
        "parse_deadline_seconds": 900,
        "health_function_arn": f"{lambda_arn}heartbeat_check",
        "again_seconds": 300,
        "window_minutes": 120,
        "window_asks": 25,
        "drain_minutes": 30,
        "when_late": "cancel",
        "accept_portable": False,
        "snapshot_attempts": 5,
    }


def render(machine: str, variables: Mapping[str, Value]) -> dict[str, Any]:
    """The definition of a machine. Raises `KeyError` for a variable that is not given."""
    shared = {
        name: fill(f"{name}.states.json", {**variables, **own[machine]})
        for name, own in SHARED_STATES.items()
        if machine in own
    }
    definition: dict[str, Any] = json.loads(fill(f"{machine}.asl.json", {**variables, **shared}))
    return definition


def fill(template: str, variables: Mapping[str, Value]) -> str:
    """The text of a template with its variables filled in."""
    text = (TEMPLATES / template).read_text(encoding="utf-8").rstrip()
    return re.sub(r"\$\{([^}]*)\}", lambda found: evaluate(found.group(1), variables), text)


def evaluate(expression: str, variables: Mapping[str, Value]) -> str:
    """The text that templatefile puts in the place of an expression."""
    terms = [[operand(text.strip(), variables) for text in term.split("*")] for term in expression.split("+")]
    if len(terms) == 1 and len(terms[0]) == 1:
        value = terms[0][0]
        return json.dumps(value) if isinstance(value, bool) else str(value)
    return str(sum(math.prod(int(str(factor)) for factor in term) for term in terms))


def operand(text: str, variables: Mapping[str, Value]) -> Value:
    """A number, a variable, or one entry of a map."""
    if text.isdigit():
        return int(text)
    name, _, key = text.partition(".")
    value = variables[name]
    return value[key] if isinstance(value, Mapping) else value
