"""The retention machine: rounds until nothing is left, and how it ends where nothing may be tagged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from mwaa_continuity import retention
from tests.integration.functions.machines import SNAPSHOT, Region
from tests.unit.functions.conftest import PRIMARY, SNAPSHOTS

PEER = "snapshots-us-east-1"
NEWEST = datetime.strptime(SNAPSHOT[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@pytest.fixture
def both(region: Region, monkeypatch: pytest.MonkeyPatch) -> Region:
    """A snapshot a day for two weeks before the newest one, in both Regions."""
    values = {"ALL_HOURS": "24", "DAILY": "3", "WEEKLY": "0", "MONTHLY": "0", "PEER_BUCKET": PEER}
    for variable, value in {**values, "PEER_REGION": PRIMARY}.items():
        monkeypatch.setenv(variable, value)
    for days in range(1, 15):
        region.account.snapshot(f"{NEWEST - timedelta(days=days):%Y%m%dT%H%M%SZ}-0123abcd")
    peer = boto3.client("s3", PRIMARY)
    peer.create_bucket(Bucket=PEER)
    for key in region.account.objects():
        if key.startswith("snapshots/"):
            peer.put_object(
                Bucket=PEER, Key=key, Body=region.account.s3.get_object(Bucket=SNAPSHOTS, Key=key)["Body"].read()
            )
    return region


def tagged(region: Region) -> int:
    """How many manifests bear the tag."""
    manifests = [key for key in region.account.objects() if key.endswith("/manifest.json")]
    sets = [region.account.s3.get_object_tagging(Bucket=SNAPSHOTS, Key=key)["TagSet"] for key in manifests]
    return sets.count([{"Key": "continuity", "Value": "superseded"}])


def test_rounds_until_nothing_is_left(both: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "TAGGED_PER_CALL", 5)
    both.deploy()
    done = both.run("retention", scheduled_at="2026-11-21T08:15:00Z")
    assert done["status"] == "SUCCEEDED", done
    entered = both.entered(done["executionArn"])
    assert (entered.count("Tag"), entered[-1]) == (3, "Done")
    assert tagged(both) == 12


def test_rounds_are_counted(both: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "tag_superseded", lambda *_: retention.answer("more"))
    both.deploy()
    done = both.run("retention")
    entered = both.entered(done["executionArn"])
    assert (done["status"], entered.count("Tag"), entered[-1]) == ("SUCCEEDED", 20, "GoesOnNextTime")


@pytest.mark.parametrize(
    ("peer", "status", "end"),
    [
        ({"PEER_BUCKET": ""}, "SUCCEEDED", "Done"),
        ({"PEER_BUCKET": "not-there"}, "FAILED", "Failed"),
        ({"SNAPSHOT_BUCKET": PEER, "PEER_BUCKET": SNAPSHOTS, "PEER_REGION": "us-west-2"}, "SUCCEEDED", "Done"),
    ],
)
def test_how_it_ends(
    both: Region, monkeypatch: pytest.MonkeyPatch, peer: dict[str, str], status: str, end: str
) -> None:
    for variable, value in peer.items():
        monkeypatch.setenv(variable, value)
    both.deploy()
    done = both.run("retention")
    assert (done["status"], both.entered(done["executionArn"])[-1]) == (status, end)
    assert ("NoSuchBucket" in str(done)) == (status == "FAILED")


def test_nothing_newer_is_no_failure(both: Region) -> None:
    for key in both.account.objects():
        if key.endswith("/verification.json"):
            both.account.s3.delete_object(Bucket=SNAPSHOTS, Key=key)
    both.deploy()
    done: dict[str, Any] = both.run("retention")
    assert (done["status"], both.entered(done["executionArn"])[-1]) == ("SUCCEEDED", "NothingNewer")
    assert tagged(both) == 0
