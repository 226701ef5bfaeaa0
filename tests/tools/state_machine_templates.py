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
    "drill",
    "failback",
    "failover",
    "hand_over",
    "heartbeat_check",
    "hibernate",
    "preflight",
    "refresh",
    "replicate_existing",
    "resume",
    "retention",
    "snapshot",
    "stand_down",
    "standby",
)
FUNCTIONS = (
    "approval",
    "backup",
    "drill",
    "dry_run",
    "failback",
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
SHARED_STATES: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads(
    (TEMPLATES / "shared_states.json").read_text(encoding="utf-8")
)

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
        "ask": False,
        "answer_seconds": 3600,
        "without_answer": "fail",
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
        "smoke_dag_id": "",
        "smoke_minutes": 15,
        "follow_seconds": 30,
        "follow_polls": 700,
        "failback_timeout_seconds": 1000000,
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
