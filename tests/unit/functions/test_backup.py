"""backup: who takes a snapshot when, how its DAG is started, and what verification finds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from mwaa_continuity import backup, snapshots
from mwaa_continuity.errors import (
    AwsRefused,
    BadInput,
    DagNotReady,
    DagRunIsOver,
    EnvironmentNotUsable,
    RestApiRefused,
    RestApiUnavailable,
    SnapshotRefused,
    Transient,
)
from tests.unit.functions.conftest import NAME, PRIMARY, SECONDARY, SNAPSHOTS, Account, environment

SNAPSHOT = "20261121T080000Z-0123abcd"
AT = "2026-11-21T08:15:00Z"
TOKEN = "t0ken-of-a-waiting-state"
PARSED = {"is_active": True, "is_paused": False, "has_import_errors": False}


def call(action: str, **fields: Any) -> dict[str, Any]:
    return backup.handler({"action": action, "request_id": "r-1", **fields}, None)


@pytest.fixture
def active(account: Account) -> Account:
    """This Region holds the lease, is live, and its environment runs."""
    account.set_lease(holder=SECONDARY, token=2)
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.mwaa.dags["continuity_snapshot"] = dict(PARSED)
    return account


def test_prepare_stores_the_spec_beside_the_snapshot(active: Account) -> None:
    answer = call("prepare", scheduled_at=AT)
    assert answer["outcome"] == "go"
    assert answer["snapshot_id"].startswith("20261121T081500Z-")
    stored = active.s3.get_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{answer['snapshot_id']}/spec.json")
    assert json.loads(stored["Body"].read())["MinWebservers"] == 2
    assert stored["Metadata"]["region"] == SECONDARY


def test_a_schedule_delivered_twice_is_one_snapshot(active: Account) -> None:
    first = call("prepare", scheduled_at=AT)
    again = call("prepare", scheduled_at=AT, request_id="r-2")
    assert (again["outcome"], again["snapshot_id"]) == ("duplicate", first["snapshot_id"])
    assert call("prepare", scheduled_at=AT)["outcome"] == "go", "the owner may ask again: its answer was lost"
    assert len(active.objects()) == 1


def test_by_hand_two_snapshots_of_one_second_differ(active: Account) -> None:
    assert active
    assert call("prepare", request_id="a")["snapshot_id"] != call("prepare", request_id="b")["snapshot_id"]


@pytest.mark.parametrize(
    ("lease", "why"),
    [
        ({"holder": PRIMARY}, "us-east-1 holds the lease"),
        ({"holder": SECONDARY, "live": False}, "the failover to this Region has not gone live"),
    ],
)
def test_only_the_live_holder_takes_snapshots(active: Account, lease: dict[str, Any], why: str) -> None:
    """Failure covered: no fencing: a Region that lost the lease goes on as if it had it."""
    active.set_lease(**lease)
    answer = call("prepare", scheduled_at=AT)
    assert (answer["outcome"], answer["why"]) == ("not_holder", why)
    assert not active.objects()


@pytest.mark.parametrize("status", ["UPDATING", "MAINTENANCE", "CREATING", "DELETING", "UNAVAILABLE"])
def test_no_snapshot_of_an_environment_that_is_not_available(active: Account, status: str) -> None:
    active.mwaa.environments[SECONDARY, NAME]["Status"] = status
    answer = call("prepare", scheduled_at=AT)
    assert (answer["outcome"], answer["why"]) == ("not_available", f"environment {NAME} is {status}")
    assert not active.objects()


def test_an_unknown_environment_is_named(account: Account) -> None:
    answer = call("prepare", scheduled_at=AT)
    assert answer["why"] == f"environment {NAME} does not exist in {SECONDARY}"
    with pytest.raises(EnvironmentNotUsable, match=f"environment {NAME} does not exist"):
        call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)
    assert not account.objects()


@pytest.mark.parametrize(("version", "more"), [("2.10.3", {}), ("3.0.6", {"logical_date": None})])
def test_start(active: Account, version: str, more: dict[str, Any]) -> None:
    active.mwaa.environments[SECONDARY, NAME]["AirflowVersion"] = version
    answer = call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)
    assert answer == {"outcome": "started", "run_id": "continuity__r-1"}
    conf = {"snapshot_id": SNAPSHOT, "request_id": "r-1"}
    body = active.mwaa.runs["continuity_snapshot", "continuity__r-1"]
    assert body == {"dag_run_id": "continuity__r-1", "conf": conf, **more}


def test_a_second_start_of_a_request_is_no_error_and_leaves_the_newer_token(active: Account) -> None:
    call("start", snapshot_id=SNAPSHOT, task_token="older")
    assert call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)["outcome"] == "already_started"
    work = active.s3.get_object(Bucket=SNAPSHOTS, Key=f"work/{NAME}/r-1.json")["Body"].read()
    assert json.loads(work) == {"task_token": TOKEN}
    assert len(active.mwaa.runs) == 1


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_run_that_is_over_is_not_waited_for(active: Account, state: str) -> None:
    """Failure covered: a failing clean-up never sends its task token: 60 minutes of waiting."""
    call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)
    ((_, run_id),) = active.mwaa.runs
    active.mwaa.runs["continuity_snapshot", run_id]["state"] = "running"
    assert call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)["outcome"] == "already_started"
    active.mwaa.runs["continuity_snapshot", run_id]["state"] = state
    with pytest.raises(DagRunIsOver, match=f"{run_id} of continuity_snapshot has ended"):
        call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)
    assert max(len(path) for operation, _, path in active.mwaa.calls if operation == "InvokeRestApi") <= 64


def test_a_list_that_is_not_whole_does_not_prove_that_a_run_is_over(active: Account) -> None:
    for number in range(101):
        active.mwaa.runs["continuity_snapshot", f"other-{number}"] = {"state": "queued"}
    call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)
    assert call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)["outcome"] == "already_started"


def test_the_token_is_in_one_object_and_nowhere_else(active: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Failure covered: bearer tokens and credentials in logs and XCom."""
    answer = call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)
    assert TOKEN not in capsys.readouterr().out
    assert TOKEN not in json.dumps(answer)
    assert TOKEN not in json.dumps(active.mwaa.runs["continuity_snapshot", "continuity__r-1"])
    bodies = {key: active.s3.get_object(Bucket=SNAPSHOTS, Key=key)["Body"].read() for key in active.objects()}
    holders = [key for key, body in bodies.items() if TOKEN.encode() in body]
    assert holders == [f"work/{NAME}/r-1.json"]


