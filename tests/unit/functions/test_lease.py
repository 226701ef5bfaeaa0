"""The lease: one winner, a fencing token, a cool-down, the operator's lock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier, Lock
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models import DynamoDBBackend

from mwaa_continuity import giving_back, lease
from mwaa_continuity.errors import BadInput, LeaseLost, NotGivenBack
from mwaa_continuity.lease_table import MARK
from tests.unit.functions.conftest import LEASES, NAME, PRIMARY, SECONDARY, Account

SNAPSHOT = "20261121T080000Z-1111bbbb"


@pytest.fixture
def machine(account: Account) -> str:
    assert account
    return str(
        boto3.client("stepfunctions", SECONDARY).create_state_machine(
            name="failover",
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/failover",
        )["stateMachineArn"]
    )


def execution(machine: str, name: str, running: bool = True) -> str:
    """An execution; moto leaves one running until it is stopped."""
    states = boto3.client("stepfunctions", SECONDARY)
    arn = str(states.start_execution(stateMachineArn=machine, name=name)["executionArn"])
    if not running:
        states.stop_execution(executionArn=arn)
    return arn


def take(arn: str, **fields: Any) -> dict[str, Any]:
    return lease.handler({"action": "take", "execution": arn, "reason": "test", **fields}, None)


def read(**fields: Any) -> dict[str, Any]:
    return lease.handler({"action": "read", **fields}, None)


def test_taken_from_the_primary(account: Account, machine: str) -> None:
    account.set_lease()
    arn = execution(machine, "one")
    answer = take(arn)
    assert (answer["outcome"], answer["token"], answer["previous_holder"]) == ("taken", 2, PRIMARY)
    written = account.lease()
    assert (written["holder"], written["live"], written["execution"]) == (SECONDARY, False, arn)
    assert abs(int(written["since"]) - time.time()) < 5


def test_taken_where_nobody_wrote_the_item(account: Account, machine: str) -> None:
    assert take(execution(machine, "one"))["token"] == 1
    assert account.lease()["holder"] == SECONDARY


@pytest.fixture
def atomic_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB checks the condition and writes in one step; moto does so only if one request runs at a time."""
    update_item, one_at_a_time = DynamoDBBackend.update_item, Lock()

    def update(*arguments: Any, **named: Any) -> Any:
        with one_at_a_time:
            return update_item(*arguments, **named)

    monkeypatch.setattr(DynamoDBBackend, "update_item", update)


@pytest.mark.usefixtures("atomic_updates")
def test_eight_at_once_have_one_winner(account: Account, machine: str) -> None:
    """Failure covered: no fencing: two failovers run at once."""
    account.set_lease()
    arns = [execution(machine, f"racer-{number}") for number in range(8)]
    barrier = Barrier(len(arns))

    def race(arn: str) -> str:
        barrier.wait()
        return str(take(arn)["outcome"])

    with ThreadPoolExecutor(len(arns)) as racers:
        outcomes = list(racers.map(race, arns))
    assert sorted(outcomes) == ["busy"] * 7 + ["taken"]
    assert account.lease()["token"] == "2"
    assert account.lease()["execution"] == arns[outcomes.index("taken")]


def test_the_same_execution_asking_twice_holds_it(account: Account, machine: str) -> None:
    account.set_lease()
    arn = execution(machine, "one")
    first, second = take(arn), take(arn)
    assert (second["outcome"], second["token"], second["since"]) == ("held", first["token"], first["since"])


def test_a_failed_failover_may_be_started_again(account: Account, machine: str) -> None:
    account.set_lease()
    take(execution(machine, "one"))
    boto3.client("stepfunctions", SECONDARY).stop_execution(executionArn=account.lease()["execution"])
    again = execution(machine, "two")
    assert take(again)["outcome"] == "held"
    assert account.lease()["execution"] == again
    assert account.lease()["token"] == "2"


def test_an_execution_that_step_functions_forgot_is_not_waited_for(account: Account, machine: str) -> None:
    account.set_lease(
        holder=SECONDARY, token=2, live=False, execution=machine.replace("stateMachine", "execution") + ":x"
    )
    assert take(execution(machine, "one"))["outcome"] == "held"


