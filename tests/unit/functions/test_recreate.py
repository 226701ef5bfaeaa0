"""recreate: keep the spec, hide and reveal, create or adopt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mwaa_continuity import recreate
from mwaa_continuity.errors import AwsRefused, BadInput, BadSpec, EnvironmentNotUsable, SnapshotsExist, Transient
from tests.unit.functions.conftest import (
    BINDING,
    DAGS,
    NAME,
    PRIMARY,
    SECONDARY,
    SECRET_OPTION,
    SNAPSHOTS,
    Account,
    environment,
)

SNAPSHOT = "20261121T080000Z-0123abcd"
OBSERVED, PUBLISHED = f"spec/{NAME}/observed.{PRIMARY}.json", f"spec/{NAME}/published.{PRIMARY}.json"
IGNORE = "dags/.airflowignore"


def call(action: str, **fields: Any) -> dict[str, Any]:
    return recreate.handler({"action": action, "request_id": "r-1", **fields}, None)


@pytest.fixture
def secondary(account: Account) -> Account:
    """The secondary as it is at a failover: binding, observed spec, DAG bucket."""
    account.mwaa.environments[PRIMARY, NAME] = environment()
    assert call("store_spec") == {"outcome": "stored"}
    account.put_json(f"spec/{NAME}/binding.{SECONDARY}.json", BINDING)
    for key in ("requirements.txt", "startup.sh"):
        account.s3.put_object(Bucket=DAGS, Key=key, Body=b"x")
    return account


def test_store_spec_writes_only_what_changed(secondary: Account) -> None:
    assert call("store_spec") == {"outcome": "unchanged"}
    secondary.mwaa.environments[PRIMARY, NAME]["MaxWorkers"] = 9
    assert call("store_spec") == {"outcome": "stored"}
    stored = json.loads(secondary.s3.get_object(Bucket=SNAPSHOTS, Key=OBSERVED)["Body"].read())
    assert stored["MaxWorkers"] == 9
    versions = secondary.s3.list_object_versions(Bucket=SNAPSHOTS, Prefix=OBSERVED)["Versions"]
    assert len(versions) == 2


@pytest.mark.parametrize("status", ["UPDATING", "MAINTENANCE", "UPDATE_FAILED", "DELETING"])
def test_store_spec_only_of_an_available_environment(secondary: Account, status: str) -> None:
    secondary.mwaa.environments[PRIMARY, NAME] |= {"Status": status, "MaxWorkers": 9}
    assert call("store_spec") == {"outcome": "not_available"}


def test_the_first_environment_is_created_empty_where_there_is_no_snapshot(secondary: Account) -> None:
    """Failure covered: an empty environment where a snapshot, be it half of one, is all that is left of the old."""
    left = f"snapshots/{NAME}/{SNAPSHOT}/dag_run.state.copy.gz"
    secondary.s3.put_object(Bucket=SNAPSHOTS, Key=left, Body=b"x")
    with pytest.raises(SnapshotsExist, match=f"is not created empty: bucket {SNAPSHOTS} holds {left}"):
        call("ensure", first=True)
    assert not secondary.mwaa.created
    secondary.s3.delete_object(Bucket=SNAPSHOTS, Key=left)
    secondary.s3.put_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}-other/{SNAPSHOT}/manifest.json", Body=b"{}")
    assert call("ensure", first=True)["outcome"] == "creating"
    assert len(secondary.mwaa.created) == 1
    assert call("ensure", first=True)["outcome"] == "exists"


def test_ensure_creates_from_the_observed_spec(secondary: Account) -> None:
    answer = call("ensure", poll_seconds=30, timeout_minutes=120)
    assert answer == {"outcome": "creating", "spec_source": OBSERVED, "polls": 240, "published_version": None}
    (document,) = secondary.mwaa.created
    assert document["ExecutionRoleArn"] == BINDING["ExecutionRoleArn"]
    assert "RequirementsS3ObjectVersion" not in document, "that version is not in this Region's bucket"
    assert PRIMARY not in json.dumps(document)


def test_a_replicated_object_version_is_kept(secondary: Account) -> None:
    version = secondary.s3.put_object(Bucket=DAGS, Key="requirements.txt", Body=b"y")["VersionId"]
    secondary.s3.put_object(Bucket=DAGS, Key="requirements.txt", Body=b"newer")
    secondary.mwaa.environments[PRIMARY, NAME]["RequirementsS3ObjectVersion"] = version
    call("store_spec")
    call("ensure")
    assert secondary.mwaa.created[0]["RequirementsS3ObjectVersion"] == version


def test_ensure_prefers_the_snapshots_spec(secondary: Account) -> None:
    document = recreate.spec.from_environment(environment()) | {"MaxWorkers": 7}
    key = f"snapshots/{NAME}/{SNAPSHOT}/spec.json"
    secondary.put_json(key, document, Metadata={"region": PRIMARY})
    assert call("ensure", snapshot_id=SNAPSHOT)["spec_source"] == key
    assert secondary.mwaa.created[0]["MaxWorkers"] == 7


def test_ensure_falls_back_to_what_terraform_published(secondary: Account) -> None:
    secondary.s3.delete_object(Bucket=SNAPSHOTS, Key=OBSERVED)
    secondary.put_json(PUBLISHED, recreate.spec.from_environment(environment()))
    assert call("ensure", snapshot_id=SNAPSHOT)["spec_source"] == PUBLISHED


@pytest.mark.parametrize("status", ["AVAILABLE", "CREATING", "UPDATING", "PENDING"])
def test_ensure_adopts_what_is_there(secondary: Account, status: str) -> None:
    secondary.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY, status)
    assert call("ensure")["outcome"] == "exists"
    assert not secondary.mwaa.created


@pytest.mark.parametrize("status", ["CREATE_FAILED", "UNAVAILABLE", "DELETING"])
def test_ensure_names_what_stands_in_the_way(secondary: Account, status: str) -> None:
    """Failure covered: CREATE_FAILED polls until the time limit."""
    secondary.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY, status)
    with pytest.raises(EnvironmentNotUsable, match=f"environment {NAME} in {SECONDARY}: .* what was begun can go on"):
        call("ensure")


def test_ensure_without_any_spec_says_where_it_looked(account: Account) -> None:
    with pytest.raises(BadSpec, match=f"bucket {SNAPSHOTS} holds no spec; looked for: {OBSERVED}, {PUBLISHED}"):
        call("ensure")
    assert not account.mwaa.created


def test_ensure_without_a_binding_is_refused(secondary: Account) -> None:
    secondary.s3.delete_object(Bucket=SNAPSHOTS, Key=f"spec/{NAME}/binding.{SECONDARY}.json")
    with pytest.raises(BadSpec, match=f"binding.{SECONDARY}.json is missing in bucket {SNAPSHOTS}"):
        call("ensure")


def test_ensure_without_a_file_of_the_environment_is_refused(secondary: Account) -> None:
    secondary.s3.delete_object(Bucket=DAGS, Key="requirements.txt")
    with pytest.raises(BadSpec, match=f"RequirementsS3Path: requirements.txt is missing in bucket {DAGS}"):
        call("ensure")
    assert not secondary.mwaa.created


def test_a_spec_of_another_environment_is_refused(secondary: Account) -> None:
    secondary.put_json(OBSERVED, recreate.spec.from_environment(environment()) | {"Name": "other"})
    secondary.put_json(f"spec/{NAME}/binding.{SECONDARY}.json", {k: v for k, v in BINDING.items() if k != "Name"})
    with pytest.raises(BadSpec, match=f"Name is of another environment; accepted: {NAME}"):
        call("ensure")


@pytest.mark.parametrize(("body", "message"), [(b"{", "is no JSON"), (b"[]", "is a list; accepted: a JSON object")])
def test_a_spec_that_is_no_document_is_refused(secondary: Account, body: bytes, message: str) -> None:
    secondary.s3.put_object(Bucket=SNAPSHOTS, Key=OBSERVED, Body=body)
    with pytest.raises(BadSpec, match=message):
        call("ensure")


def test_what_mwaa_answers_never_repeats_an_option(secondary: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Failure covered: bearer tokens and credentials in logs."""
    said = secondary.mwaa.environments[PRIMARY, NAME]["AirflowConfigurationOptions"]["secrets.backend_kwargs"]
    echoed = said.replace(PRIMARY, SECONDARY)
    secondary.mwaa.failures["CreateEnvironment"] = (400, {"message": f"bad: {echoed}"}, "ValidationException")
    with pytest.raises(AwsRefused, match="CreateEnvironment answered ValidationException") as caught:
        call("ensure")
    assert SECRET_OPTION not in str(caught.value)
    assert SECRET_OPTION not in capsys.readouterr().out


