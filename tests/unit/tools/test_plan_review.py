"""Plans as a comment and before a policy, on what real Terraform said of real plans (tests/tools/record_plans.py)."""

from __future__ import annotations

import copy
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from plan_review.__main__ import main
from plan_review.comment import LIMIT, TooLong, code, comment, plain
from plan_review.policy import Label, judge, read_labels
from plan_review.reading import NotAPlan, Plan, read_plan

PLANS = Path(__file__).with_name("plans")
SECRETS = ("first-secret", "second-secret")


def text_of(name: str) -> str:
    return (PLANS / f"{name}.json").read_text()


def plan(name: str, label: str = "prod/us-east-1") -> Plan:
    return read_plan(label, text_of(name))


def with_content(*, address: str, content: str) -> Plan:
    """A plan that writes an object."""
    shown = {
        "format_version": "1.2",
        "resource_changes": [
            {
                "address": address,
                "mode": "managed",
                "type": "aws_s3_object",
                "change": {"actions": ["update"], "before": {"content": "{}"}, "after": {"content": content}},
            }
        ],
    }
    return read_plan("x", json.dumps(shown))


def many(name: str, times: int) -> Plan:
    """A plan of so many times as many resources, each with another address."""
    shown = json.loads(text_of(name))
    changes = shown["resource_changes"]
    shown["resource_changes"] = [
        copy.deepcopy(change) | {"address": f'module.number["{number}"].{change["address"]}'}
        for number in range(times)
        for change in changes
    ]
    return read_plan("many", json.dumps(shown))


def sections(text: str) -> dict[str, str]:
    """What stands below each heading and in each fold."""
    parts = re.split(r"^(?:#{2,4} (.+)|<details><summary>(.+)</summary>)$", text, flags=re.MULTILINE)
    return {(parts[place] or parts[place + 1]): parts[place + 2] for place in range(1, len(parts), 3)}


def test_what_is_taken_away_comes_first_with_what_forces_it() -> None:
    text = comment([plan("create", "test/us-west-2"), plan("change")], "plan")
    lines = text.splitlines()
    assert lines[0] == "<!-- plan-review: plan -->"
    assert "| prod/us-east-1 | **17** | **2** |" in text
    first = text.index("### Replaced or deleted")
    assert first < text.index("### test/us-west-2") < text.index("### prod/us-east-1\n\n<details>")
    taken = text[first : text.index("### test/us-west-2")]
    assert taken.count("- **replaced** ") == 17
    assert taken.count("- **deleted** ") == 2
    assert '  - forces it: `hash_key`: `"pk"` → `"id"`' in taken
    assert '`aws_cloudwatch_log_group.each["a"]`: its key is no longer in for_each' in taken
    # What holds state stands before what does not.
    assert taken.index("aws_kms_key.old") < taken.index("aws_cloudwatch_log_group")


def test_each_kind_of_change_is_told() -> None:
    told = sections(comment([plan("change")], "plan"))
    assert (
        '`policy.Statement[0].Action`: `["s3:GetObject"]` → `["s3:GetObject", "s3:PutObject"]`'
        in told["3 resources updated"]
    )
    assert "- 3 `aws_cloudwatch_log_group`" in told["3 resources created"]
    assert "`aws_sns_topic.new_name`, moved from `aws_sns_topic.old_name`" in told["1 resource moved"]
    assert "aws_cloudwatch_log_group.let_go" in told["1 resource forgotten, and no longer managed"]
    assert '`greeting`: `"before"` → `"after"`' in told["3 outputs changed"]
    assert "→ (known after apply)" in told["3 outputs changed"]
    drift = told["1 resource changed outside of Terraform, which this plan would undo"]
    assert "`retention_in_days`: `30` → `7`" in drift


def test_what_is_imported_as_it_is_is_told() -> None:
    """Terraform says of it that nothing is to be done, and beside that what is imported."""
    shown = json.loads(text_of("change"))
    (moved,) = [change for change in shown["resource_changes"] if "previous_address" in change]
    del moved["previous_address"]
    moved["change"]["importing"] = {"id": "arn:aws:sns:us-east-1:123456789012:reviewed"}
    for text in (json.dumps(shown), redacted(json.dumps(shown))):
        told = sections(comment([read_plan("x", text)], "plan"))
        assert "- `aws_sns_topic.new_name`, imported" in told["1 resource imported"]