def test_busy_while_the_recorded_execution_runs(account: Account, machine: str) -> None:
    account.set_lease()
    take(execution(machine, "one"))
    assert take(execution(machine, "two"))["outcome"] == "busy"


def test_already_live(account: Account, machine: str) -> None:
    account.set_lease()
    arn = execution(machine, "one", running=False)
    take(arn)
    assert lease.handler({"action": "live", "execution": arn}, None) == {"live": True, "token": 2}
    assert take(execution(machine, "two"))["outcome"] == "already_live"


def test_cool_down_and_force(account: Account, machine: str) -> None:
    account.set_lease(since=int(time.time()) - 60)
    arn = execution(machine, "one")
    before = account.lease()
    assert take(arn)["outcome"] == "cooling_down"
    assert account.lease() == before
    assert take(arn, force=True)["outcome"] == "taken"


@pytest.mark.parametrize("force", [False, True])
def test_the_operators_lock_holds(account: Account, machine: str, force: bool) -> None:
    account.set_lease(locked=True)
    before = account.lease()
    assert take(execution(machine, "one"), force=force)["outcome"] == "locked"
    assert account.lease() == before


def record(arn: str, snapshot_id: str = SNAPSHOT) -> dict[str, Any]:
    return lease.handler({"action": "record", "execution": arn, "snapshot_id": snapshot_id}, None)


def test_the_chosen_snapshot_is_kept_for_the_next_attempt(account: Account, machine: str) -> None:
    """Failure covered: a resumed failover chooses a newer snapshot and is refused for ever."""
    account.set_lease()
    first = execution(machine, "one")
    assert take(first)["snapshot_id"] is None
    assert record(first) == {"snapshot_id": SNAPSHOT, "token": 2}
    boto3.client("stepfunctions", SECONDARY).stop_execution(executionArn=first)
    answer = take(execution(machine, "two"))
    assert (answer["outcome"], answer["snapshot_id"]) == ("held", SNAPSHOT)
    assert account.lease()["snapshot_id"] == SNAPSHOT


def test_a_new_lease_forgets_the_snapshot_of_the_last_one(account: Account, machine: str) -> None:
    account.set_lease(snapshot_id=SNAPSHOT)
    assert take(execution(machine, "one"))["snapshot_id"] is None
    assert account.lease()["snapshot_id"] == ""


def test_a_late_execution_records_no_snapshot(account: Account, machine: str) -> None:
    """Failure covered: no fencing: a late execution acts as if it still held the lease."""
    account.set_lease()
    first, second = execution(machine, "one", running=False), execution(machine, "two")
    take(first)
    take(second)
    with pytest.raises(LeaseLost, match="not held by us-west-2 for this execution"):
        record(first)
    assert account.lease()["snapshot_id"] == ""


def test_live_by_another_execution_is_refused(account: Account, machine: str) -> None:
    """Failure covered: no fencing: a late execution acts as if it still held the lease."""
    account.set_lease()
    first, second = execution(machine, "one", running=False), execution(machine, "two")
    take(first)
    take(second)
    with pytest.raises(LeaseLost, match="not held by us-west-2 for this execution"):
        lease.handler({"action": "live", "execution": first}, None)
    assert account.lease()["live"] is False


def commit(arn: str) -> dict[str, Any]:
    return lease.handler({"action": "commit", "execution": arn}, None)


def give_back() -> dict[str, Any]:
    return lease.handler({"action": "give_back", "reason": "the primary is fine, INC-1"}, None)


def test_a_lease_under_which_nothing_went_live_is_given_back(account: Account, machine: str) -> None:
    """Failure covered: a failover fails after it took the lease, and the primary is fenced for good."""
    account.set_lease()
    arn = execution(machine, "one", running=False)
    take(arn)
    record(arn)
    assert give_back() == {"holder": PRIMARY, "token": 3}
    written = account.lease()
    assert (written["holder"], written["live"], written["committed"]) == (PRIMARY, True, "0")
    assert (written["execution"], written["snapshot_id"], written["previous"]) == ("", "", "")
    assert written["reason"] == "the primary is fine, INC-1"
    assert abs(int(written["since"]) - time.time()) < 60
    with pytest.raises(LeaseLost):
        commit(arn)
    assert take(execution(machine, "two"))["outcome"] == "cooling_down", "nobody takes it again at once"
    assert take(execution(machine, "three"), force=True)["outcome"] == "taken"


