"""retention: two Regions' buckets on moto, with tags and what lifecycle rules do about them."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mwaa_continuity import retention, retention_tags, snapshots
from mwaa_continuity.errors import AwsRefused, BadInput, SnapshotUnreadable
from tests.unit.functions.conftest import NAME, PRIMARY, SNAPSHOTS, Account, own_client
from tests.unit.functions.expiry import Expiry

PEER = "snapshots-us-east-1"
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SUPERSEDED = [{"Key": "continuity", "Value": "superseded"}]


def name(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}-0123abcd"


class Buckets:
    """The snapshot bucket of the function's Region, and that of the other."""

    def __init__(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = account
        self.s3, self.peer = account.s3, boto3.client("s3", PRIMARY)
        self.peer.create_bucket(Bucket=PEER)
        self.peer.put_bucket_versioning(Bucket=PEER, VersioningConfiguration={"Status": "Enabled"})
        self.both = ((self.s3, SNAPSHOTS), (self.peer, PEER))
        self.monkeypatch = monkeypatch

    def take(self, moment: datetime, base: datetime | None = None, *, where: int = 2, **verification: Any) -> str:
        """A snapshot of two objects; a delta takes another of its base. `where`: 1 is here only."""
        snapshot_id, folder = name(moment), f"snapshots/{NAME}/{name(moment)}/"
        bodies = {"dag_run.state.copy.gz": snapshot_id.encode(), "log.history.copy.gz": snapshot_id.encode() * 9}
        objects = [claim(found, body) for found, body in bodies.items()]
        if base:
            objects.append(claim("log.history.copy.gz", name(base).encode() * 9) | {"snapshot_id": name(base)})
        manifest = {
            "format": 2,
            "snapshot_id": snapshot_id,
            "base": name(base) if base else None,
            "environment": NAME,
            "region": PRIMARY,
            "mode": "full",
            "airflow_version": "2.10.3",
            **dict.fromkeys(("cut_at", "started_at", "completed_at"), moment.isoformat()),
            "encryption": {"encrypted_data_key": base64.b64encode(b"key").decode()},
            "tables": [{"name": "log", "rows": 1, "objects": objects}],
            "spec": None,
            "layout": None,
        }
        verified = {"format": 1, "snapshot_id": snapshot_id, "faults": []} | verification
        for s3, bucket in self.both[:where]:
            for found, body in bodies.items():
                s3.put_object(Bucket=bucket, Key=folder + found, Body=body)
            s3.put_object(Bucket=bucket, Key=folder + "manifest.json", Body=json.dumps(manifest).encode())
            s3.put_object(Bucket=bucket, Key=folder + "verification.json", Body=json.dumps(verified).encode())
        return snapshot_id

    def ids(self, where: int = 0) -> list[str]:
        s3, bucket = self.both[where]
        return sorted(snapshots.newest_first(s3, bucket, NAME))

    def tags(self, snapshot_id: str, **version: str) -> dict[str, Any]:
        """Tags of all objects of a snapshot here, by name."""
        folder = f"snapshots/{NAME}/{snapshot_id}/"
        listed = self.s3.list_objects_v2(Bucket=SNAPSHOTS, Prefix=folder).get("Contents", [])
        return {
            item["Key"].removeprefix(folder): self.s3.get_object_tagging(Bucket=SNAPSHOTS, Key=item["Key"], **version)[
                "TagSet"
            ]
            for item in listed
        }

    def superseded(self) -> list[str]:
        """Snapshots here of which every object bears the tag."""
        return [found for found in self.ids() if all(tags == SUPERSEDED for tags in self.tags(found).values())]

    def run(self, now: datetime, where: int = 0) -> dict[str, Any]:
        """One call in a Region."""
        self.monkeypatch.setattr(retention, "time", SimpleNamespace(time=now.timestamp))
        there = (PRIMARY, PEER) if where == 0 else ("us-west-2", SNAPSHOTS)
        for variable, value in (("PEER_REGION", there[0]), ("PEER_BUCKET", there[1])):
            self.monkeypatch.setenv(variable, value)
        self.monkeypatch.setenv("SNAPSHOT_BUCKET", self.both[where][1])
        return retention.handler({"request_id": "r-1"}, None)

    def run_to_the_end(self, now: datetime, where: int = 0) -> dict[str, Any]:
        """What the state machine does."""
        for _ in range(20):
            answer = self.run(now, where)
            if answer["outcome"] != "more":
                return answer
        raise AssertionError("twenty rounds were not enough")


def claim(found: str, body: bytes) -> dict[str, Any]:
    return {"name": found, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@pytest.fixture
def buckets(account: Account, monkeypatch: pytest.MonkeyPatch) -> Buckets:
    for variable, value in (("ALL_HOURS", "48"), ("DAILY", "7"), ("WEEKLY", "5"), ("MONTHLY", "12")):
        monkeypatch.setenv(variable, value)
    return Buckets(account, monkeypatch)


def days_of_one(buckets: Buckets, days: int, **snapshot: Any) -> list[str]:
    return [buckets.take(START + number * DAY, **snapshot) for number in range(days)]


def test_what_is_superseded_is_tagged_in_all_its_versions(buckets: Buckets) -> None:
    ids = days_of_one(buckets, 12)
    key = f"snapshots/{NAME}/{ids[1]}/verification.json"
    first = buckets.s3.head_object(Bucket=SNAPSHOTS, Key=key)["VersionId"]
    buckets.s3.put_object(
        Bucket=SNAPSHOTS, Key=key, Body=buckets.s3.get_object(Bucket=SNAPSHOTS, Key=key)["Body"].read()
    )
    answer = buckets.run(START + 12 * DAY)
    assert answer["outcome"] == "done"
    assert buckets.superseded() == [ids[number] for number in (0, 1, 2, 4)], "daily 5 to 11, weekly 3 (a Sunday)"
    assert (answer["superseded"], answer["kept"]) == (4, 8)
    assert answer["superseded_bytes"] > 0
    old = buckets.s3.get_object_tagging(Bucket=SNAPSHOTS, Key=key, VersionId=first)
    assert old["TagSet"] == SUPERSEDED
    assert buckets.account.published("SnapshotsSuperseded") == [4.0]
    assert buckets.run(START + 12 * DAY)["superseded"] == 0, "and once"


def test_a_kept_delta_keeps_its_base(buckets: Buckets) -> None:
    """Failure covered: a base expires before its deltas."""
    for number in range(40):
        buckets.take(START + number * DAY)
    last_of_january = buckets.take(START + 30 * DAY + HOUR, START + 13 * DAY)
    buckets.run(START + 40 * DAY)
    superseded = buckets.superseded()
    assert name(START + 12 * DAY) in superseded
    assert {name(START + 13 * DAY), last_of_january}.isdisjoint(superseded)


def test_only_what_is_good_in_both_regions_supersedes(buckets: Buckets) -> None:
    """Failure covered: the only copy in the other Region is superseded by one that never got there."""
    old = days_of_one(buckets, 2)
    for number in range(20, 30):
        buckets.take(START + number * DAY, where=1)
    assert buckets.run(START + 30 * DAY)["outcome"] == "done"
    assert not buckets.superseded()
    there = buckets.take(START + 31 * DAY)
    for found in ("log.history.copy.gz", "manifest.json", "verification.json"):
        key = f"snapshots/{NAME}/{there}/{found}"
        body = buckets.peer.get_object(Bucket=PEER, Key=key)["Body"].read()
        buckets.peer.delete_object(Bucket=PEER, Key=key)
        buckets.run(START + 31 * DAY)
        assert not buckets.superseded(), f"{found} is on its way"
        buckets.peer.put_object(Bucket=PEER, Key=key, Body=body)
    buckets.run(START + 31 * DAY)
    assert old[0] in buckets.superseded()


def test_a_standalone_has_itself_only(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    days_of_one(buckets, 12, where=1)
    assert buckets.run(START + 12 * DAY)["outcome"] == "nothing_newer"
    monkeypatch.setenv("PEER_BUCKET", "")
    assert retention.handler({"request_id": "r-1"}, None)["outcome"] == "done"
    assert len(buckets.superseded()) == 4


@pytest.mark.parametrize("verification", [{"faults": [{"name": "log", "why": "rows"}]}, {"snapshot_id": "another"}])
def test_known_bad_and_unfinished_ones_go_and_never_the_only_one(
    buckets: Buckets, verification: dict[str, Any]
) -> None:
    good = buckets.take(START)
    bad = buckets.take(START + HOUR, **verification)
    unfinished = name(START + 2 * HOUR)
    buckets.s3.put_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{unfinished}/dag_run.state.copy.gz", Body=b"x")
    buckets.run(START + 300 * DAY)
    assert not buckets.superseded(), "nothing newer is good"
    buckets.take(START + 301 * DAY)
    buckets.run(START + 301 * DAY)
    assert buckets.superseded() == [bad, unfinished]
    assert good in buckets.ids(), "the good one of its month stays"


def test_one_call_does_a_bounded_part(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = days_of_one(buckets, 14)
    monkeypatch.setattr(retention, "TAGGED_PER_CALL", 2)
    monkeypatch.setattr(retention, "READ_PER_CALL", 5)
    answers = [buckets.run(START + 14 * DAY) for _ in range(8)]
    assert [answer["superseded"] for answer in answers if answer["superseded"]] == [2, 2, 2]
    assert [answer["outcome"] for answer in answers] == sorted((answer["outcome"] for answer in answers), reverse=True)
    assert (answers[0]["outcome"], answers[-1]["outcome"]) == ("more", "done")
    assert buckets.superseded() == [ids[number] for number in (0, 1, 2, 4, 5, 6)]


def test_a_manifest_is_read_once(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: every run reads the manifests of a year of minutes."""
    days_of_one(buckets, 6)
    read: list[str] = []
    read_manifest = snapshots.read_manifest

    def watched(s3: Any, bucket: str, environment: str, snapshot_id: str) -> Any:
        read.append(snapshot_id)
        return read_manifest(s3, bucket, environment, snapshot_id)

    monkeypatch.setattr(snapshots, "read_manifest", watched)
    buckets.run(START + 6 * DAY)
    assert len(read) == 6 + 2
    read.clear()
    buckets.run(START + 7 * DAY)
    assert len(read) == 2, "the newest only, here and there"


class CutOff(Exception):
    """The function was ended."""


def test_a_call_that_is_cut_off_is_gone_on_with(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: half of a snapshot expires, and the rest is taken for a good one."""
    ids = days_of_one(buckets, 12)
    write = retention_tags.write

    def cut(call: Any, bucket: str, versions: Any) -> None:
        if not all(version["Key"].endswith("manifest.json") for version in versions):
            raise CutOff
        write(call, bucket, versions)

    with monkeypatch.context() as patch:
        patch.setattr(retention_tags, "write", cut)
        with pytest.raises(CutOff):
            buckets.run(START + 12 * DAY)
    tagged = {found for tags in [buckets.tags(ids[4])] for found in tags if tags[found]}
    assert tagged == {"manifest.json"}, "it stops being a snapshot before it loses an object"
    Expiry(buckets.s3, SNAPSHOTS).run(1)
    assert buckets.run(START + 13 * DAY)["outcome"] == "done"
    assert set(buckets.superseded()) == {ids[number] for number in (0, 1, 2, 4)}


@pytest.mark.parametrize("ledger", [None, b"", b"[]", b'{"known": {"x": {"state": 1, "more": 2}}}'])
def test_what_is_kept_after_all_loses_its_tag(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch, ledger: bytes | None
) -> None:
    """Failure covered: the retention is made longer, and what it means expires for a tag of before."""
    ids = days_of_one(buckets, 12)
    buckets.run(START + 12 * DAY)
    key = f"work/{NAME}/retention/facts.json"
    if ledger is None:
        buckets.s3.delete_object(Bucket=SNAPSHOTS, Key=key)
    else:
        buckets.s3.put_object(Bucket=SNAPSHOTS, Key=key, Body=ledger)
    monkeypatch.setenv("DAILY", "30")
    assert buckets.run(START + 12 * DAY)["outcome"] == "done"
    assert not buckets.superseded()
    assert not any(tags for found in ids for tags in buckets.tags(found).values())


def test_a_tag_that_came_by_replication_is_taken_off_what_is_kept(buckets: Buckets) -> None:
    ids = days_of_one(buckets, 12)
    buckets.run(START + 12 * DAY)
    retention_tags.tag(buckets.s3, SNAPSHOTS, f"snapshots/{NAME}/{ids[5]}/")
    assert ids[5] in buckets.superseded()
    buckets.run(START + 12 * DAY)
    assert ids[5] not in buckets.superseded()


def test_what_arrives_after_its_snapshot_was_tagged_is_tagged_later(buckets: Buckets) -> None:
    ids = days_of_one(buckets, 12)
    buckets.run(START + 12 * DAY)
    buckets.s3.put_object(Bucket=SNAPSHOTS, Key=f"snapshots/{NAME}/{ids[0]}/late.copy.gz", Body=b"x")
    buckets.run(START + 13 * DAY)
    assert ids[0] not in buckets.superseded()
    buckets.run(START + 27 * DAY)
    assert ids[0] in buckets.superseded()


def refusing(buckets: Buckets, monkeypatch: pytest.MonkeyPatch, operation: str, code: str, status: int) -> None:
    """Let the other Region answer an operation with an error."""
    connect = retention.aws.client
    error = ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)  # type: ignore[arg-type,typeddict-item]

    def refuse(**_: Any) -> None:
        raise error

    refused = own_client("s3", PRIMARY)
    refused.meta.events.register(f"before-call.s3.{operation}", refuse)

    def client(service: str, region: str | None = None, config: Any = retention.aws.PATIENT) -> Any:
        return refused if region == PRIMARY else connect(service, region, config)

    assert buckets
    monkeypatch.setattr(retention.aws, "client", client)


@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject"])
def test_the_other_regions_trouble_keeps_everything(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    days_of_one(buckets, 12)
    refusing(buckets, monkeypatch, operation, "SlowDown", 503)
    assert buckets.run(START + 12 * DAY)["outcome"] == "no_answer"
    assert not buckets.superseded()


@pytest.mark.parametrize(("operation", "error"), [("ListObjectsV2", AwsRefused), ("GetObject", SnapshotUnreadable)])
def test_a_missing_grant_is_told(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch, operation: str, error: type[Exception]
) -> None:
    """Failure covered: a grant is missing, nothing is ever tagged, and nobody knows."""
    days_of_one(buckets, 12)
    refusing(buckets, monkeypatch, operation, "AccessDenied", 403)
    with pytest.raises(error, match="AccessDenied"):
        buckets.run(START + 12 * DAY)
    assert not buckets.superseded()


def test_a_missing_variable_is_named(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEEKLY")
    with pytest.raises(BadInput, match="WEEKLY is not set"):
        buckets.run(START)
