"""restore: which snapshot, whether the metadata DAGs are there, and how they are started."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from mwaa_continuity import restore, snapshots
from mwaa_continuity.errors import BadInput, NoSnapshot, SnapshotRefused
from tests.unit.functions.conftest import NAME, SECONDARY, SNAPSHOTS, Account, environment

OLD, GOOD, NEW = "20261121T074500Z-0000aaaa", "20261121T080000Z-1111bbbb", "20261121T081500Z-2222cccc"
PARSED = {"is_active": True, "is_paused": False}


def call(action: str, **fields: Any) -> dict[str, Any]:
    return restore.handler({"action": action, "request_id": "r-1", **fields}, None)


def test_the_newest_snapshot(account: Account) -> None:
    account.snapshot(OLD)
    account.snapshot(GOOD)
    answer = call("select")
    assert (answer["snapshot_id"], answer["rejected"]) == (GOOD, [])
    cut = datetime.fromisoformat(answer["cut_at"])
    assert abs(answer["rpo_seconds"] - max(0, time.time() - cut.timestamp())) < 10


def test_the_rpo_is_the_age_of_the_cut(account: Account) -> None:
    cut = datetime.fromtimestamp(int(time.time()) - 600, UTC)
    account.snapshot(GOOD, cut_at=cut.isoformat())
    assert 600 <= call("select")["rpo_seconds"] <= 610


def test_an_altered_or_unfinished_snapshot_gives_way_to_the_next_older(account: Account) -> None:
    """Failure covered: a truncated backup replaces the good one."""
    account.snapshot(OLD)
    account.snapshot(GOOD)
    account.snapshot(NEW)
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{NEW}/manifest.json")
    account.s3.put_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{GOOD}/variable.sealed", Body=b"x" * 600)
    account.s3.put_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/not-a-snapshot/x", Body=b"x")
    answer = call("select")
    assert answer["snapshot_id"] == OLD
    assert [item["snapshot_id"] for item in answer["rejected"]] == [NEW, GOOD]
    assert "manifest.json is missing" in answer["rejected"][0]["why"]
    assert "variable.sealed was altered" in answer["rejected"][1]["why"]


def test_a_snapshot_known_to_be_bad_gives_way_and_one_not_read_back_yet_does_not(account: Account) -> None:
    """Failure covered: a failover restores a snapshot whose verification had failed; or loses a good one because the
    Region died before it was read back."""
    for snapshot_id in (OLD, GOOD, NEW):
        account.snapshot(snapshot_id)
    account.verification(NEW, ("variable.sealed", "it was not sealed by this snapshot's key"))
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{GOOD}/verification.json")
    answer = call("select")
    assert (answer["snapshot_id"], [item["snapshot_id"] for item in answer["rejected"]]) == (GOOD, [NEW])
    assert "variable.sealed: it was not sealed" in answer["rejected"][0]["why"]
    with pytest.raises(SnapshotRefused, match=f"snapshot {NEW} was damaged when it was read back"):
        call("select", snapshot_id=NEW)


def test_an_altered_base_is_read_once_and_its_deltas_give_way(account: Account, monkeypatch: Any) -> None:
    """Failure covered: the base arrived altered, and every one of a day's deltas reads it again."""
    newer = "20261121T083000Z-5555dddd"
    account.snapshot(OLD)
    account.snapshot(GOOD)
    account.delta(NEW, GOOD)
    account.delta(newer, GOOD)
    key = f"snapshots/{NAME}/{GOOD}/log.history.copy.gz"
    body = bytearray(account.s3.get_object(Bucket=SNAPSHOTS, Key=key)["Body"].read())
    body[-1] ^= 1
    account.s3.put_object(Bucket=SNAPSHOTS, Key=key, Body=bytes(body))
    read = []
    fault_of = snapshots.fault_of

    def watched(s3: Any, bucket: str, folder: str, claim: Any) -> str | None:
        read.append(folder + claim.name)
        return fault_of(s3, bucket, folder, claim)

    monkeypatch.setattr(snapshots, "fault_of", watched)
    answer = call("select")
    assert (answer["snapshot_id"], [item["snapshot_id"] for item in answer["rejected"]]) == (OLD, [newer, NEW, GOOD])
    assert f"in its base {GOOD} log.history.copy.gz was altered" in answer["rejected"][0]["why"]
    assert read.count(key) == 1