def test_the_operators_lock_outlives_a_lease_that_is_given_back(account: Account, machine: str) -> None:
    """Failure covered: the check takes the failover up again while somebody gives the lease back."""
    account.set_lease()
    take(execution(machine, "one", running=False))
    account.set_lease(holder=SECONDARY, token=2, live=False, previous=PRIMARY, locked=True)
    assert read()["resumable"] is False
    assert give_back()["holder"] == PRIMARY
    assert account.lease()["locked"] is True


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"holder": PRIMARY, "live": True}, "us-east-1 holds the lease, not us-west-2"),
        ({"live": True}, "us-west-2 went live under this lease"),
        ({"committed": 2}, "or began to"),
        ({"previous": ""}, "which Region was live before is not known"),
    ],
)
def test_a_lease_that_was_used_is_not_given_back(account: Account, changed: dict[str, Any], why: str) -> None:
    """Failure covered: the primary takes up again what the secondary has done since."""
    account.set_lease(**({"holder": SECONDARY, "token": 2, "live": False, "previous": PRIMARY} | changed))
    before = account.lease()
    with pytest.raises(NotGivenBack, match=why):
        give_back()
    assert account.lease() == before


def test_a_lease_is_not_given_back_under_a_failover_that_runs(account: Account, machine: str) -> None:
    account.set_lease()
    take(execution(machine, "one"))
    with pytest.raises(NotGivenBack, match="runs: stop it, or let it end"):
        give_back()
    assert account.lease()["holder"] == SECONDARY