@pytest.mark.parametrize("name", ["create", "change", "destroy"])
def test_sensitive_values_are_never_shown(name: str) -> None:
    """Failure covered: a password in the comment of a pull request, or in what one job hands to another."""
    assert any(secret in text_of(name) for secret in SECRETS)
    reduced = redacted(text_of(name))
    for text in (comment([plan(name)], "plan"), reduced, comment([read_plan("prod/us-east-1", reduced)], "plan")):
        assert not any(secret in text for secret in SECRETS)


def redacted(text: str) -> str:
    """What the command `redact` prints."""
    with pytest.MonkeyPatch.context() as patch, io.StringIO() as printed:
        patch.setattr("sys.stdin", io.StringIO(text))
        patch.setattr("sys.stdout", printed)
        assert main(["redact", "-"]) == 0
        return printed.getvalue()


@pytest.mark.parametrize("name", ["create", "change", "destroy"])
def test_a_reduced_plan_makes_the_same_comment(name: str) -> None:
    assert comment([read_plan("x", redacted(text_of(name)))], "plan") == comment([plan(name, "x")], "plan")


def test_that_a_sensitive_value_changes_is_told() -> None:
    told = sections(comment([plan("change")], "plan"))
    assert "`value`: (sensitive value), another one" in told["3 resources updated"]
    assert "`password`: (sensitive value), another one" in told["3 outputs changed"]


def test_nothing_to_do_is_said() -> None:
    shown = json.dumps({"format_version": "1.2", "resource_changes": [], "output_changes": {}})
    assert "Nothing changes." in comment([read_plan("x", shown)], "plan")


@pytest.mark.parametrize("mark", [{"errored": True}, {"complete": False}, {"deferred_changes": [{}]}])
def test_an_incomplete_plan_is_said_to_be_one_and_is_denied(mark: dict[str, Any]) -> None:
    """Failure covered: planning failed half-way, and the comment shows a harmless half."""
    found = read_plan("x", json.dumps({"format_version": "1.2", "resource_changes": []} | mark))
    assert "**incomplete**" in comment([found], "plan")
    denied, _, _ = judge([found], [])
    assert len(denied) == 1
    assert "incomplete" in denied[0].what


@pytest.mark.parametrize("times", [1, 8, 20, 30])
def test_a_comment_fits_and_the_dangerous_part_is_whole(times: int) -> None:
    """Failure covered: GitHub refuses a long comment, or it is cut before the deletion at its end."""
    large = many("change", times)
    text = comment([large], "plan")
    assert len(text) <= len(text.encode()) <= LIMIT
    for change in large.of("replace", "delete"):
        assert code(change.address) in text
    assert ("Shortened" in text) == (times > 8)


def test_what_does_not_fit_at_all_is_refused() -> None:
    with pytest.raises(TooLong, match="read the plan itself"):
        comment([many("destroy", 60)], "plan")


@pytest.mark.parametrize("text", ["a`b", "``", "`", "a\nb", "plain"])
def test_no_value_ends_its_code(text: str) -> None:
    shown = code(text)
    fence = re.match(r"`+", shown)
    assert fence is not None
    assert shown.endswith(fence[0])
    assert shown[len(fence[0]) : -len(fence[0])].strip(" ") == text.replace("\n", " ")
    assert fence[0] not in re.findall(r"`+", text)


def test_labels_are_text() -> None:
    assert plain("a|b <script>") == r"a\|b \<script\>"


def test_destroying_everything_is_denied_by_name() -> None:
    """Failure covered: a plan that deletes the snapshots is applied because nobody read to its end."""
    denied, allowed, _ = judge([plan("destroy")], [])
    addresses = {violation.address for violation in denied}
    assert allowed == []
    assert addresses == {
        "aws_dynamodb_table.ledger",
        "aws_kms_key.old",
        "module.storage.aws_kms_key.environment[0]",
        "module.storage.aws_kms_key.this[0]",
        'module.storage.aws_s3_bucket.this["dag"]',
        'module.storage.aws_s3_bucket.this["snapshot"]',
    }


