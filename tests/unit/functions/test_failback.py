"""The failback as the primary asks for it: when it may begin, what it starts, what it carries over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto.s3 import models
from moto.s3.models import s3_backends

from mwaa_continuity import dag_changes, failback, lease, snapshot_copy, snapshots, visibility
from mwaa_continuity.errors import HandOverFailed, PutBackFailed, SnapshotRefused, StandDownFailed
from tests.local_aws.patches import s3 as s3_patches
from tests.unit.functions.conftest import DAGS, NAME, PRIMARY, SECONDARY, SNAPSHOTS, VARIABLES, Account, environment
from tests.unit.functions.two_regions import (
    DAGS_HERE,
    PRIMARY_VARIABLES,
    SNAPSHOTS_HERE,
    Primary,
    snapshot_keys,
)

BASE, SNAPSHOT = "20261121T070000Z-1111aaaa", "20261121T080000Z-2222bbbb"
LONG_AGO = int(time.time()) - 100_000


@pytest.fixture
def primary(account: Account, monkeypatch: pytest.MonkeyPatch) -> Primary:
    """After a failover, with both environments there; the function runs in the primary."""
    made = Primary(account)
    for name, value in (VARIABLES | PRIMARY_VARIABLES).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(models.FakeKey, "response_dict", models.FakeKey.response_dict)
    s3_patches.replication_status()
    account.set_lease(holder=SECONDARY, token=2, since=LONG_AGO)
    for region in (PRIMARY, SECONDARY):
        account.mwaa.environments[region, NAME] = environment(region)
    return made


def machine(name: str, region: str) -> str:
    """A machine; moto leaves its executions running until they are stopped."""
    return str(
        boto3.client("stepfunctions", region).create_state_machine(
            name=name,
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/machine",
        )["stateMachineArn"]
    )


@pytest.fixture
def execution(primary: Primary) -> str:
    """A failback that is at work."""
    assert primary
    states = boto3.client("stepfunctions", PRIMARY)
    return str(
        states.start_execution(stateMachineArn=machine("rehearsal-failback", PRIMARY), name="one")["executionArn"]
    )


def call(action: str, **fields: Any) -> dict[str, Any]:
    return failback.handler({"action": action, **fields}, None)


def test_it_may_begin_where_the_other_region_is_live(primary: Primary, execution: str) -> None:
    assert primary
    assert call("begin", execution=execution) == {
        "outcome": "go",
        "why": "",
        "environment": "there",
        "since": LONG_AGO,
        "snapshot_id": None,
    }


@pytest.mark.parametrize(
    ("item", "outcome", "why"),
    [
        ({"holder": PRIMARY, "token": 3}, "already_live", ""),
        ({"locked": True}, "refused", "lock"),
        ({"live": False}, "refused", "the failover to us-west-2 has not gone live"),
        ({"since": int(time.time()) - 60}, "refused", "within the cool-down"),
        ({"holder": "eu-west-1"}, "refused", "eu-west-1 holds the lease"),
        ({"holder": PRIMARY, "live": False, "snapshot_id": SNAPSHOT}, "resume", ""),
        ({"holder": PRIMARY, "live": False, "locked": True}, "refused", "lock"),
    ],
)
def test_what_the_lease_says(primary: Primary, execution: str, item: dict[str, Any], outcome: str, why: str) -> None:
    primary.account.set_lease(**({"holder": SECONDARY, "token": 2, "since": LONG_AGO} | item))
    before = primary.account.lease()
    answer = call("begin", execution=execution)
    assert (answer["outcome"], answer["snapshot_id"]) == (outcome, item.get("snapshot_id"))
    assert why in answer["why"]
    assert primary.account.lease() == before


def test_force_overrides_the_cool_down(primary: Primary, execution: str) -> None:
    primary.account.set_lease(holder=SECONDARY, token=2, since=int(time.time()))
    assert call("begin", execution=execution, force=True)["outcome"] == "go"


def test_of_two_failbacks_the_first_goes_on(primary: Primary, execution: str) -> None:
    """Failure covered: two failbacks drain and snapshot at the same time."""
    assert primary
    states = boto3.client("stepfunctions", PRIMARY)
    arn = execution.replace(":execution:", ":stateMachine:").rsplit(":", 1)[0]
    second = str(states.start_execution(stateMachineArn=arn, name="two")["executionArn"])
    assert call("begin", execution=execution)["outcome"] == "go"
    answer = call("begin", execution=second)
    assert (answer["outcome"], answer["why"]) == ("refused", "another failback is at work: one")
    states.stop_execution(executionArn=execution)
    assert call("begin", execution=second)["outcome"] == "go"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((None, "AVAILABLE", "lifecycle"), ("go", "")),
        ((None, "AVAILABLE", "terraform"), ("refused", "terraform apply")),
        (("UPDATE_FAILED", "AVAILABLE", "terraform"), ("go", "")),
        (("UPDATING", "AVAILABLE", "terraform"), ("refused", "its environment here is UPDATING")),
        (("AVAILABLE", None, "terraform"), ("refused", "in the other Region is gone")),
        (("AVAILABLE", "DELETING", "terraform"), ("refused", "in the other Region is DELETING")),
    ],
)
def test_what_the_environments_say(
    primary: Primary,
    execution: str,
    monkeypatch: pytest.MonkeyPatch,
    said: tuple[str | None, str | None, str],
    expected: tuple[str, str],
) -> None:
    here, there, owner = said
    outcome, why = expected
    monkeypatch.setenv("ENVIRONMENT_OWNER", owner)
    for region, status in ((PRIMARY, here), (SECONDARY, there)):
        environments = primary.account.mwaa.environments
        environments.pop((region, NAME))
        if status:
            environments[region, NAME] = environment(region, status)
    answer = call("begin", execution=execution)
    assert (answer["outcome"], answer["environment"]) == (outcome, "there" if here else "absent")
    assert why in answer["why"]


def test_after_the_lease_moved_the_other_region_is_not_asked(primary: Primary, execution: str) -> None:
    primary.account.set_lease(holder=PRIMARY, token=3, live=False, snapshot_id=SNAPSHOT)
    del primary.account.mwaa.environments[SECONDARY, NAME]
    assert call("begin", execution=execution)["outcome"] == "resume"


def test_the_lease_is_taken_at_home_with_its_snapshot(primary: Primary, execution: str) -> None:
    """Failure covered: a failback that ends after the lease leaves nobody who knows what to restore."""
    answer = lease.handler(
        {"action": "take", "execution": execution, "reason": "failback", "snapshot_id": SNAPSHOT}, None
    )
    assert (answer["outcome"], answer["token"], answer["snapshot_id"]) == ("taken", 3, SNAPSHOT)
    item = primary.account.lease()
    assert (item["holder"], item["snapshot_id"], item["live"]) == (PRIMARY, SNAPSHOT, False)


@pytest.fixture
def started(primary: Primary) -> Callable[[str], list[dict[str, Any]]]:
    """The machines of the secondary; answers the executions of one."""
    assert primary
    arns = {name: machine(f"rehearsal-{name}", SECONDARY) for name in ("hand_over", "stand_down")}
    states = boto3.client("stepfunctions", SECONDARY)

    def executions(name: str) -> list[dict[str, Any]]:
        found = states.list_executions(stateMachineArn=arns[name])["executions"]
        return [states.describe_execution(executionArn=each["executionArn"]) for each in found]

    return executions


Started = Callable[[str], list[dict[str, Any]]]


def end(
    monkeypatch: pytest.MonkeyPatch, status: str, *, only: str = "", output: Any = None, error: str = "Broken"
) -> None:
    """Let Step Functions say that executions whose names begin like that ended."""
    real = failback.peer_executions.states

    class Ended:
        def __init__(self) -> None:
            self.real = real()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def describe_execution(self, executionArn: str) -> dict[str, Any]:
            answer: dict[str, Any] = self.real.describe_execution(executionArn=executionArn)
            if not executionArn.rsplit(":", 1)[-1].startswith(only):
                return answer
            told = {"output": json.dumps(output)} if status == "SUCCEEDED" else {"error": error, "cause": "as it says"}
            return answer | {"status": status} | told

    monkeypatch.setattr(failback.peer_executions, "states", Ended)


def test_a_hand_over_is_started_once_and_followed(
    execution: str, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert call("hand_over", execution=execution) == {"outcome": "running", "snapshot_id": None}
    (one,) = started("hand_over")
    assert json.loads(one["input"]) == {"operation": "hand_over"}
    end(monkeypatch, "SUCCEEDED", output={"handed_over": {"snapshot_id": SNAPSHOT, "cut_at": "x"}})
    assert call("hand_over", execution=execution) == {"outcome": "done", "snapshot_id": SNAPSHOT}
    assert len(started("hand_over")) == 1
    assert call("hand_over", execution=execution + "-other")["outcome"] == "running"
    assert len(started("hand_over")) == 2


def test_a_hand_over_that_failed_says_why(execution: str, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    call("hand_over", execution=execution)
    end(monkeypatch, "FAILED", error="Continuity.DrainFailed")
    with pytest.raises(HandOverFailed, match=r"rehearsal-hand_over in us-west-2 ended as FAILED: Continuity.DrainF"):
        call("hand_over", execution=execution)
    assert len(started("hand_over")) == 1
    assert call("put_back", execution=execution) == {"outcome": "done"}, "it put everything back by itself"
    assert len(started("hand_over")) == 1


@pytest.mark.parametrize(("status", "error"), [("SUCCEEDED", ""), ("TIMED_OUT", ""), ("FAILED", "LeftPaused")])
def test_what_was_drained_is_put_back_once(
    execution: str, started: Started, monkeypatch: pytest.MonkeyPatch, status: str, error: str
) -> None:
    """Failure covered: a failback fails after the drain, and nobody unpauses the active Region."""
    assert call("put_back", execution=execution) == {"outcome": "done"}, "nothing was handed over"
    call("hand_over", execution=execution)
    assert call("put_back", execution=execution) == {"outcome": "running"}, "what is at work is let end first"
    assert len(started("hand_over")) == 1
    end(monkeypatch, status, only="hand-over", output={}, error=error)
    for _ in range(2):
        assert call("put_back", execution=execution) == {"outcome": "running"}
    inputs = sorted(json.loads(each["input"])["operation"] for each in started("hand_over"))
    assert inputs == ["hand_over", "put_back"]


def test_what_could_not_be_put_back_is_told(execution: str, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    call("hand_over", execution=execution)
    end(monkeypatch, "SUCCEEDED", only="hand-over", output={})
    call("put_back", execution=execution)
    end(monkeypatch, "FAILED", only="put-back", error="LeftPaused")
    with pytest.raises(PutBackFailed, match="LeftPaused"):
        call("put_back", execution=execution)
    assert len(started("hand_over")) == 2


def test_after_the_lease_moved_nothing_is_put_back(
    primary: Primary, execution: str, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failure covered: the answer of `take` is lost, and both Regions run."""
    call("hand_over", execution=execution)
    end(monkeypatch, "SUCCEEDED", output={})
    primary.account.set_lease(holder=PRIMARY, token=3, live=False)
    assert call("put_back", execution=execution) == {"outcome": "done"}
    assert len(started("hand_over")) == 1


