"""A report object like that of a real run, for the tests of its two forms."""

from __future__ import annotations

from tests.rehearsal.report import Check, Report, Story
from tests.rehearsal.scenarios import backup_restore, failback, hibernate, split_brain

OUTAGE = 1_780_000_000.0


def stood_by() -> Story:
    """Of a Region that was lost while the other one stood by: nothing is created."""
    return lost(creation_seconds=0)


def lost(creation_seconds: float = 21) -> Story:
    """Of a Region that was lost."""
    return backup_restore.Moments(
        cut=OUTAGE - 41.3,
        snapshot_complete=OUTAGE - 36,
        outage=OUTAGE,
        failover_started=OUTAGE + 161,
        available=OUTAGE + 161 + creation_seconds,
        state_restored=OUTAGE + 197,
        live=OUTAGE + 216,
        first_new_run=OUTAGE + 219,
    ).story()


def cut_off() -> Story:
    """Of a Region that was cut off, worked on, and was fenced when it was back."""
    last = split_brain.Start(OUTAGE + 301, "database: every_minute scheduled__2026-01-01T00:00:00+00:00 second -1")
    return split_brain.Fence(OUTAGE + 260, OUTAGE + 298, 28, last).story(lost(), OUTAGE + 216)


def slept() -> Story:
    """Of an environment that slept."""
    return hibernate.Moments(
        decided=OUTAGE,
        cut=OUTAGE + 24.5,
        snapshot_complete=OUTAGE + 31,
        deleting=OUTAGE + 34,
        gone=OUTAGE + 35.5,
        resumed=OUTAGE + 52,
        creating=OUTAGE + 53.2,
        available=OUTAGE + 71,
        state_restored=OUTAGE + 80,
        live=OUTAGE + 92,
        first_new_run=OUTAGE + 93,
    ).story("schedule of resume")


def returned() -> Story:
    """Of a Region that was lost and became active again."""
    return failback.Moments(
        back=OUTAGE - 25,
        started=OUTAGE,
        cut=OUTAGE + 14,
        handed_over=OUTAGE + 20,
        state_restored=OUTAGE + 32,
        live=OUTAGE + 63,
        ended=OUTAGE + 82,
        first_new_run=OUTAGE + 65,
    ).story()


def sample_report(mismatched: int = 0, scenario: str = "backup_restore") -> Report:
    """A report; with `mismatched` rows, one of a failed rehearsal."""
    lines = ["xcom (('a', 'r'), 'key'): value: '<script>' became NULL"] if mismatched else []
    tables = [
        {"name": name, "rows_source": rows, "rows_restored": rows, "mismatched": 0, "differences": []}
        for name, rows in (("ab_permission_view_role", 1204), ("connection", 2), ("dag_run", 96), ("log", 12345))
    ]
    tables.append(
        {"name": "xcom", "rows_source": 77, "rows_restored": 77, "mismatched": mismatched, "differences": lines}
    )
    checks = [
        Check("no run that finished before the cut ran again", True, "61 finished runs of 21 DAGs, none began again"),
        Check("the replayed set is exactly the computed one", not mismatched, "9 task instances, <as> computed"),
    ]
    stories = {
        "backup_restore": lost,
        "drill": lost,
        "events": slept,
        "failback": returned,
        "hibernate": slept,
        "hot_standby": stood_by,
        "split_brain": cut_off,
        "warm_standby": stood_by,
    }
    return Report(
        scenario=scenario,
        started=OUTAGE - 400,
        ended=OUTAGE + 330,
        story=stories[scenario](),
        tables=tables,
        checks=checks,
        versions={"Airflow": "2.10.3", "PostgreSQL": "15.14", "Terraform": "1.11.4"},
        steps=[{"name": "terraform apply: secondary", "seconds": 71.2}, {"name": "take a snapshot", "seconds": 9.9}],
        replayed=["long_task by-hand-long_task work -1", "every_minute scheduled__2026-01-01T00:00:00+00:00 first -1"],
        dashboard=[
            {"metric": "SnapshotAgeSeconds", "statistic": "Maximum", "value": 31.0},
            {"metric": "DrillsFailed", "statistic": "Sum", "value": None},
        ],
        snapshot={"snapshot": "20260528T202640Z-0a1b2c3d", "rows in the snapshot": 13724},
    )
