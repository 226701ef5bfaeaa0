"""Policy statements against requests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local_aws.authz.evaluate import Decision, Request, UnknownCondition, evaluate

_ALLOW = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::bucket/*"}


def _decide(*statements: dict[str, Any], **context: Any) -> Decision:
    return evaluate(statements, Request("s3:GetObject", "arn:aws:s3:::bucket/a/b", context))


def test_nothing_said_is_denied() -> None:
    assert _decide() is Decision.IMPLICITLY_DENIED


def test_a_deny_wins_over_any_allow() -> None:
    deny = {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::bucket/a/*"}
    assert _decide(_ALLOW) is Decision.ALLOWED
    assert _decide(_ALLOW, deny) is Decision.EXPLICITLY_DENIED
    assert _decide(deny, _ALLOW) is Decision.EXPLICITLY_DENIED


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"Action": "S3:GETOBJECT"}, True),
        ({"Action": ["s3:PutObject", "s3:GetObjec?"]}, True),
        ({"Action": "s3:PutObject"}, False),
        ({"Resource": "arn:aws:s3:::bucket"}, False),
        ({"Resource": "arn:aws:s3:::Bucket/*"}, False),
        ({"Resource": ["arn:aws:s3:::other/*", "arn:aws:s3:::bucket/a/?"]}, True),
        ({"Resource": "arn:aws:s3:::${aws:PrincipalTag/x}/*"}, False),
    ],
)
def test_actions_ignore_case_and_resources_do_not(changes: dict[str, Any], allowed: bool) -> None:
    assert (_decide({**_ALLOW, **changes}) is Decision.ALLOWED) is allowed


def test_not_action_and_not_resource_turn_the_match_round() -> None:
    statement = {"Effect": "Allow", "NotAction": "s3:Put*", "NotResource": "arn:aws:s3:::bucket/secret/*"}
    assert _decide(statement) is Decision.ALLOWED
    assert _decide({**statement, "NotAction": "s3:Get*"}) is Decision.IMPLICITLY_DENIED


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringEquals": {"K": "a"}}, {"k": "a"}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringLike": {"k": "a*"}}, {"k": "abc"}, True),
        ({"ArnLike": {"k": "arn:aws:states:*:1:stateMachine:*"}}, {"k": "arn:aws:states:r:1:stateMachine:m"}, True),
        ({"ArnLike": {"k": "arn:aws:*:stateMachine:*"}}, {"k": "arn:aws:states:r:1:stateMachine:m"}, False),
        ({"Bool": {"k": "false"}}, {"k": "False"}, True),
        ({"Null": {"k": "true"}}, {}, True),
        ({"NumericLessThan": {"k": "10"}}, {"k": "9"}, True),
        ({"IpAddress": {"k": "10.0.0.0/8"}}, {"k": "10.1.2.3"}, True),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "b"]}, True),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, False),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {}, False),
        ({"StringEquals": {"k": "a"}, "Bool": {"l": "true"}}, {"k": "a", "l": "false"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, Any], holds: bool) -> None:
    assert (_decide({**_ALLOW, "Condition": condition}, **context) is Decision.ALLOWED) is holds


def test_an_unknown_operator_is_no_answer() -> None:
    with pytest.raises(UnknownCondition, match="StringIs"):
        _decide({**_ALLOW, "Condition": {"StringIs": {"k": "a"}}}, k="a")


@pytest.mark.parametrize(
    ("principal", "given", "allowed"),
    [
        ("*", {"AWS": "arn:aws:iam::1:role/r"}, True),
        ({"AWS": "arn:aws:iam::1:root"}, {"AWS": "arn:aws:iam::1:role/r"}, True),
        ({"AWS": "arn:aws:iam::2:root"}, {"AWS": "arn:aws:iam::1:role/r"}, False),
        ({"Service": ["lambda.amazonaws.com"]}, {"Service": "lambda.amazonaws.com"}, True),
        ({"Service": "lambda.amazonaws.com"}, {"AWS": "arn:aws:iam::1:role/r"}, False),
    ],
)
def test_principals_of_resource_policies(principal: Any, given: dict[str, str], allowed: bool) -> None:
    request = Request("s3:GetObject", "arn:aws:s3:::bucket/a", {}, given)
    assert (evaluate([{**_ALLOW, "Principal": principal}], request) is Decision.ALLOWED) is allowed