@pytest.mark.parametrize(
    ("dag", "why"),
    [
        (None, "continuity_snapshot is not parsed"),
        ({"is_paused": True}, "continuity_snapshot is paused"),
        ({"is_active": False}, "continuity_snapshot is not active"),
        ({"is_stale": True}, "continuity_snapshot is not active"),
        ({"has_import_errors": True}, "continuity_snapshot has import errors"),
    ],
)
def test_a_dag_that_could_not_run_is_not_started(active: Account, dag: dict[str, Any] | None, why: str) -> None:
    """Failure covered: the DAG is triggered right after AVAILABLE, before it is parsed."""
    active.mwaa.dags.pop("continuity_snapshot")
    if dag is not None:
        active.mwaa.dags["continuity_snapshot"] = PARSED | dag
    with pytest.raises(DagNotReady, match=why):
        call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)
    assert not active.objects()
    assert not active.mwaa.runs


@pytest.mark.parametrize(
    ("failure", "error", "message"),
    [
        (
            (400, {"RestApiStatusCode": 503, "RestApiResponse": {}}, "RestApiServerException"),
            RestApiUnavailable,
            "GET /dags/continuity_snapshot: RestApiServerException, HTTP status 503",
        ),
        (
            (400, {"RestApiStatusCode": 400, "RestApiResponse": {}}, "RestApiClientException"),
            RestApiRefused,
            "RestApiClientException, HTTP status 400",
        ),
        ((403, {"message": "no"}, "AccessDeniedException"), RestApiRefused, "AccessDeniedException"),
        ((500, {"message": "no"}, "InternalServerException"), RestApiUnavailable, "InternalServerException"),
    ],
)
def test_errors_of_the_rest_api(active: Account, failure: Any, error: type[Exception], message: str) -> None:
    active.mwaa.failures["InvokeRestApi"] = failure
    with pytest.raises(error, match=message):
        call("start", snapshot_id=SNAPSHOT, task_token=TOKEN)


