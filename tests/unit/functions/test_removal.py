"""recreate in the Region whose environment it is: what proves a removal, and from what the environment comes back."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from mwaa_continuity import recreate, spec
from mwaa_continuity.errors import BadInput, BadSpec, EnvironmentNotUsable, SnapshotRefused
from tests.unit.functions.conftest import BINDING, DAGS, NAME, PRIMARY, SECONDARY, SNAPSHOTS, Account, environment

SNAPSHOT = "20261121T080000Z-0123abcd"
FOLDER = f"snapshots/{NAME}/{SNAPSHOT}/"
PUBLISHED = f"spec/{NAME}/published.{SECONDARY}.json"
BEFORE_THE_CUT, AFTER_THE_CUT = "2026-11-21T08:00:04Z", "2026-11-21T08:00:06Z"


def call(action: str, **fields: Any) -> dict[str, Any]:
    return recreate.handler({"action": action, "request_id": "r-1", **fields}, None)


@pytest.fixture
def standalone(account: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """A standalone whose environment runs, with one good snapshot of it."""
    monkeypatch.setenv("PRIMARY_REGION", SECONDARY)
    monkeypatch.setenv("URL_PARAMETER", "/rehearsal-us-west-2/webserver-url")
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.snapshot(SNAPSHOT, region=SECONDARY)
    account.put_json(PUBLISHED, spec.from_environment(environment(SECONDARY)) | {"MaxWorkers": 9})
    account.put_json(f"spec/{NAME}/binding.{SECONDARY}.json", BINDING)
    for key in ("requirements.txt", "startup.sh"):
        account.s3.put_object(Bucket=DAGS, Key=key, Body=b"x")
    return account


def deletions(account: Account) -> int:
    return sum(operation == "DeleteEnvironment" for operation, _, _ in account.mwaa.calls)


def test_what_is_proved_is_removed_once(standalone: Account) -> None:
    asked = {"snapshot_id": SNAPSHOT, "drained_at": BEFORE_THE_CUT, "poll_seconds": 30, "timeout_minutes": 60}
    assert call("remove", **asked) == {"outcome": "deleting", "polls": 120}
    assert call("remove", **asked)["outcome"] == "deleting"
    del standalone.mwaa.environments[SECONDARY, NAME]
    assert call("remove", **asked)["outcome"] == "gone"
    assert deletions(standalone) == 1


def test_what_nobody_drained_is_not_removed(standalone: Account) -> None:
    """Failure covered: who takes over a removal that had begun deletes an environment that has run on since."""
    with pytest.raises(EnvironmentNotUsable, match="is AVAILABLE, and was not drained: hibernate it anew"):
        call("remove", snapshot_id=SNAPSHOT)
    assert deletions(standalone) == 0


def test_a_removal_that_somebody_else_made_is_one(standalone: Account) -> None:
    gone = (404, {"message": "no such environment"}, "ResourceNotFoundException")
    standalone.mwaa.failures["DeleteEnvironment"] = gone
    assert call("remove", snapshot_id=SNAPSHOT, drained_at=BEFORE_THE_CUT)["outcome"] == "gone"


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("manifest.json", "manifest.json is missing: it is not complete"),
        ("log.history.copy.gz", "log.history.copy.gz is missing"),
        ("verification.json", "was not read back"),
    ],
)
def test_a_snapshot_that_is_not_whole_removes_nothing(standalone: Account, lost: str, message: str) -> None:
    """Failure covered: the environment is deleted, and its backup is not complete."""
    standalone.s3.delete_object(Bucket=SNAPSHOTS, Key=FOLDER + lost)
    with pytest.raises(SnapshotRefused, match=message):
        call("remove", snapshot_id=SNAPSHOT, drained_at=BEFORE_THE_CUT)
    assert deletions(standalone) == 0


def test_a_snapshot_that_would_not_bring_it_back_removes_nothing(standalone: Account) -> None:
    def refused(message: str, error: type[Exception] = SnapshotRefused, **fields: Any) -> None:
        with pytest.raises(error, match=message):
            call("remove", **{"snapshot_id": SNAPSHOT, "drained_at": BEFORE_THE_CUT} | fields)
        assert deletions(standalone) == 0

    refused("was cut at 2026-11-21T08:00:05.*, before the DAGs were paused at", drained_at=AFTER_THE_CUT)
    standalone.verification(SNAPSHOT, ("variable.sealed", "does not open"))
    refused("damaged when it was read back: variable.sealed: does not open")
    standalone.snapshot(SNAPSHOT, region=PRIMARY)
    refused(f"is of {PRIMARY}; accepted: {SECONDARY}")
    standalone.snapshot(SNAPSHOT, region=SECONDARY, spec=None)
    standalone.put_json(f"{FOLDER}spec.json", spec.from_environment(environment(SECONDARY)) | {"Name": "other"})
    refused("its spec.json is of another environment")
    standalone.s3.delete_object(Bucket=SNAPSHOTS, Key=f"{FOLDER}spec.json")
    refused("spec.json is missing", BadSpec)
    standalone.snapshot(SNAPSHOT, region=SECONDARY, environment="other")
    refused("its manifest belongs to snapshot")
    standalone.snapshot(SNAPSHOT, region=SECONDARY, encryption={"encrypted_data_key": "bm90IG9uZQ=="})
    refused("KMS does not decrypt its data key")


@pytest.mark.parametrize("status", ["UPDATING", "CREATE_FAILED", "MAINTENANCE"])
def test_only_an_environment_that_runs_is_removed(standalone: Account, status: str) -> None:
    standalone.mwaa.environments[SECONDARY, NAME]["Status"] = status
    with pytest.raises(EnvironmentNotUsable, match=f"is {status}; accepted: AVAILABLE or UPDATE_FAILED"):
        call("remove", snapshot_id=SNAPSHOT, drained_at=BEFORE_THE_CUT)
    assert deletions(standalone) == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "snapshot_id is missing"),
        ({"snapshot_id": "newest"}, "snapshot_id is 'newest'"),
        ({"snapshot_id": SNAPSHOT, "drained_at": "noon"}, "drained_at is a string of another form"),
        ({"snapshot_id": SNAPSHOT, "poll_seconds": 0}, "poll_seconds is 0"),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(standalone: Account, fields: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        call("remove", **fields)
    assert not standalone.mwaa.calls


def test_a_resume_applies_what_was_published_during_the_sleep(standalone: Account) -> None:
    del standalone.mwaa.environments[SECONDARY, NAME]
    answer = call("ensure", snapshot_id=SNAPSHOT)
    assert (answer["outcome"], answer["spec_source"], answer["published_version"]) == ("creating", PUBLISHED, None)
    (created,) = standalone.mwaa.created
    assert (created["MaxWorkers"], created["AirflowVersion"]) == (9, "2.10.3")
    assert created["NetworkConfiguration"] == BINDING["NetworkConfiguration"]


def test_a_resume_keeps_the_version_of_the_snapshot_and_says_so(standalone: Account) -> None:
    """Failure covered: a history is restored into another schema than it came from."""
    del standalone.mwaa.environments[SECONDARY, NAME]
    published = spec.from_environment(environment(SECONDARY)) | {"AirflowVersion": "3.0.6"}
    standalone.put_json(PUBLISHED, published)
    assert call("hide", snapshot_id=SNAPSHOT) == {"outcome": "hidden"}
    hidden = standalone.s3.get_object(Bucket=DAGS, Key="dags/.airflowignore")["Body"].read()
    assert hidden.startswith(b"^[^c]\n"), "in the syntax of the version that runs"
    assert call("ensure", snapshot_id=SNAPSHOT)["published_version"] == "3.0.6"
    assert standalone.mwaa.created[0]["AirflowVersion"] == "2.10.3"


def test_without_a_published_spec_nothing_is_created(standalone: Account) -> None:
    del standalone.mwaa.environments[SECONDARY, NAME]
    standalone.s3.delete_object(Bucket=SNAPSHOTS, Key=PUBLISHED)
    with pytest.raises(BadSpec, match=f"{PUBLISHED} is missing in bucket {SNAPSHOTS}: terraform apply of {SECONDARY}"):
        call("ensure", snapshot_id=SNAPSHOT)
    assert not standalone.mwaa.created


def test_the_address_is_published(standalone: Account) -> None:
    answer = call("publish_url")
    assert answer == {
        "parameter": "/rehearsal-us-west-2/webserver-url",
        "url": "https://example.airflow.amazonaws.com",
    }
    assert call("publish_url") == answer
    stored = boto3.client("ssm", SECONDARY).get_parameter(Name=answer["parameter"])["Parameter"]
    assert (stored["Value"], stored["Type"], stored["Version"]) == (answer["url"], "String", 2)
    del standalone.mwaa.environments[SECONDARY, NAME]["WebserverUrl"]
    with pytest.raises(EnvironmentNotUsable, match="has no web server"):
        call("publish_url")