def test_what_hides_dags_here_is_let_arrive_there_before_it_is_looked_for(
    primary: Primary, execution: str, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failure covered: the file is replicated after the secondary looked for it, and hides the DAGs that run."""
    call("hand_over", execution=execution)
    end(monkeypatch, "SUCCEEDED", only="hand-over", output={})
    key = "dags/.airflowignore"
    visibility.hide(primary.s3, DAGS_HERE, key, "x")
    backend: Any = s3_backends["123456789012"]["aws"]
    stored = backend.buckets[DAGS_HERE].keys.getlist(key)[-1]
    stored.replication_status = "PENDING"
    assert call("put_back", execution=execution) == {"outcome": "running"}
    assert len(started("hand_over")) == 1
    stored.replication_status = "COMPLETED"
    call("put_back", execution=execution)
    assert len(started("hand_over")) == 2


def test_standing_down_is_asked_for_once(execution: str, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [call("stand_down", execution=execution)["outcome"] for _ in range(2)] == ["running", "running"]
    assert len(started("stand_down")) == 1
    end(monkeypatch, "SUCCEEDED", output={})
    assert call("stand_down", execution=execution) == {"outcome": "done"}
    end(monkeypatch, "ABORTED")
    with pytest.raises(StandDownFailed, match="rehearsal-stand_down in us-west-2 ended as ABORTED"):
        call("stand_down", execution=execution)


def test_a_snapshot_is_copied_with_its_base(primary: Primary) -> None:
    primary.account.snapshot(BASE, region=SECONDARY)
    primary.account.delta(SNAPSHOT, BASE)
    answer = call("copy_snapshot", snapshot_id=SNAPSHOT)
    there = primary.account.objects(SNAPSHOTS)
    assert primary.stored() == there
    assert (answer["outcome"], answer["objects"]) == ("done", len(there))
    kms = boto3.client("kms", PRIMARY)
    assert snapshots.prove_new(primary.s3, kms, SNAPSHOTS_HERE, NAME, SNAPSHOT).base == BASE
    spec = primary.s3.head_object(Bucket=SNAPSHOTS_HERE, Key=f"snapshots/{NAME}/{SNAPSHOT}/spec.json")
    assert spec["Metadata"] == {"region": PRIMARY}


def test_a_copy_that_runs_out_of_time_goes_on(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: a snapshot larger than one call can copy is copied from the beginning for ever."""
    primary.account.snapshot(SNAPSHOT)
    copied: list[str] = []
    copy_object = snapshot_copy.copy_object

    def one_only(*arguments: Any) -> bool:
        if len(copied) % 2:
            copied.append("no time left")
            return False
        copied.append(arguments[2].key)
        return copy_object(*arguments)

    monkeypatch.setattr(snapshot_copy, "copy_object", one_only)
    outcomes, manifest = [], f"snapshots/{NAME}/{SNAPSHOT}/manifest.json"
    while not outcomes or outcomes[-1] == "more":
        assert manifest not in primary.stored(), "what is half copied is no snapshot"
        outcomes.append(call("copy_snapshot", snapshot_id=SNAPSHOT)["outcome"])
    assert outcomes == ["more"] * 6 + ["done"]
    assert [name for name in copied if name != "no time left"] == [
        *(key for key in snapshot_keys(SNAPSHOT) if key != manifest),
        manifest,
    ]


def test_a_large_object_goes_in_pieces_that_stay(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: CopyObject takes no more than 5 GB; a call that is cut off copies nothing."""
    piece = 5 * 1024 * 1024
    monkeypatch.setattr(snapshot_copy, "PIECE_BYTES", piece)
    monkeypatch.setattr(snapshot_copy, "COPIERS", 1)
    body = b"".join(bytes([number]) * piece for number in range(3)) + b"the end"
    primary.account.s3.put_object(Bucket=SNAPSHOTS, Key="large", Body=body, Metadata={"region": SECONDARY})
    there = snapshot_copy.Place(primary.account.s3, SNAPSHOTS)
    here = snapshot_copy.Place(primary.s3, SNAPSHOTS_HERE)
    (newer,) = snapshot_copy.listed(there, "large")
    stored = replace(newer, modified=datetime(2009, 1, 1, tzinfo=UTC))  # of each upload moto says that it began in 2010
    copied: list[int] = []

    class TwoPieces:
        """A client by which time runs out after two pieces."""

        def __getattr__(self, name: str) -> Any:
            return getattr(primary.s3, name)

        def upload_part_copy(self, **arguments: Any) -> Any:
            copied.append(arguments["PartNumber"])
            if len(copied) == 2:
                monkeypatch.setattr(snapshot_copy.time, "monotonic", lambda: 1e12)
            return primary.s3.upload_part_copy(**arguments)

    limit = time.monotonic() + 600
    cut_off = snapshot_copy.Place(TwoPieces(), SNAPSHOTS_HERE)
    assert snapshot_copy.copy_object(there, cut_off, stored, limit) is False
    assert copied == [1, 2]
    assert "large" not in primary.stored()
    monkeypatch.setattr(snapshot_copy.time, "monotonic", lambda: 0.0)
    assert snapshot_copy.copy_object(there, cut_off, stored, limit) is True
    assert copied == [1, 2, 3, 4], "what was copied is not copied again"
    answer = primary.s3.get_object(Bucket=SNAPSHOTS_HERE, Key="large")
    assert (answer["Body"].read(), answer["Metadata"]) == (body, {"region": SECONDARY})
    here.s3.create_multipart_upload(Bucket=SNAPSHOTS_HERE, Key="large")
    assert snapshot_copy.unfinished(here, stored)
    assert snapshot_copy.unfinished(here, newer) is None, "it began before the object was what it is"


def test_what_is_no_snapshot_there_is_not_copied(primary: Primary) -> None:
    with pytest.raises(SnapshotRefused, match=r"manifest\.json is missing"):
        call("copy_snapshot", snapshot_id=SNAPSHOT)
    assert primary.stored() == []


def changed_there(primary: Primary, key: str, body: str) -> None:
    primary.account.s3.put_object(Bucket=DAGS, Key=key, Body=body.encode(), ContentType="text/x-python")


def copy_dags(since: int = LONG_AGO) -> dict[str, Any]:
    return call("copy_dags", since=since)


def test_what_people_changed_there_is_carried_over(primary: Primary) -> None:
    for key in ("dags/changed.py", "dags/gone.py", "dags/same.py"):
        primary.put(key, "before")
    changed_there(primary, "dags/changed.py", "after")
    changed_there(primary, "dags/new.py", "new")
    changed_there(primary, "plugins.zip", "plugins")
    primary.account.s3.delete_object(Bucket=DAGS, Key="dags/gone.py")
    # Not people's: the metadata DAGs of the secondary's Terraform, and what hides DAGs.
    changed_there(primary, "dags/continuity/settings.us-west-2.json", "{}")
    changed_there(primary, "dags/continuity_guard.py", "dag")
    visibility.hide(primary.account.s3, DAGS, "dags/.airflowignore", "x")
    expected = {"outcome": "done", "copied": 3, "deleted": 1, "conflicts": []}
    assert copy_dags() == expected
    assert primary.stored(DAGS_HERE) == ["dags/changed.py", "dags/new.py", "dags/same.py", "plugins.zip"]
    assert [primary.read(f"dags/{name}.py") for name in ("changed", "new", "same")] == ["after", "new", "before"]
    head = primary.s3.head_object(Bucket=DAGS_HERE, Key="dags/changed.py")
    assert head["ContentType"] == "text/x-python"
    assert copy_dags() == expected | {"deleted": 0}, "asked again, it finds everything done"
    versions = primary.s3.list_object_versions(Bucket=DAGS_HERE, Prefix="dags/changed.py")["Versions"]
    assert len(versions) == 2


def test_what_was_written_before_the_lease_moved_is_left(primary: Primary) -> None:
    changed_there(primary, "dags/before.py", "x")
    later = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
    assert copy_dags(since=later)["copied"] == 0
    assert primary.stored(DAGS_HERE) == []


def test_a_later_change_of_what_was_carried_over_comes_as_well(primary: Primary) -> None:
    """Failure covered: after a failback that failed, its own copies are taken for changes of people."""
    changed_there(primary, "dags/etl.py", "one")
    copy_dags()
    changed_there(primary, "dags/etl.py", "two")  # before the copy came back by replication
    assert copy_dags()["conflicts"] == []
    assert primary.read("dags/etl.py") == "two"
    primary.replicate("dags/etl.py")
    assert copy_dags()["copied"] == 0
    changed_there(primary, "dags/etl.py", "three")
    primary.account.s3.delete_object(Bucket=DAGS, Key="dags/etl.py")
    assert copy_dags()["deleted"] == 1


def test_what_was_changed_on_both_sides_is_kept_and_named(primary: Primary) -> None:
    """Failure covered: a failback overwrites what people deployed to the primary's bucket."""
    for key in ("dags/deleted.py", "dags/etl.py", "dags/gone.py"):
        primary.put(key, "before")
        changed_there(primary, key, "there")
    primary.account.s3.delete_object(Bucket=DAGS, Key="dags/deleted.py")
    # Not replicated, because replication is behind, or was switched off.
    primary.s3.put_object(Bucket=DAGS_HERE, Key="dags/etl.py", Body=b"here")
    primary.s3.put_object(Bucket=DAGS_HERE, Key="dags/deleted.py", Body=b"here")
    primary.s3.delete_object(Bucket=DAGS_HERE, Key="dags/gone.py")
    marker = s3_backends["123456789012"]["aws"].buckets[DAGS_HERE].keys.getlist("dags/gone.py")[-1]
    marker.last_modified += timedelta(seconds=2)  # S3 tells the time of a version in seconds
    answer = copy_dags()
    assert answer == {
        "outcome": "done",
        "copied": 0,
        "deleted": 0,
        "conflicts": ["dags/deleted.py", "dags/etl.py", "dags/gone.py"],
    }
    assert primary.read("dags/etl.py") == "here"


def test_what_was_changed_here_and_then_there_is_no_conflict(primary: Primary) -> None:
    """A change that was replicated lies under the one that was made there: who made that saw it."""
    primary.put("dags/etl.py", "here")
    changed_there(primary, "dags/etl.py", "there")
    assert copy_dags() == {"outcome": "done", "copied": 1, "deleted": 0, "conflicts": []}
    primary.put("dags/etl.py", "here again")
    assert copy_dags()["copied"] == 0, "what lies on top there is the primary's own"


def test_copying_dags_ends_in_time_and_goes_on(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    changed_there(primary, "dags/etl.py", "x")
    monkeypatch.setattr(failback, "COPY_SECONDS", -1)
    assert copy_dags()["outcome"] == "more"
    monkeypatch.setattr(failback, "COPY_SECONDS", 600)
    assert copy_dags()["outcome"] == "done"
    assert dag_changes.source_of(snapshot_copy.Place(primary.s3, DAGS_HERE), "dags/etl.py")