def test_a_service_in_trouble_is_transient(secondary: Account) -> None:
    secondary.mwaa.failures["CreateEnvironment"] = (503, {"message": "busy"}, "ServiceUnavailableException")
    with pytest.raises(Transient, match="ServiceUnavailableException"):
        call("ensure")


def test_status_answers_with_the_status_alone(secondary: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Failure covered: bearer tokens and credentials in logs."""
    with pytest.raises(Transient, match=f"environment {NAME} does not exist in {SECONDARY}"):
        call("status")
    secondary.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY, "CREATING_SNAPSHOT")
    assert call("status") == {"status": "CREATING_SNAPSHOT"}
    assert SECRET_OPTION not in capsys.readouterr().out


def test_hide_and_reveal(secondary: Account) -> None:
    assert call("hide") == {"outcome": "hidden"}
    assert call("hide") == {"outcome": "already_hidden"}
    assert secondary.s3.get_object(Bucket=DAGS, Key=IGNORE)["Body"].read().startswith(b"^[^c]\n")
    assert call("reveal") == {"removed": 1}
    assert IGNORE not in secondary.objects(DAGS)


@pytest.mark.parametrize("made", [60, -60], ids=["created by the failover", "stood by before it"])
def test_a_second_attempt_does_not_hide_what_runs_already(secondary: Account, made: int) -> None:
    """An attempt that failed after it revealed the DAGs is followed by one that finds them running."""
    since = 1_999_999_000
    assert call("hide", since=since) == {"outcome": "hidden"}
    secondary.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY) | {"CreatedAt": since + made}
    assert call("hide", since=since) == {"outcome": "already_hidden"}
    call("reveal", since=since)
    assert call("hide", since=since) == {"outcome": "revealed_before"}
    assert IGNORE not in secondary.objects(DAGS)
    secondary.mwaa.environments[SECONDARY, NAME]["CreatedAt"] = since + 600
    assert call("hide", since=since) == {"outcome": "hidden"}, "it is another environment"


def test_what_was_revealed_under_another_lease_is_hidden(secondary: Account) -> None:
    secondary.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    call("reveal", since=1_999_999_000)
    assert call("hide", since=1_999_999_600) == {"outcome": "hidden"}


def test_nothing_is_hidden_before_there_is_a_spec(account: Account) -> None:
    assert call("hide") == {"outcome": "no_spec"}
    assert not account.objects(DAGS)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            {},
            "action is missing; accepted: one of discard, ensure, hide, publish_url, remove, reveal, status, store_",
        ),
        ({"action": "ensure", "snapshot_id": "latest"}, "snapshot_id is 'latest'; accepted: YYYYMMDDTHHMMSSZ-<8 hex"),
        ({"action": "ensure", "snapshot_id": 5}, "snapshot_id is a number"),
        ({"action": "ensure", "poll_seconds": 0}, "poll_seconds is 0; accepted: a whole number from 1 to 3600"),
        ({"action": "ensure", "timeout_minutes": "120"}, "timeout_minutes is a string; accepted: a whole number"),
        ({"action": "hide", "since": -1}, "since is -1; accepted: a whole number"),
        ({"action": "reveal", "since": "now"}, "since is a string; accepted: a whole number"),
        ({"action": "ensure", "update": 1}, "update is a number; accepted: true or false"),
        ({"action": "ensure", "update": True, "again": "yes"}, "again is a string; accepted: true or false"),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(account: Account, event: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        recreate.handler(event, None)
    assert not account.mwaa.calls
    assert not account.objects(DAGS)


@pytest.mark.parametrize("name", ["PRIMARY_REGION", "SNAPSHOT_BUCKET", "ENVIRONMENT_NAME", "AWS_REGION"])
def test_a_missing_variable_is_named(account: Account, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    with pytest.raises(BadInput, match=f"{name} is not set"):
        call("ensure")
    assert not account.mwaa.created