@pytest.mark.parametrize(
    ("region", "kept"),
    [
        (
            "primary",
            {
                "aws_dynamodb_table_replica.lease[0]",
                "aws_kms_key.environment[0]",
                "aws_kms_replica_key.this[0]",
                "aws_mwaa_environment.this[0]",
            },
        ),
        (
            "secondary",
            {
                "aws_cloudformation_stack.lease[0]",
                "aws_dynamodb_table_item.lease[0]",
                "aws_kms_key.environment[0]",
                "aws_kms_key.this[0]",
            },
        ),
    ],
)
def test_destroying_a_region_is_denied(region: str, kept: set[str]) -> None:
    """The plans are of the rehearsal's Regions, shortened to what holds state and a few others."""
    found = plan(f"destroy-{region}", region)
    denied, _, _ = judge([found], [])
    common = {f'aws_s3_bucket.this["{kind}"]' for kind in ("dag", "snapshot")}
    common |= {f'aws_s3_object.spec["{kind}"]' for kind in ("binding", "published")}
    assert {re.sub(r"^(module\.\w+\.)+", "", violation.address) for violation in denied} == kept | common
    assert len(denied) < len(found.of("delete"))


def test_what_is_labelled_is_allowed_and_no_more() -> None:
    labels = [Label("aws_kms_key.old"), Label("aws_dynamodb_table.ledger", "test/us-east-1"), Label("aws_kms_key.gone")]
    denied, allowed, unused = judge([plan("change")], labels)
    assert [violation.address for violation in allowed] == ["aws_kms_key.old"]
    assert {violation.address for violation in denied} == {
        "aws_dynamodb_table.ledger",
        'module.storage.aws_s3_bucket.this["dag"]',
        'module.storage.aws_s3_bucket.this["snapshot"]',
    }
    assert unused == labels[1:]


def test_creating_is_allowed() -> None:
    assert judge([plan("create")], []) == ([], [], [])


LOGS = {name: {"Enabled": True, "LogLevel": "INFO"} for name in ("SchedulerLogs", "WebserverLogs", "WorkerLogs")}


@pytest.mark.parametrize(
    ("logging", "missing"),
    [(LOGS, ""), (LOGS | {"WorkerLogs": {"Enabled": False}}, "WorkerLogs"), ({}, "SchedulerLogs, WebserverLogs")],
)
def test_an_environment_without_logs_is_denied_by_its_spec(logging: dict[str, Any], missing: str) -> None:
    address = 'module.mwaa.module.continuity[0].aws_s3_object.spec["published"]'
    content = json.dumps({"Name": "analytics", "LoggingConfiguration": logging})
    denied, _, _ = judge([with_content(address=address, content=content)], [])
    assert [missing in violation.what for violation in denied] == ([True] if missing else [])


def test_labels_of_a_file() -> None:
    text = '# why\n\naws_kms_key.old # ticket\nprod/us-east-1: module.a["x: y z"].aws_s3_bucket.b\n'
    assert read_labels(text) == [
        Label("aws_kms_key.old"),
        Label('module.a["x: y z"].aws_s3_bucket.b', "prod/us-east-1"),
    ]
    with pytest.raises(ValueError, match="line 1: accepted: an address"):
        read_labels("two words")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "no JSON"),
        ("[]", "no plan"),
        ('{"format_version": "1.0", "values": {}}', "a state"),
        ('{"format_version": "2.0", "resource_changes": []}', "format 2.0"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotAPlan, match=f"x: .*{why}.*accepted: "):
        read_plan("x", text)


@pytest.mark.parametrize(
    ("arguments", "code_", "said"),
    [
        (["comment", "prod/us-east-1={change}"], 0, "### prod/us-east-1"),
        (["comment", "--marker", "a b", "{change}"], 2, "marker is 'a b'; accepted: letters"),
        (["comment", "missing.json"], 2, "missing.json"),
        (["policy", "prod={create}"], 0, "Nothing is denied in 1 plan."),
        (["policy", "prod={change}"], 1, "denied   prod: aws_kms_key.old deletes a key"),
        (["policy", "--allow", "aws_kms_key.old", "prod={change}"], 1, "labelled prod: aws_kms_key.old"),
        (["policy", "--allow", "aws_kms_key.gone", "prod={create}"], 0, "unused   label aws_kms_key.gone"),
    ],
)
def test_the_command(capsys: pytest.CaptureFixture[str], arguments: list[str], code_: int, said: str) -> None:
    files = {name: PLANS / f"{name}.json" for name in ("create", "change")}
    assert main([argument.format(**files) for argument in arguments]) == code_
    printed = capsys.readouterr()
    assert said in printed.out + printed.err
