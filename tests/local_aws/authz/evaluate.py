"""Policy statements against a request: the part of IAM that is a pure function."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

Statement = Mapping[str, Any]
ContextValue = str | list[str]


class Decision(Enum):
    """What statements say about a request. An explicit deny wins over any allow."""

    ALLOWED = "allowed"
    EXPLICITLY_DENIED = "explicitly denied"
    IMPLICITLY_DENIED = "implicitly denied"


class UnknownCondition(ValueError):
    """A policy uses a condition operator that is not imitated: better no answer than a wrong one."""


@dataclass(frozen=True)
class Request:
    """One action on one resource. `principal`, e.g. `{"AWS": "arn:..."}`, is for statements of resource policies."""

    action: str
    resource: str
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    principal: Mapping[str, str] | None = None

    def value(self, key: str) -> ContextValue | None:
        """Value of a condition key; their names ignore case."""
        wanted = key.lower()
        return next((value for name, value in self.context.items() if name.lower() == wanted), None)


def as_list(value: Any) -> list[Any]:
    """IAM writes a list of one as its only member."""
    return value if isinstance(value, list) else [value]


def statements_of(document: Mapping[str, Any]) -> list[Statement]:
    """The statements of a policy document."""
    return [statement for statement in as_list(document.get("Statement", [])) if isinstance(statement, Mapping)]


@lru_cache(maxsize=4096)
def _pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def matches(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """IAM's wildcards: `*` is any run of characters, `?` any one."""
    return _pattern(pattern, ignore_case).fullmatch(value) is not None


def _arn_matches(pattern: str, value: str) -> bool:
    """ARNs are compared section by section: a wildcard does not reach over a colon of the first five."""
    wanted, given = pattern.split(":", 5), value.split(":", 5)
    if pattern == "*":
        return True
    return len(wanted) == len(given) == 6 and all(matches(w, g) for w, g in zip(wanted, given, strict=True))


def _bool(expected: str, given: str) -> bool:
    return expected.lower() == given.lower()


def _date(text: str) -> float:
    return float(text) if text.replace(".", "", 1).isdigit() else datetime.fromisoformat(text).timestamp()


def _ip(expected: str, given: str) -> bool:
    return ipaddress.ip_address(given) in ipaddress.ip_network(expected, strict=False)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda expected, given: expected == given,
    "StringEqualsIgnoreCase": lambda expected, given: expected.lower() == given.lower(),
    "StringLike": matches,
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
    "Bool": _bool,
    "IpAddress": _ip,
    "NumericEquals": lambda expected, given: float(given) == float(expected),
    "NumericLessThan": lambda expected, given: float(given) < float(expected),
    "NumericLessThanEquals": lambda expected, given: float(given) <= float(expected),
    "NumericGreaterThan": lambda expected, given: float(given) > float(expected),
    "NumericGreaterThanEquals": lambda expected, given: float(given) >= float(expected),
    "DateLessThan": lambda expected, given: _date(given) < _date(expected),
    "DateGreaterThan": lambda expected, given: _date(given) > _date(expected),
}
_NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
}


def _substitute(text: str, request: Request) -> str:
    """Policy variables: `${aws:PrincipalAccount}`, and `${*}`, `${?}`, `${$}` for the characters themselves."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in ("*", "?", "$"):
            return name
        found = request.value(name)
        return found if isinstance(found, str) else match.group(0)

    return re.sub(r"\$\{([^}]+)\}", value, text)


def _condition_holds(operator: str, key: str, expected: Any, request: Request) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    given = request.value(key)
    if name == "Null":
        return (given is None) == (str(as_list(expected)[0]).lower() == "true")
    negated = name in _NEGATIONS
    compare = _OPERATORS.get(_NEGATIONS.get(name, name))
    if compare is None:
        raise UnknownCondition(f"condition operator {operator}")
    if given is None:
        return if_exists or negated or quantifier == "ForAllValues"
    accepted = [_substitute(str(item), request) for item in as_list(expected)]

    def one(value: str) -> bool:
        return any(compare(item, value) for item in accepted) != negated

    outcomes = [one(str(value)) for value in as_list(given)]
    if quantifier == "ForAllValues" or (negated and quantifier != "ForAnyValue"):
        return all(outcomes)
    return any(outcomes)


def _conditions_hold(statement: Statement, request: Request) -> bool:
    return all(
        _condition_holds(operator, key, expected, request)
        for operator, keys in statement.get("Condition", {}).items()
        for key, expected in keys.items()
    )


def _principal_listed(listed: Any, principal: Mapping[str, str]) -> bool:
    if listed == "*":
        return True
    for kind, names in listed.items():
        given = principal.get(kind)
        if given is None:
            continue
        account = given.split(":")[4] if given.count(":") >= 5 else ""
        for name in as_list(names):
            if name in ("*", given) or (kind == "AWS" and name == account):
                return True
            if kind == "AWS" and name == f"arn:{given.split(':')[1] if account else 'aws'}:iam::{account}:root":
                return True
    return False


def principal_is_account_only(statement: Statement, account: str) -> bool:
    """Whether a statement names the account and nobody else: it then lets identity policies decide."""
    listed = statement.get("Principal")
    if not isinstance(listed, Mapping):
        return False
    names = as_list(listed.get("AWS", []))
    return bool(names) and all(name == account or str(name).endswith(f"::{account}:root") for name in names)


def _principal_applies(statement: Statement, request: Request) -> bool:
    if request.principal is None:
        return True
    if "NotPrincipal" in statement:
        return not _principal_listed(statement["NotPrincipal"], request.principal)
    return "Principal" in statement and _principal_listed(statement["Principal"], request.principal)


def applies(statement: Statement, request: Request) -> bool:
    """Whether action, resource, principal and conditions of the statement all meet the request."""
    if "Action" in statement:
        if not any(matches(item, request.action, ignore_case=True) for item in as_list(statement["Action"])):
            return False
    elif any(matches(item, request.action, ignore_case=True) for item in as_list(statement.get("NotAction", []))):
        return False
    if "Resource" in statement:
        resources = [_substitute(item, request) for item in as_list(statement["Resource"])]
        if not any(matches(item, request.resource) for item in resources):
            return False
    elif any(matches(item, request.resource) for item in as_list(statement.get("NotResource", []))):
        return False
    return _principal_applies(statement, request) and _conditions_hold(statement, request)


def evaluate(statements: Iterable[Statement], request: Request) -> Decision:
    """What the statements, of one or more policies of one kind, say about the request."""
    decision = Decision.IMPLICITLY_DENIED
    for statement in statements:
        if not applies(statement, request):
            continue
        if statement.get("Effect") == "Deny":
            return Decision.EXPLICITLY_DENIED
        decision = Decision.ALLOWED
    return decision