def test_a_delta_is_taken_before_its_base_was_read_back_and_not_after_that_failed(account: Account) -> None:
    account.snapshot(OLD)
    account.snapshot(GOOD)
    account.delta(NEW, GOOD)
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{GOOD}/verification.json")
    assert call("select")["snapshot_id"] == NEW
    account.verification(GOOD, ("log.history.copy.gz", "it has 1 rows"))
    answer = call("select")
    assert (answer["snapshot_id"], [item["snapshot_id"] for item in answer["rejected"]]) == (OLD, [NEW, GOOD])


def test_a_snapshot_that_is_asked_for_and_not_whole_is_refused_by_name(account: Account) -> None:
    account.snapshot(GOOD)
    account.snapshot(NEW)
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{NEW}/spec.json")
    assert call("select", snapshot_id=GOOD)["snapshot_id"] == GOOD
    with pytest.raises(SnapshotRefused, match=f"snapshot {NEW}: spec.json is missing"):
        call("select", snapshot_id=NEW)


@pytest.mark.parametrize(("status", "chosen"), [("AVAILABLE", GOOD), ("CREATING", GOOD), ("DELETED", NEW), (None, NEW)])
def test_a_later_attempt_takes_up_the_recorded_snapshot(account: Account, status: str | None, chosen: str) -> None:
    """Failure covered: a resumed failover chooses a newer snapshot and is refused for ever."""
    account.snapshot(GOOD)
    account.snapshot(NEW)
    if status:
        account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY, status)
    assert call("select", recorded=GOOD)["snapshot_id"] == chosen
    assert call("select", recorded=GOOD, snapshot_id=NEW)["snapshot_id"] == NEW
    assert call("select", recorded=None)["snapshot_id"] == NEW


def test_a_recorded_snapshot_that_went_bad_gives_way(account: Account) -> None:
    account.snapshot(OLD)
    account.snapshot(GOOD)
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{OLD}/manifest.json")
    answer = call("select", recorded=OLD)
    assert (answer["snapshot_id"], [item["snapshot_id"] for item in answer["rejected"]]) == (GOOD, [OLD])


def test_a_portable_snapshot_gives_way_to_a_full_one_that_is_little_older(account: Account) -> None:
    """Failure covered: a database out of reach for a moment, and the failover restores no history."""
    account.snapshot(GOOD)
    account.snapshot(NEW, mode="portable")
    answer = call("select")
    assert (answer["snapshot_id"], answer["restore_mode"]) == (GOOD, "full")
    assert answer["rejected"] == [{"snapshot_id": NEW, "why": f"it is portable, and {GOOD} is full and little older"}]
    asked = call("select", snapshot_id=NEW)
    assert (asked["snapshot_id"], asked["restore_mode"]) == (NEW, "portable")


def test_where_snapshots_are_portable_the_newest_is_restored_as_such(account: Account) -> None:
    """Failure covered: an environment whose tasks never reach the database cannot fail over at all."""
    long_ago = "20261121T061459Z-3333dddd"
    account.snapshot(long_ago)
    account.snapshot(GOOD, mode="portable")
    account.snapshot(NEW, mode="portable")
    answer = call("select")
    assert (answer["snapshot_id"], answer["restore_mode"], answer["rejected"]) == (NEW, "portable", [])


def test_the_mode_of_the_restore_can_be_asked_for(account: Account) -> None:
    account.snapshot(GOOD)
    assert call("select", restore_mode="portable")["restore_mode"] == "portable"
    with pytest.raises(BadInput, match="restore_mode is another word; accepted: full, portable, or null"):
        call("select", restore_mode="half")


def test_a_manifest_of_an_unknown_mode_is_refused(account: Account) -> None:
    account.snapshot(NEW, mode="half")
    with pytest.raises(SnapshotRefused, match="its mode is not known here"):
        call("select", snapshot_id=NEW)


def test_an_empty_bucket_says_so(account: Account) -> None:
    assert not account.objects()
    with pytest.raises(NoSnapshot, match=f"no snapshot of {NAME} in bucket {SNAPSHOTS} can be restored: there is none"):
        call("select")


def test_only_bad_snapshots_say_why(account: Account) -> None:
    account.snapshot(NEW)
    account.s3.delete_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{NEW}/manifest.json")
    with pytest.raises(NoSnapshot, match=f"snapshot {NEW}: manifest.json is missing"):
        call("select")


@pytest.fixture
def parsed(account: Account) -> Account:
    account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    account.mwaa.dags |= {"continuity_restore": dict(PARSED), "continuity_go_live": dict(PARSED)}
    return account


