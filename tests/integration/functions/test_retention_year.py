"""Retention in two Regions over weeks, a month in which one is silent, and a year without a new snapshot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import boto3
import pytest

from mwaa_continuity import retention, snapshots
from tests.unit.functions.conftest import NAME, PRIMARY, SNAPSHOTS
from tests.unit.functions.expiry import Expiry
from tests.unit.functions.test_retention import DAY, HOUR, START, Buckets, buckets

__all__ = ["buckets"]


def restorable(buckets: Buckets, where: int, snapshot_id: str) -> bool:
    """Every byte of a snapshot and of its base is there and right."""
    s3, bucket = buckets.both[where]
    claimed = snapshots.read_manifest(s3, bucket, NAME, snapshot_id)
    return not any(snapshots.faults_of(s3, bucket, NAME, claimed.objects).values())


def live_a_day(buckets: Buckets, expiries: list[Expiry], day: int, *, where: int = 2) -> None:
    """A base and two deltas; both Regions tidy up; S3 expires; and nothing was lost."""
    midnight = START + day * DAY
    newest = ""
    for hour in (0, 8, 16):
        newest = buckets.take(midnight + hour * HOUR, midnight if hour else None, where=where)
    for region in range(where if where == 2 or day % 6 == 0 else 0):  # a silent Region is waited for
        buckets.run_to_the_end(midnight + 23 * HOUR, region)
        expiries[region].run(day)
        assert restorable(buckets, region, newest)
        if day % 5 == 0:
            assert all(restorable(buckets, region, found) for found in recent(buckets, region, midnight))


def recent(buckets: Buckets, where: int, midnight: datetime) -> list[str]:
    return [found for found in buckets.ids(where) if snapshots.taken_at(found) >= midnight - 24 * HOUR]


def test_weeks_a_month_without_the_other_region_and_a_year_asleep(
    buckets: Buckets, dead: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest good one is restorable at every step, what is stored is bounded, nothing goes that was needed."""
    expiries = [Expiry(s3, bucket) for s3, bucket in buckets.both]
    for day in range(10):
        live_a_day(buckets, expiries, day)
    # Three a day for 48 hours; one of each day, week and month before, with its base; what has a day to expire.
    bound = 7 + 2 * (5 + 3 + 1) + 2 * 3
    assert len(buckets.ids(0)) <= bound
    assert buckets.ids(0) == buckets.ids(1), "both Regions keep the same"
    with monkeypatch.context() as patch:
        connect = retention.aws.client

        def client(service: str, region: str | None = None, config: Any = None) -> Any:
            more = {"endpoint_url": "http://127.0.0.1:1"} if region == PRIMARY else {}
            create: Any = boto3.client
            return create(service, region_name=region, config=config, **more) if more else connect(service, region)

        patch.setattr(retention.aws, "client", client)
        before = [found for found in buckets.ids() if found not in buckets.superseded()]
        for day in range(10, 40):
            live_a_day(buckets, expiries, day, where=1)
        assert set(before) <= set(buckets.ids()), "nothing is tagged while the other Region does not answer"
        assert len(buckets.ids()) == len(before) + 90
    back = START + 40 * DAY
    buckets.run_to_the_end(back)
    assert set(before) <= set(buckets.ids()), "what only this Region has supersedes nothing"
    for day in range(40, 45):
        live_a_day(buckets, expiries, day)
    assert len(buckets.ids()) <= bound
    kept = buckets.ids()
    for day in range(45, 465, 140):
        for region in (0, 1):
            buckets.run_to_the_end(START + day * DAY, region)
        for expiry in expiries * 3:
            expiry.run(day)
    asleep = buckets.ids()
    assert asleep == [found for found in kept if found in asleep], "a year asleep makes nothing of it"
    assert len(kept) - len(asleep) <= 6, "but for what was tagged before"
    assert all(restorable(buckets, region, found) for region in (0, 1) for found in buckets.ids(region))
    markers = buckets.s3.list_object_versions(Bucket=SNAPSHOTS, Prefix="snapshots/").get("DeleteMarkers", [])
    assert not markers
    assert buckets.account.published("SnapshotsKept")
