"""The guard's decisions: what it makes of the lease, and what it remembers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from continuity import guard, lease, priority
from continuity.errors import BadInput, ContinuityError, DagsOutOfReach, LeaseUnreadable, RestoreRefused
from continuity.guard import Record
from continuity.lease import Lease
from continuity.settings import Settings

ROOT = Path(__file__).parents[3]
SETTINGS = Settings("env", "us-east-1", "bucket", "key", "lease")
ITEM: dict[str, Any] = {
    "pk": {"S": "lease"},
    "sk": {"S": "lease"},
    "holder": {"S": "us-west-2"},
    "token": {"N": "2"},
    "live": {"BOOL": False},
}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="lease",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        yield client


@pytest.mark.parametrize(("holder", "elsewhere"), [("us-west-2", True), ("us-east-1", False)])
def test_another_holder_is_what_counts(dynamodb: Any, holder: str, elsewhere: bool) -> None:
    """Failure covered: no fencing: the primary is never paused, so a Region that comes back runs everything twice."""
    dynamodb.put_item(TableName="lease", Item={**ITEM, "holder": {"S": holder}})
    found = lease.read_lease(dynamodb, SETTINGS)
    assert found == Lease(holder, 2)
    assert lease.held_elsewhere(found, SETTINGS) is elsewhere


@pytest.mark.parametrize(
    ("held", "refused"), [(None, False), (Lease("us-west-2", 2), False), (Lease("us-east-1", 2), True)]
)
def test_only_a_region_without_the_lease_is_refreshed(held: Lease | None, refused: bool) -> None:
    """Failure covered: a refresh restores over what a failover brought to life."""
    if not refused:
        lease.refuse_if_held_here(held, SETTINGS)
        return
    with pytest.raises(RestoreRefused, match=r"us-east-1 holds the lease \(token 2\)"):
        lease.refuse_if_held_here(held, SETTINGS)


def test_without_an_item_no_failover_ever_happened(dynamodb: Any) -> None:
    assert lease.read_lease(dynamodb, SETTINGS) is None
    assert lease.held_elsewhere(None, SETTINGS) is False


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"holder": None}, "lease.holder: missing; accepted: a text"),
        ({"holder": {"S": ""}}, "lease.holder: '' is no Region; accepted: a Region, as in us-east-1"),
        ({"holder": {"S": "US-WEST"}}, "lease.holder: 'US-WEST' is no Region"),
        ({"holder": {"N": "1"}}, r"lease.holder: it is of type N; accepted: a text \(type S\)"),
        ({"token": None}, "lease.token: missing; accepted: a number"),
        ({"token": {"S": "2"}}, r"lease.token: it is of type S; accepted: a number \(type N\)"),
        ({"token": {"N": "1.5"}}, "lease.token: '1.5' is no fencing token; accepted: a whole number from 0"),
        ({"token": {"N": "-1"}}, "lease.token: '-1' is no fencing token"),
        ({"committed": {"N": "x"}}, "lease.committed: 'x' is no fencing token"),
    ],
)
def test_a_malformed_item_is_told_by_attribute(changed: dict[str, Any], message: str) -> None:
    item = {name: value for name, value in {**ITEM, **changed}.items() if value is not None}
    with pytest.raises(BadInput, match=message):
        lease.lease_of(item)


class Refusing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_item(self, **_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetItem"),
        ConnectTimeoutError(endpoint_url="https://dynamodb"),
    ],
)
def test_a_lease_that_cannot_be_read_is_an_error(error: Exception) -> None:
    """Failure covered: any exception in the check itself is "unhealthy": here it would stop all work."""
    with pytest.raises(LeaseUnreadable, match=r"cannot be read from table lease in us-east-1: .*; nothing was changed"):
        lease.read_lease(Refusing(error), SETTINGS)


def test_the_record_keeps_what_was_paused_until_it_is_settled() -> None:
    first = guard.merged(None, Lease("us-west-2", 2), ["b"], SETTINGS, NOW)
    assert first == Record("us-west-2", 2, "2026-01-02T03:04:05+00:00", ["b"])
    later = guard.merged(first, Lease("us-west-2", 2), ["a", "b"], SETTINGS, datetime.now(UTC))
    assert later == Record("us-west-2", 2, "2026-01-02T03:04:05+00:00", ["a", "b"])
    assert guard.merged(later, Lease("us-west-2", 2), [], SETTINGS, datetime.now(UTC)) == later
    next_one = guard.merged(later, Lease("us-west-2", 4), ["c"], SETTINGS, NOW)
    assert next_one == Record("us-west-2", 2, "2026-01-02T03:04:05+00:00", ["a", "b", "c"]), "nobody gave back"


def test_a_record_of_a_stale_lease_is_of_the_other_region_once_that_takes_it() -> None:
    """Failure covered: paused because nobody answered, and given back although the other Region went live since."""
    stale = guard.merged(None, Lease("us-east-1", 3), ["a"], SETTINGS, NOW)
    assert stale == Record("us-east-1", 3, NOW.isoformat(), ["a"])
    taken = guard.merged(stale, Lease("us-west-2", 4), [], SETTINGS, NOW)
    assert taken == Record("us-west-2", 4, NOW.isoformat(), ["a"])


@pytest.mark.parametrize(
    ("record", "held", "back"),
    [
        (("us-west-2", 2), Lease("us-east-1", 3, True, 0), True),  # the failover failed, and the lease was given back
        (("us-west-2", 2), Lease("us-east-1", 3, True, 1), True),
        (("us-west-2", 2), Lease("us-east-1", 3, True, 2), False),  # the other Region began to go live
        (("us-west-2", 2), Lease("us-east-1", 5, True, 4), False),  # a later one did
        (("us-east-1", 3), Lease("us-east-1", 3, True, 3), True),  # only stale
        (("us-east-1", 3), Lease("us-east-1", 5, True, 3), True),  # stale, and a failover that was given back
        (("us-east-1", 3), Lease("us-east-1", 5, True, 4), False),
    ],
)
def test_flags_come_back_only_where_no_other_region_went_live(record: tuple[str, int], held: Lease, back: bool) -> None:
    """Failure covered: a primary takes up again what the secondary did meanwhile, and runs it twice."""
    assert guard.untouched(Record(*record, NOW.isoformat(), ["a"]), held, SETTINGS) is back


def test_a_region_that_is_going_live_gets_no_flags_from_the_guard() -> None:
    assert not guard.is_settled(None, SETTINGS)
    assert not guard.is_settled(Lease("us-east-1", 3, live=False), SETTINGS)
    assert not guard.is_settled(Lease("us-west-2", 3, live=True), SETTINGS)
    assert guard.is_settled(Lease("us-east-1", 3, live=True), SETTINGS)


PAUSES = replace(SETTINGS, on_lease_unreachable="pause", lease_stale_minutes=5)


@pytest.mark.parametrize(
    ("settings", "marked_at", "now", "stale"),
    [
        (PAUSES, 1000, 1300, False),
        (PAUSES, 1000, 1301, True),
        (PAUSES, None, 9999, False),
        (SETTINGS, 1000, 9999, False),
    ],
)
def test_a_lease_is_stale_where_its_mark_is_old_and_the_settings_say_so(
    settings: Settings, marked_at: int | None, now: int, stale: bool
) -> None:
    """Failure covered: a Region that is cut off keeps running while the other has taken its work over."""
    held = Lease("us-east-1", 1, True, marked_at=marked_at)
    assert lease.is_stale(held, settings, now) is stale


def test_the_mark_is_read_only_where_something_follows_from_it(dynamodb: Any) -> None:
    dynamodb.put_item(TableName="lease", Item={**ITEM, "committed": {"N": "2"}, "live": {"BOOL": True}})
    assert lease.read_lease(dynamodb, PAUSES) == Lease("us-west-2", 2, True, 2)
    dynamodb.put_item(TableName="lease", Item={**lease.MARK, "marked_at": {"N": "1000"}})
    assert lease.read_lease(dynamodb, PAUSES) == Lease("us-west-2", 2, True, 2, 1000)
    assert lease.read_lease(dynamodb, SETTINGS) == Lease("us-west-2", 2, True, 2)


class Noting:
    """A place that notes what is done to it."""

    def __init__(self, record: Record | None = None, seen: Lease | None = None) -> None:
        self.kept, self.last, self.done = record, seen, list[str]()

    def record(self) -> Record | None:
        return self.kept

    def fence(self, read: lease.ReadLease) -> list[str]:
        assert lease.may_not_act(read(), PAUSES)
        self.done.append("fence")
        return ["a"]

    def settle(self, read: lease.ReadLease) -> list[str]:
        assert read()
        self.done.append("settle")
        return ["a"]

    def seen(self) -> Lease | None:
        return self.last

    def remember(self, lease: Lease) -> None:
        self.last = lease


def unreadable() -> Lease | None:
    raise LeaseUnreadable("lease", "us-east-1", "no answer")


def test_a_lease_that_is_not_answered_is_as_old_as_what_was_read_last() -> None:
    """Failure covered: on_lease_unreachable = pause, and a Region whose table does not answer runs on for ever; or one
    lost answer pauses everything."""
    now = int(time.time())
    fresh, old = Lease("us-east-1", 1, True, 0, now), Lease("us-east-1", 1, True, 0, now - 301)
    marked = datetime.fromtimestamp(now - 301, UTC).isoformat()
    fenced = rf"nobody has confirmed the lease of us-east-1 \(token 1\) since {re.escape(marked)}.*1 were paused"
    for place, settings, done, said in (
        (Noting(seen=fresh), PAUSES, [], "nothing was changed"),
        (Noting(seen=None), PAUSES, [], "nothing was changed"),
        (Noting(seen=old), SETTINGS, [], "nothing was changed"),
        (Noting(seen=old), PAUSES, ["fence"], fenced),
        (
            Noting(seen=Lease("us-west-2", 2, marked_at=now)),
            PAUSES,
            ["fence"],
            r"us-west-2 holds the lease \(token 2\):",
        ),
    ):
        with pytest.raises(LeaseUnreadable, match=said) as raised:
            guard.watch(place, unreadable, settings)
        assert place.done == done
        assert ("nothing was changed" in str(raised.value)) is not bool(done)


def test_what_follows_from_a_lease_that_is_read() -> None:
    now = int(time.time())
    fresh, old = Lease("us-east-1", 1, True, 0, now), Lease("us-east-1", 1, True, 0, now - 301)
    record = Record("us-east-1", 1, NOW.isoformat(), ["a"])
    idle, stale, back = Noting(), Noting(), Noting(record)
    assert guard.watch(idle, lambda: fresh, PAUSES) == guard.Watched(fresh)
    assert (idle.done, idle.last) == ([], fresh)
    assert guard.watch(stale, lambda: old, PAUSES) == guard.Watched(old, paused=["a"])
    assert guard.watch(back, lambda: fresh, PAUSES) == guard.Watched(fresh, given_back=["a"])
    kept = Noting()
    assert guard.watch(kept, lambda: old, SETTINGS) == guard.Watched(old)
    assert (kept.done, kept.last) == ([], None), "keep: nothing is done, and nothing remembered"


class Unwritable(Noting):
    """A place that cannot keep a lease."""

    def remember(self, lease: Lease) -> None:
        raise OSError(f"{lease} cannot be kept")


def test_what_cannot_be_remembered_stops_no_fence() -> None:
    """Failure covered: a variable beside the matter keeps a Region running that may not act."""
    place = Unwritable()
    with pytest.raises(OSError, match="cannot be kept"):
        guard.watch(place, lambda: Lease("us-west-2", 2, marked_at=1000), PAUSES)
    assert place.done == ["fence"]


class Airflow:
    """The REST API and the variables of an environment with these DAGs; some of them cannot be set."""

    def __init__(self, unreachable: set[str], **paused: bool) -> None:
        self.unreachable, self.paused, self.variables = unreachable, paused, dict[str, str]()

    def every(self, *_: str, **query: bool) -> list[dict[str, str]]:
        return [{"dag_id": name} for name, flag in self.paused.items() if flag == query.get("paused", flag)]

    def set_paused(self, dag_id: str, paused: bool) -> bool:
        if dag_id not in self.unreachable:
            self.paused[dag_id] = paused
        return dag_id not in self.unreachable

    def find_variable(self, key: str) -> str | None:
        return self.variables.get(key)

    def remember(self, key: str, value: Any, _description: str) -> None:
        self.variables[key] = json.dumps(value)

    def forget(self, key: str) -> None:
        del self.variables[key]


def without_database(airflow: Airflow) -> guard.ByRest:
    return guard.ByRest(airflow, airflow, PAUSES)  # type: ignore[arg-type]


def test_a_dag_out_of_reach_is_told_once_and_nothing_is_left_to_give_back() -> None:
    """Failure covered: a record that never goes: the guard fails each minute, and unpauses what people paused."""
    airflow = Airflow(set(), a=False, far=False, z=False)
    place = without_database(airflow)
    now = int(time.time())
    back = Lease("us-east-1", 3, live=True, marked_at=now)
    assert guard.watch(place, lambda: Lease("us-west-2", 2, marked_at=now), PAUSES).paused == ["a", "far", "z"]
    airflow.unreachable = {"far"}
    with pytest.raises(DagsOutOfReach, match="these DAGs cannot be unpaused without the database: far"):
        guard.watch(place, lambda: back, PAUSES)
    assert airflow.paused == {"a": False, "far": True, "z": False}
    airflow.paused["a"] = True
    assert guard.watch(place, lambda: back, PAUSES) == guard.Watched(back)
    assert airflow.paused["a"] is True, "a person's choice"


@pytest.mark.parametrize("value", ["no JSON", "[1]", '{"holder": "us-east-1"}', json.dumps(asdict(Lease("a", 1)))])
def test_a_remembered_lease_that_is_none_counts_for_nothing(value: str) -> None:
    """Failure covered: a variable that somebody changed stops the guard each minute."""
    airflow = Airflow(set(), a=False)
    airflow.variables[guard.SEEN] = value
    with pytest.raises(LeaseUnreadable, match="nothing was changed"):
        guard.watch(without_database(airflow), unreadable, PAUSES)
    held = Lease("us-west-2", 2, marked_at=int(time.time()))
    assert guard.watch(without_database(airflow), lambda: held, PAUSES).paused == ["a"]
    assert without_database(airflow).seen() == held


def test_the_promise_of_the_fence_is_what_the_guard_keeps() -> None:
    """It looks every period, and a run that starts at the end of one is over within the next."""
    assert priority.FENCE_SECONDS == 2 * priority.GUARD_SECONDS
    assert timedelta(seconds=priority.GUARD_SECONDS) > priority.GUARD_TIMEOUT


def test_the_output_tells_the_promise_of_the_fence() -> None:
    text = (ROOT / "modules/continuity/main.decision.tf").read_text()
    assert re.findall(r"fence_seconds\s*= .* : (\d+)$", text, re.MULTILINE) == [str(priority.FENCE_SECONDS)]


def test_what_a_fenced_region_must_not_do_is_refused() -> None:
    lease.refuse_if_held_elsewhere(None, SETTINGS)
    lease.refuse_if_held_elsewhere(Lease("us-east-1", 3), SETTINGS)
    with pytest.raises(ContinuityError, match=r"us-west-2 holds the lease \(token 2\), not us-east-1"):
        lease.refuse_if_held_elsewhere(Lease("us-west-2", 2), SETTINGS)