def test_who_commits_in_between_keeps_the_lease(
    account: Account, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failure covered: the lease is given back while the failover goes live."""
    account.set_lease()
    arn = execution(machine, "one", running=False)
    take(arn)
    look = giving_back.why_not_given_back
    monkeypatch.setattr(giving_back, "why_not_given_back", lambda *seen, **more: commit(arn) and look(*seen, **more))
    with pytest.raises(NotGivenBack, match="changed meanwhile"):
        give_back()
    assert (account.lease()["holder"], account.lease()["committed"]) == (SECONDARY, "2")


def test_what_was_committed_is_known_under_later_leases(account: Account, machine: str) -> None:
    """Failure covered: the primary cannot tell that another Region was live since it was fenced."""
    account.set_lease()
    arn = execution(machine, "one", running=False)
    take(arn)
    assert account.lease()["previous"] == PRIMARY
    assert commit(arn) == {"token": 2}
    with pytest.raises(NotGivenBack):
        give_back()
    account.set_lease(holder=PRIMARY, token=3, committed=2)
    take(execution(machine, "two"))
    assert (account.lease()["token"], account.lease()["committed"]) == ("4", "2")


def test_who_restored_before_it_took_the_lease_is_committed_with_it(account: Account, machine: str) -> None:
    account.set_lease()
    take(execution(machine, "one", running=False), commit=True, snapshot_id=SNAPSHOT)
    assert account.lease()["committed"] == "2"
    with pytest.raises(NotGivenBack, match="began to"):
        give_back()


def mark(account: Account) -> float | None:
    item = account.dynamodb.get_item(TableName=LEASES, Key=MARK).get("Item")
    return float(item["marked_at"]["N"]) if item else None


def test_who_looks_at_the_lease_leaves_a_mark(account: Account) -> None:
    """Failure covered: a Region that is cut off cannot tell its old copy of the lease from a new one."""
    account.set_lease()
    assert mark(account) is None
    read()
    found = mark(account)
    assert found is not None
    assert abs(found - time.time()) < 60


def test_the_lease_is_read_though_no_mark_can_be_left(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.set_lease()

    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "UpdateItem")

    monkeypatch.setattr(DynamoDBBackend, "update_item", refuse)
    assert read()["holder"] == PRIMARY


def test_read_before_any_failover(account: Account) -> None:
    account.set_lease()
    answer = read(scheduled_at="2026-11-21T08:15:00Z")
    assert answer["holder"] == PRIMARY
    assert (answer["running"], answer["resumable"], answer["cooling_down"]) == (False, False, False)
    assert answer["minute"] == datetime(2026, 11, 21, 8, 15, tzinfo=UTC).timestamp() // 60


def unknown_health(account: Account) -> list[float]:
    """Everything that was published of UnknownHealth."""
    answer = account.cloudwatch[SECONDARY].get_metric_statistics(
        Namespace="MwaaContinuity",
        MetricName="UnknownHealth",
        Dimensions=[{"Name": "Environment", "Value": NAME}],
        StartTime=datetime.fromtimestamp(time.time() - 600, UTC),
        EndTime=datetime.fromtimestamp(time.time() + 60, UTC),
        Period=600,
        Statistics=["Maximum"],
    )
    return [point["Maximum"] for point in answer["Datapoints"]]


def test_an_active_region_leaves_no_doubt_and_others_leave_the_verdict_to_the_detector(account: Account) -> None:
    """Failure covered: a monitor that is switched off or may not publish is not noticed."""
    account.set_lease()
    read()
    assert unknown_health(account) == []
    account.set_lease(holder=SECONDARY)
    read()
    assert unknown_health(account) == [0.0]


def test_the_lease_is_read_though_nothing_can_be_published(account: Account, dead: Callable[..., None]) -> None:
    account.set_lease(holder=SECONDARY)
    dead(SECONDARY, "cloudwatch")
    assert read()["holder"] == SECONDARY
    assert unknown_health(account) == []


def test_read_while_the_failover_runs_and_after_it_failed(
    account: Account, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.set_lease()
    take(execution(machine, "one"))
    assert (read()["running"], read()["resumable"]) == (True, False)
    boto3.client("stepfunctions", SECONDARY).stop_execution(executionArn=account.lease()["execution"])
    assert (read()["running"], read()["resumable"]) == (False, False), "it rests before it is started again"
    monkeypatch.setenv("RETRY_SECONDS", "0")
    assert read()["resumable"] is True
    account.set_lease(holder=SECONDARY, live=False, locked=True)
    assert read()["resumable"] is False


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "action is missing; accepted: one of commit, give_back, live, read, record, take"),
        ({"action": "steal"}, "action is 'steal'; accepted: one of commit, give_back, live, read, record, take"),
        ({"action": "take", "reason": "x"}, "execution is missing"),
        ({"action": "take", "execution": 7, "reason": "x"}, "execution is a number"),
        ({"action": "take", "execution": "arn"}, "reason is missing"),
        ({"action": "take", "execution": "arn", "reason": "x", "force": "yes"}, "force is a string; accepted: true or"),
        ({"action": "take", "execution": "arn", "reason": "x", "commit": 1}, "commit is a number; accepted: true or"),
        ({"action": "live"}, "execution is missing"),
        ({"action": "commit"}, "execution is missing"),
        ({"action": "give_back"}, "reason is missing"),
        ({"action": "record", "execution": "arn", "snapshot_id": "newest"}, "snapshot_id is 'newest'; accepted: YYYY"),
        ({"action": "record", "snapshot_id": SNAPSHOT}, "execution is missing"),
        ({"action": "read", "scheduled_at": "yesterday"}, "scheduled_at is a string of another form"),
        ({"action": "read", "scheduled_at": "2026-11-21T08:15:00"}, "scheduled_at has no time zone"),
        ({"action": "read", "request_id": "a b"}, "request_id is not of that form"),
        (["take"], "event is a list; accepted: a JSON object"),
        (None, "event is missing"),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(account: Account, event: Any, message: str) -> None:
    account.set_lease()
    before = account.lease()
    with pytest.raises(BadInput, match=message):
        lease.handler(event, None)
    assert account.lease() == before
