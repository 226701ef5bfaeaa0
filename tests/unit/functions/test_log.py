"""Log lines: JSON, with the correlation id, and without anything that is not on the list."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwaa_continuity import app
from mwaa_continuity.errors import BadInput
from mwaa_continuity.log import FIELDS, Log

SECRET = "t0ken-0f-a-state"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_line_carries_the_correlation_id(variables: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    app.run(
        "lease",
        {"read": lambda _event, log: log.info("seen", token=3) or {}},
        {"action": "read", "request_id": "r-9"},
        None,
    )
    written = lines(capsys)
    assert [line["request_id"] for line in written] == ["r-9", "r-9"]
    assert written[0]["token"] == 3
    assert {line["environment"] for line in written} == {variables["ENVIRONMENT_NAME"]}


def test_without_a_request_the_invocation_is_the_correlation_id(capsys: pytest.CaptureFixture[str]) -> None:
    class Context:
        aws_request_id = "invocation-1"

    app.run("lease", {"": lambda _event, _log: {}}, {}, Context())
    assert lines(capsys)[0]["request_id"] == "invocation-1"


def test_a_field_that_is_not_listed_is_left_out_by_value(capsys: pytest.CaptureFixture[str]) -> None:
    """Failure covered: bearer tokens and credentials in logs."""
    Log("backup", "r").info("x", task_token=SECRET, why="fine")
    (line,) = lines(capsys)
    assert line["left_out"] == ["task_token"]
    assert line["why"] == "fine"
    assert SECRET not in json.dumps(line)


@given(st.sampled_from(["task_token", "password", "conf", "options", "credentials", "body"]))
def test_no_name_of_a_secret_is_listed(name: str) -> None:
    assert name not in FIELDS


def test_a_failure_is_logged_and_raised(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput, match="action is 'x'"):
        app.run("lease", {"read": lambda _event, _log: {}}, {"action": "x", "request_id": "r"}, None)
    (line,) = lines(capsys)
    assert (line["level"], line["error_type"]) == ("ERROR", "BadInput")


def test_the_level_is_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    log = Log("lease", "r")
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert [line["message"] for line in lines(capsys)] == ["c"]
