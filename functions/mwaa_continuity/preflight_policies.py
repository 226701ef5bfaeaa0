"""Reading trust and key policies: whom they admit, as far as a document tells.

A condition on a key that is not known here is taken to hold where it allows, and not to hold where it denies: the
check is a warning ahead of time, and AWS has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

Policy = Mapping[str, Any]

EQUAL: Final = frozenset({"StringEquals", "StringLike", "ArnEquals", "ArnLike"})


def not_admitted(policy: Policy, service: str, actions: Iterable[str], context: Mapping[str, str]) -> list[str]:
    """Those of the actions that a policy does not let a service (such as `airflow.amazonaws.com`) take.

    `context` are the condition keys that AWS sends along, by their names in lower case.
    """
    statements = as_list(policy.get("Statement"))
    mine = [statement for statement in statements if is_meant(statement.get("Principal"), service)]
    return [action for action in actions if not admits(mine, action, context)]


def admits(statements: Iterable[Policy], action: str, context: Mapping[str, str]) -> bool:
    """Whether one of the statements allows an action and none denies it."""
    effects = {
        statement["Effect"]
        for statement in statements
        if covers(as_list(statement.get("Action")), action)
        and holds(statement.get("Condition") or {}, context, unknown=statement["Effect"] == "Allow")
    }
    return effects == {"Allow"}


def is_meant(principal: Any, service: str) -> bool:
    """Whether a statement's principal is a service, or everybody."""
    if isinstance(principal, Mapping):
        return service in as_list(principal.get("Service")) or "*" in as_list(principal.get("AWS"))
    return bool(principal == "*")


def covers(patterns: Iterable[str], value: str) -> bool:
    """Whether one of the patterns of a policy matches a value."""
    return any(fnmatchcase(value.lower(), pattern.lower()) for pattern in patterns)


def holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str], *, unknown: bool) -> bool:
    """Whether every condition holds; `unknown` is what is taken of one that cannot be judged."""
    for operator, keys in conditions.items():
        for key, wanted in keys.items():
            value = context.get(key.lower())
            if value is None or operator.removesuffix("IfExists") not in EQUAL:
                held = unknown
            else:
                held = covers(as_list(wanted), value)
            if not held:
                return False
    return True


def as_list(value: Any) -> list[Any]:
    """What a policy writes as one item or as a list of them."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