@pytest.mark.parametrize(("mode", "metric"), [("full", 0.0), ("portable", 1.0)])
def test_the_mode_is_told(account: Account, mode: str, metric: float) -> None:
    """Failure covered: snapshots hold no history any more, and nobody knows."""
    account.snapshot(SNAPSHOT, mode=mode)
    assert call("verify", snapshot_id=SNAPSHOT)["mode"] == mode
    assert account.published("SnapshotPortable") == [metric]


def test_verify(account: Account) -> None:
    account.snapshot(SNAPSHOT)
    answer = call("verify", snapshot_id=SNAPSHOT)
    assert (answer["objects"], answer["rows"], answer["base"]) == (5, 1004, None)
    assert answer["cut_at"] == "2026-11-21T08:00:05+00:00"
    cut = datetime(2026, 11, 21, 8, 0, 5, tzinfo=UTC).timestamp()
    assert abs(answer["age_seconds"] - max(0, time.time() - cut)) < 10
    sizes = [
        item["Size"]
        for item in account.s3.list_objects_v2(Bucket=SNAPSHOTS)["Contents"]
        if not item["Key"].endswith(("manifest.json", "verification.json"))
    ]
    assert answer["bytes"] == sum(sizes)
    assert account.published("SnapshotDurationSeconds") == [10.5]


def without_object(account: Account, folder: str, _manifest: dict[str, Any]) -> None:
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=folder + "dag_run.state.copy.gz")


def without_manifest(account: Account, folder: str, _manifest: dict[str, Any]) -> None:
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=folder + "manifest.json")


def without_spec(account: Account, folder: str, _manifest: dict[str, Any]) -> None:
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=folder + "spec.json")


def flipped_byte(account: Account, folder: str, _manifest: dict[str, Any]) -> None:
    key = folder + "variable.sealed"
    body = bytearray(account.s3.get_object(Bucket=SNAPSHOTS, Key=key)["Body"].read())
    body[100] ^= 1
    account.s3.put_object(Bucket=SNAPSHOTS, Key=key, Body=bytes(body))


def truncated(account: Account, folder: str, _manifest: dict[str, Any]) -> None:
    account.s3.put_object(Bucket=SNAPSHOTS, Key=folder + "log.history.copy.gz", Body=b"short")


def key_of_another_snapshot(account: Account, folder: str, manifest: dict[str, Any]) -> None:
    other = account.snapshot("20261121T081500Z-0123abcd")
    account.put_json(folder + "manifest.json", manifest | {"encryption": other["encryption"]})


def bad_when_read_back(account: Account, _folder: str, _manifest: dict[str, Any]) -> None:
    account.verification(SNAPSHOT, ("variable.sealed", "not sealed by this key"), ("log.history.copy.gz", "rows"))


def not_read_back(account: Account, folder: str, _manifest: dict[str, Any]) -> None:
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=folder + "verification.json")


def read_back_as_another(account: Account, folder: str, _manifest: dict[str, Any]) -> None:
    account.put_json(folder + "verification.json", {"format": 1, "snapshot_id": "another", "faults": []})


def garbled_verification(account: Account, folder: str, _manifest: dict[str, Any]) -> None:
    account.put_json(folder + "verification.json", {"format": 1, "snapshot_id": SNAPSHOT, "faults": [1]})


def other_environment(account: Account, folder: str, manifest: dict[str, Any]) -> None:
    account.put_json(folder + "manifest.json", manifest | {"environment": "other"})


def other_format(account: Account, folder: str, manifest: dict[str, Any]) -> None:
    account.put_json(folder + "manifest.json", manifest | {"format": 1})