def test_ready(parsed: Account) -> None:
    assert parsed
    assert call("ready") == {"ready": True, "expired": False, "why": ""}


def test_not_ready_until_both_dags_are_parsed(parsed: Account) -> None:
    """Failure covered: restoring before DAGs are parsed."""
    del parsed.mwaa.dags["continuity_go_live"]
    parsed.mwaa.dags["continuity_restore"]["is_paused"] = True
    answer = call("ready")
    assert answer["ready"] is False
    assert answer["why"] == "continuity_restore is paused; continuity_go_live is not parsed"


@pytest.mark.parametrize(
    "failure",
    [
        (400, {"RestApiStatusCode": 502, "RestApiResponse": {}}, "RestApiServerException"),
        (403, {"message": "not yet"}, "AccessDeniedException"),
        (500, {"message": "starting"}, "InternalServerException"),
    ],
)
def test_a_web_server_that_still_starts_is_no_error(parsed: Account, failure: Any) -> None:
    parsed.mwaa.failures["InvokeRestApi"] = failure
    answer = call("ready")
    assert answer["ready"] is False
    assert failure[2] in answer["why"]


def test_a_service_that_refuses_connections_is_no_error(parsed: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_MWAA", "http://127.0.0.1:1")
    assert parsed
    answer = call("ready")
    assert answer["ready"] is False
    assert "EndpointConnectionError" in answer["why"]


@pytest.mark.parametrize(("seconds", "expired"), [(100, True), (10_000, False)])
def test_waiting_ends(account: Account, seconds: int, expired: bool) -> None:
    assert not account.mwaa.environments
    since = datetime.fromtimestamp(time.time() - 200, UTC).isoformat()
    answer = call("ready", waiting_since=since, deadline_seconds=seconds)
    assert (answer["ready"], answer["expired"]) == (False, expired)
    assert answer["why"] == f"environment {NAME} does not exist in this Region"


def test_start_and_go_live(parsed: Account) -> None:
    call("start", snapshot_id=GOOD, task_token="a")
    call("go_live", snapshot_id=GOOD, task_token="b", parse_deadline_seconds=900, request_id="r-2")
    assert parsed.mwaa.runs["continuity_restore", "continuity__r-1"]["conf"] == {
        "snapshot_id": GOOD,
        "request_id": "r-1",
    }
    assert parsed.mwaa.runs["continuity_go_live", "continuity__r-2"]["conf"] == {
        "snapshot_id": GOOD,
        "request_id": "r-2",
        "parse_deadline_seconds": 900,
    }
    assert parsed.objects() == [f"work/{NAME}/r-1.json", f"work/{NAME}/r-2.json"]


def test_a_start_says_whether_what_ran_may_be_replaced(parsed: Account) -> None:
    call("start", snapshot_id=GOOD, task_token="a", replace=True, request_id="r-1")
    call("start", snapshot_id=GOOD, task_token="a", replace=None, request_id="r-2")
    conf = {run_id: run["conf"] for (_, run_id), run in parsed.mwaa.runs.items()}
    assert conf["continuity__r-1"]["replace"] is True
    assert "replace" not in conf["continuity__r-2"]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            {},
            "action is missing; accepted: one of "
            "go_live, interrupted, look, ready, refresh, refreshed, select, smoke, start",
        ),
        ({"action": "select", "snapshot_id": "newest"}, "snapshot_id is 'newest'"),
        ({"action": "select", "recorded": "newest"}, "recorded is 'newest'; accepted: YYYYMMDDTHHMMSSZ"),
        ({"action": "select", "snapshot_id": ""}, "snapshot_id is an empty string"),
        ({"action": "ready", "waiting_since": "noon"}, "waiting_since is a string of another form"),
        ({"action": "ready", "deadline_seconds": 1.5}, "deadline_seconds is a number; accepted: a whole number"),
        ({"action": "start", "snapshot_id": GOOD, "request_id": "r"}, "task_token is missing"),
        (
            {"action": "start", "snapshot_id": GOOD, "request_id": "r", "task_token": "t", "replace": "yes"},
            "replace is",
        ),
        (
            {"action": "go_live", "snapshot_id": GOOD, "request_id": "r", "task_token": "t"},
            "parse_deadline_seconds is missing; accepted: a whole number from 1 to 86400",
        ),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(account: Account, event: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        restore.handler(event, None)
    assert not account.mwaa.calls
    assert not account.objects()
