"""Schedule expressions, input transformers, replication rules, alarms, faults and grants."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.local_aws.alarms import rule_holds, state_of, statistic
from tests.local_aws.cron import BadExpression, at_time, cron_matches, rate_seconds
from tests.local_aws.event_templates import transform
from tests.local_aws.faults import BadFault, Faults
from tests.local_aws.grants import Allowance, BadAllowList, compare, grants_of, read_allow_list, wide
from tests.local_aws.replication_rules import rules_for


@pytest.mark.parametrize(
    ("expression", "moment", "matches"),
    [
        ("cron(0 3 * * ? *)", "2026-11-21T03:00", True),
        ("cron(0 3 * * ? *)", "2026-11-21T03:01", False),
        ("cron(0/15 * * * ? *)", "2026-11-21T03:45", True),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-20T18:00", True),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-21T18:00", False),
        ("cron(0 8 1,15 * ? *)", "2026-11-15T08:00", True),
        ("cron(0 8 L * ? *)", "2026-02-28T08:00", True),
        ("cron(0 8 1W * ? *)", "2026-08-03T08:00", True),
        ("cron(0 8 ? * 6#3 *)", "2026-11-20T08:00", True),
        ("cron(0 8 ? * 6L *)", "2026-11-27T08:00", True),
        ("cron(0 8 ? * 6L *)", "2026-11-20T08:00", False),
        ("cron(0 8 * JAN,NOV ? 2026)", "2026-11-20T08:00", True),
        ("cron(0 8 * JAN,NOV ? 2027)", "2026-11-20T08:00", False),
    ],
)
def test_cron(expression: str, moment: str, matches: bool) -> None:
    assert cron_matches(expression, datetime.fromisoformat(moment)) is matches


@pytest.mark.parametrize("expression", ["cron(0 3 * * * *)", "cron(0 3 ? * ? *)", "cron(0 3 * * ?)"])
def test_bad_cron(expression: str) -> None:
    with pytest.raises(BadExpression, match="accepted: six fields"):
        cron_matches(expression, datetime(2026, 11, 21))


def test_rate_and_at() -> None:
    assert (rate_seconds("rate(15 minutes)"), rate_seconds("rate(1 hour)"), rate_seconds("at(x)")) == (900, 3600, None)
    once = at_time("at(2026-11-22T03:00:00)", "Europe/Berlin")
    assert once is not None
    assert once.isoformat() == "2026-11-22T03:00:00+01:00"


def test_input_transformers_quote_as_eventbridge_does() -> None:
    event: dict[str, Any] = {"detail": {"name": 'a "b"', "n": 1, "list": [{"x": 2}]}, "time": "t"}
    paths = {"name": "$.detail.name", "n": "$.detail.n", "x": "$.detail.list[0].x", "none": "$.detail.absent"}
    assert transform('"<name>: <n>, <none>."', paths, event, "rule/r") == '"a \\"b\\": 1, ."'
    answer = transform(
        '{"name": <name>, "x": <x>, "none": <none>, "by": "<aws.events.rule-name>"}', paths, event, "rule/r"
    )
    assert json.loads(answer) == {"name": 'a "b"', "x": 2, "none": None, "by": "r"}


def _rule(prefix: str, priority: int, bucket: str, **more: Any) -> dict[str, Any]:
    return {
        "ID": f"{prefix}{priority}",
        "Status": "Enabled",
        "Priority": str(priority),
        "Filter": {"Prefix": prefix},
        "Destination": {"Bucket": f"arn:aws:s3:::{bucket}"},
        **more,
    }


def test_the_rule_of_the_highest_priority_counts_per_destination() -> None:
    configuration = {"Rule": [_rule("a/", 1, "one"), _rule("a/b/", 2, "one"), _rule("", 0, "two")]}
    assert [rule.id for rule in rules_for(configuration, "a/b/c", {})] == ["a/b/2", "0"]
    assert [rule.id for rule in rules_for(configuration, "a/c", {})] == ["a/1", "0"]


def test_filters_by_tag_and_disabled_rules() -> None:
    both = {"And": {"Prefix": "a/", "Tag": {"Key": "k", "Value": "v"}}}
    configuration = {"Rule": [_rule("", 1, "one", Filter=both), _rule("", 2, "two", Status="Disabled")]}
    assert rules_for(configuration, "a/x", {}) == []
    assert [rule.destination for rule in rules_for(configuration, "a/x", {"k": "v"})] == ["one"]
    assert rules_for(None, "a/x", {}) == []


@pytest.mark.parametrize(
    ("points", "needed", "missing", "state"),
    [
        ([5.0, 5.0, 5.0], 3, "missing", "ALARM"),
        ([5.0, 0.0, 5.0], 2, "missing", "ALARM"),
        ([5.0, 0.0, 5.0], 3, "missing", "OK"),
        ([None, None], 2, "missing", "INSUFFICIENT_DATA"),
        ([None, None], 2, "breaching", "ALARM"),
        ([None, None], 2, "notBreaching", "OK"),
        ([None, None], 2, "ignore", None),
        ([None, 5.0], 2, "breaching", "ALARM"),
        ([None, 5.0], 2, "notBreaching", "OK"),
    ],
)
def test_alarm_states(points: list[float | None], needed: int, missing: str, state: str | None) -> None:
    assert state_of(points, needed, lambda value: value > 1, missing) == state


def test_statistics() -> None:
    values = [1.0, 2.0, 6.0]
    assert [statistic(values, name) for name in ("Sum", "Average", "Minimum", "Maximum", "SampleCount")] == [
        9,
        3,
        1,
        6,
        3,
    ]


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ('ALARM("a") AND NOT ALARM("b")', True),
        ("ALARM(b) OR OK(b)", True),
        ("NOT (ALARM(a) OR ALARM(b))", False),
        ("ALARM(arn:aws:cloudwatch:r:1:alarm:a) AND (OK(b) OR FALSE)", True),
        ("INSUFFICIENT_DATA(c)", False),
    ],
)
def test_rules_of_composite_alarms(rule: str, holds: bool) -> None:
    assert rule_holds(rule, {"a": "ALARM", "b": "OK"}) is holds


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "service: missing"),
        ({"service": "s3", "count": 0}, "count: 0"),
        ({"service": "s3", "status": 200}, "status: 200"),
        ({"service": "s3", "operatoin": "x"}, "operatoin: unknown field"),
    ],
)
def test_bad_faults_name_the_field(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(BadFault, match=message):
        Faults().add(request_)


def test_faults_are_used_up() -> None:
    faults = Faults()
    faults.add({"service": "monitoring", "operation": "GetMetricStatistics", "count": 2})
    names = frozenset({"monitoring", "cloudwatch"})
    assert faults.take(names, "PutMetricData", "r") is None
    assert [faults.take(names, "GetMetricStatistics", "r") is None for _ in range(3)] == [False, False, True]


def test_grants_of_several_actions_at_once() -> None:
    statement = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:Get*", "*"], "Resource": "*"}
    denied = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    found = wide(grants_of("arn:aws:iam::1:role/r", "p", {"Statement": [statement, denied]}))
    assert [grant.action for grant in found] == ["*", "s3:Get*"]


def test_unused_grants() -> None:
    """A grant that no call needed is named, unless the list says why it stays."""
    role = "arn:aws:iam::1:role/r"
    statement = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::b/*"}
    grants = grants_of(role, "p", {"Statement": [statement, {"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    used = {"role": role, "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k", "allowed": True}
    refused = {**used, "action": "s3:PutObject", "allowed": False}
    found = compare(grants, [used, refused], [Allowance("other", "*", "*", "why")])
    assert [grant.action for grant in found.unused] == ["s3:PutObject"]
    assert found.denied == [refused]
    assert [allowance.role for allowance in found.stale] == ["other"]
    explained = compare(grants, [used], [Allowance("r", "s3:Put*", "*", "why")])
    assert (explained.unused, [grant.action for grant in explained.explained]) == ([], ["s3:PutObject"])


def test_the_allow_list_is_valid_and_every_entry_has_a_reason(tmp_path: Path) -> None:
    assert all(allowance.reason for allowance in read_allow_list())
    bad = tmp_path / "list.json"
    bad.write_text('[{"role": "*", "action": "*", "resource": "*", "reason": " "}]')
    with pytest.raises(BadAllowList, match="entry 0, reason"):
        read_allow_list(bad)