def escaping_name(account: Account, folder: str, manifest: dict[str, Any]) -> None:
    manifest["tables"][0]["objects"][0]["name"] = "../x"
    account.put_json(folder + "manifest.json", manifest)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (without_object, "dag_run.state.copy.gz is missing"),
        (without_manifest, "manifest.json is missing: it is not complete"),
        (without_spec, "spec.json is missing"),
        (flipped_byte, "variable.sealed was altered: its SHA-256 differs"),
        (truncated, r"log.history.copy.gz has 5 bytes, not \d+"),
        (key_of_another_snapshot, "KMS does not decrypt its data key"),
        (other_environment, "its manifest belongs to snapshot .* of other"),
        (other_format, "manifest.json is not of format 2: ValueError format is 1"),
        (escaping_name, "an object's name is no file name"),
        (
            bad_when_read_back,
            "damaged when it was read back: variable.sealed: not sealed .*; log.history.copy.gz: rows",
        ),
        (not_read_back, "was not read back"),
        (read_back_as_another, "verification.json is of another snapshot"),
        (garbled_verification, "verification.json cannot be understood"),
    ],
)
def test_a_snapshot_that_is_not_whole_is_refused_by_name(
    account: Account, harm: Callable[[Account, str, dict[str, Any]], None], message: str
) -> None:
    """Failure covered: a truncated backup replaces the good one; the backup is not checked for completeness."""
    manifest = account.snapshot(SNAPSHOT)
    harm(account, f"snapshots/{NAME}/{SNAPSHOT}/", manifest)
    with pytest.raises(SnapshotRefused, match=f"snapshot {SNAPSHOT}:? .*{message}"):
        call("verify", snapshot_id=SNAPSHOT)


DELTA = "20261121T081500Z-4567cdef"


def test_a_delta_costs_what_it_holds_itself(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: proving a snapshot every minute reads the whole history every minute."""
    account.snapshot(SNAPSHOT)
    account.delta(DELTA, SNAPSHOT)
    whole = call("verify", snapshot_id=SNAPSHOT)
    read = []
    fault_of = snapshots.fault_of

    def watched(s3: Any, bucket: str, folder: str, claim: Any) -> str | None:
        read.append(folder)
        return fault_of(s3, bucket, folder, claim)

    monkeypatch.setattr(snapshots, "fault_of", watched)
    answer = call("verify", snapshot_id=DELTA)
    assert (answer["base"], answer["objects"], answer["rows"]) == (SNAPSHOT, 5, 1994)
    assert read == [f"snapshots/{NAME}/{DELTA}/"] * 4
    assert answer["bytes"] < whole["bytes"], "what lies in the base is counted there"


def base_lacks_the_object(account: Account, base: str) -> None:
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=base + "log.history.copy.gz")


def base_has_another_object(account: Account, base: str) -> None:
    account.s3.put_object(Bucket=SNAPSHOTS, Key=base + "log.history.copy.gz", Body=b"short")


def base_was_not_read_back(account: Account, base: str) -> None:
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=base + "verification.json")


def base_was_damaged(account: Account, _base: str) -> None:
    account.verification(SNAPSHOT, ("log.history.copy.gz", "rows"))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (base_lacks_the_object, f"snapshot {DELTA}: in its base {SNAPSHOT} log.history.copy.gz is missing"),
        (base_has_another_object, rf"in its base {SNAPSHOT} log.history.copy.gz has 5 bytes, not \d+"),
        (base_was_not_read_back, f"snapshot {DELTA}: its base {SNAPSHOT} was not read back"),
        (base_was_damaged, f"snapshot {SNAPSHOT} was damaged when it was read back: log.history.copy.gz: rows"),
    ],
)
def test_a_delta_is_no_better_than_its_base(
    account: Account, harm: Callable[[Account, str], None], message: str
) -> None:
    """Failure covered: a base expires, or is altered, and its deltas are still counted as good."""
    account.snapshot(SNAPSHOT)
    account.delta(DELTA, SNAPSHOT)
    harm(account, f"snapshots/{NAME}/{SNAPSHOT}/")
    with pytest.raises(SnapshotRefused, match=message):
        call("verify", snapshot_id=DELTA)


def test_a_delta_does_not_need_what_it_does_not_take_of_its_base(account: Account) -> None:
    account.snapshot(SNAPSHOT)
    account.delta(DELTA, SNAPSHOT)
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{SNAPSHOT}/variable.sealed")
    assert call("verify", snapshot_id=DELTA)["base"] == SNAPSHOT


@pytest.mark.parametrize(
    ("base", "folder", "message"),
    [
        (SNAPSHOT, "20261121T070000Z-0123abcd", "an object lies neither in its folder nor in its base's"),
        (SNAPSHOT, "../..", "an object lies neither in its folder nor in its base's"),
        (None, SNAPSHOT, "an object lies neither in its folder nor in its base's"),
        ("..", "..", "its base is no other snapshot"),
        (DELTA, DELTA, "its base is no other snapshot"),
        (5, SNAPSHOT, "TypeError"),
    ],
)
def test_a_manifest_points_nowhere_else(account: Account, base: Any, folder: str, message: str) -> None:
    account.snapshot(SNAPSHOT)
    manifest = account.delta(DELTA, SNAPSHOT)
    manifest["base"] = base
    manifest["tables"][1]["objects"][1]["snapshot_id"] = folder
    account.put_json(f"snapshots/{NAME}/{DELTA}/manifest.json", manifest)
    with pytest.raises(SnapshotRefused, match=message):
        call("verify", snapshot_id=DELTA)


def test_an_empty_bucket_has_no_such_snapshot(account: Account) -> None:
    assert not account.objects()
    with pytest.raises(SnapshotRefused, match=r"manifest.json is missing"):
        call("verify", snapshot_id=SNAPSHOT)


def test_a_bucket_that_is_not_there_is_refused_clearly(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    assert account
    monkeypatch.setenv("SNAPSHOT_BUCKET", "no-such-bucket")
    with pytest.raises((AwsRefused, SnapshotRefused), match="NoSuchBucket"):
        call("verify", snapshot_id=SNAPSHOT)


def test_a_service_that_does_not_answer_is_transient(active: Account, dead: Callable[..., None]) -> None:
    dead(SECONDARY, "dynamodb")
    with pytest.raises(Transient, match="EndpointConnectionError"):
        call("prepare", scheduled_at=AT)
    assert not active.objects()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "action is missing; accepted: one of drain, may_be_destroyed, prepare, start, undrain, verify"),
        ({"action": "prepare", "scheduled_at": 5}, "scheduled_at is a number; accepted: an instant such as"),
        ({"action": "verify"}, "snapshot_id is missing; accepted: YYYYMMDDTHHMMSSZ-<8 hex digits>"),
        ({"action": "verify", "snapshot_id": "../../x"}, "snapshot_id is '../../x'"),
        ({"action": "start", "snapshot_id": SNAPSHOT, "task_token": TOKEN}, "request_id is missing"),
        ({"action": "start", "snapshot_id": SNAPSHOT, "request_id": "r"}, "task_token is missing"),
        ({"action": "start", "snapshot_id": SNAPSHOT, "request_id": "r", "task_token": {}}, "task_token is an object"),
        ({"action": "start", "request_id": "a/b"}, "request_id is not of that form"),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(account: Account, event: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        backup.handler(event, None)
    assert not account.mwaa.calls
    assert not account.objects()


def test_a_drain_is_started_with_its_limits_and_put_back_without(active: Account) -> None:
    active.mwaa.dags |= {"continuity_drain": dict(PARSED), "continuity_undrain": dict(PARSED)}
    call("drain", minutes=30, when_late="cancel", task_token=TOKEN)
    call("undrain", request_id="r-2", task_token=TOKEN)
    confs = {dag_id: run["conf"] for (dag_id, _), run in active.mwaa.runs.items()}
    assert confs == {
        "continuity_drain": {"request_id": "r-1", "minutes": 30, "when_late": "cancel"},
        "continuity_undrain": {"request_id": "r-2"},
    }
    assert sorted(active.objects()) == [f"work/{NAME}/r-1.json", f"work/{NAME}/r-2.json"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"when_late": "cancel"}, "minutes is missing; accepted: a whole number from 0 to 1440"),
        ({"minutes": 30}, "when_late is missing; accepted: cancel, snapshot"),
        ({"minutes": 30, "when_late": "wait"}, "when_late is another word; accepted: cancel, snapshot"),
    ],
)
def test_a_drain_without_its_limits_is_refused(active: Account, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        call("drain", task_token=TOKEN, **fields)
    assert not active.objects()
