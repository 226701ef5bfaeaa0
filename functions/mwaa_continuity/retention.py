"""retention: tag what is superseded in this Region's snapshot bucket; lifecycle rules expire what is tagged.

One call does a bounded part of the work and says whether there is more. docs/architecture.md, "Retention".
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from mwaa_continuity import app, aws, metrics, retention_plan, retention_tags, snapshots
from mwaa_continuity.app import Result
from mwaa_continuity.errors import SnapshotRefused, SnapshotUnreadable
from mwaa_continuity.events import Event
from mwaa_continuity.log import Log
from mwaa_continuity.manifest import Manifest
from mwaa_continuity.retention_facts import Facts, TooMany
from mwaa_continuity.retention_plan import GOOD, Plan, Policy
from mwaa_continuity.settings import Settings, optional_variable, variable, whole_number

#: Snapshots that one call tags, and snapshots that it reads: its time is enough for either many times over.
TAGGED_PER_CALL: Final = 100
READ_PER_CALL: Final = 1000

#: How many candidates the other Region is asked for; what is newer may still be on its way there.
ASKED_FOR: Final = 60


def handler(event: object, context: object) -> Result:
    """Lambda entry point; docs/architecture.md, "Functions", says what it answers."""
    return app.run("retention", {"": tag_superseded}, event, context)


def tag_superseded(_event: Event, log: Log) -> Result:
    """Tag what is superseded, and take the tag off what is kept after all."""
    settings = Settings.read()
    bucket = variable("SNAPSHOT_BUCKET")
    policy = Policy(**{name: whole_number(name.upper()) for name in ("all_hours", "daily", "weekly", "monthly")})
    s3, now = aws.client("s3"), time.time()
    ids = snapshots.newest_first(s3, bucket, settings.environment)
    facts = Facts.load(s3, bucket, settings.environment, now, READ_PER_CALL)
    facts.forget_all_but(ids)
    try:
        anchor, there = find_anchor(facts, ids, settings.environment)
        if anchor is None:
            facts.save()
            log.info("nothing tagged", outcome="nothing_newer", why="no snapshot is good in both Regions")
            return answer("nothing_newer")
        decided = retention_plan.plan(
            ids,
            facts.of,
            anchor=anchor,
            now=datetime.fromtimestamp(now, UTC),
            policy=policy,
            shared=there.__contains__,
        )
    except TooMany:
        facts.save()
        return answer("more")
    except PeerSilent as error:
        facts.save()
        log.warning("nothing tagged", outcome="no_answer", why=str(error))
        return answer("no_answer")
    return carry_out(decided, facts, settings.environment, anchor, log)


def carry_out(decided: Plan, facts: Facts, environment: str, anchor: str, log: Log) -> Result:
    """Tag a bounded part of what is superseded, newest first, so that deltas go before their base."""
    # Tags are replicated: what is chosen here may have been tagged by the other Region, which sees other snapshots.
    for found in decided.chosen:
        facts.read_mark(found)
    for found in [found for found in decided.kept if facts.marked(found)]:
        retention_tags.untag(facts.s3, facts.bucket, snapshots.prefix(environment, found))
        facts.unmark(found)
    due = [found for found in decided.superseded if not facts.mark_is_done(found)]
    now_due = due[:TAGGED_PER_CALL]
    facts.mark(now_due)
    facts.save()  # before anything is tagged: a call that is cut off leaves no tag that nobody knows of
    size = 0
    for found in now_due:
        size += retention_tags.tag(facts.s3, facts.bucket, snapshots.prefix(environment, found))
        facts.mark_done(found)
    facts.save()
    published = {
        "SnapshotsKept": len(decided.kept),
        "SnapshotsKeptBytes": sum(facts.of(found).size for found in decided.kept),
        "SnapshotsSuperseded": len(now_due),
        "SnapshotsSupersededBytes": size,
    }
    metrics.publish(aws.client("cloudwatch"), environment, published)
    log.info("tagged", anchor=anchor, kept=len(decided.kept), superseded=len(now_due), left=len(due) - len(now_due))
    outcome = "more" if len(due) > len(now_due) else "done"
    return answer(outcome, kept=len(decided.kept), superseded=len(now_due), size=size)


def answer(outcome: str, kept: int = 0, superseded: int = 0, size: int = 0) -> Result:
    """What a call came to."""
    return {"outcome": outcome, "kept": kept, "superseded": superseded, "superseded_bytes": size}


class PeerSilent(Exception):
    """The other Region does not answer, so that nothing may be tagged."""


def find_anchor(facts: Facts, ids: Sequence[str], environment: str) -> tuple[str | None, frozenset[str]]:
    """The newest snapshot that is good here and in the other Region now, and what that Region has.

    Raises `PeerSilent` where it does not answer. A standalone has itself only.
    """
    bucket = optional_variable("PEER_BUCKET")
    if bucket is None:
        return next((found for found, _ in good_ones(facts, ids)), None), frozenset(ids)
    peer = aws.client("s3", variable("PEER_REGION"), aws.QUICK)
    with asking_peer():
        there = frozenset(snapshots.newest_first(peer, bucket, environment))
    for found, here in islice(good_ones(facts, [found for found in ids if found in there]), ASKED_FOR):
        with asking_peer():
            if good(peer, bucket, environment, found) == here:
                return found, there
    return None, there


def good_ones(facts: Facts, ids: Sequence[str]) -> Iterator[tuple[str, Manifest]]:
    """Those that are good here, with their manifests, looked at again: the fact may be old."""
    for found in ids:
        if facts.of(found).state == GOOD and (claimed := good(facts.s3, facts.bucket, facts.environment, found)):
            yield found, claimed


def good(s3: Any, bucket: str, environment: str, snapshot_id: str) -> Manifest | None:
    """The manifest of a snapshot that is good in this bucket now, else none."""
    try:
        claimed, read_back = snapshots.prove_present(s3, bucket, environment, snapshot_id)
    except SnapshotUnreadable:
        raise
    except SnapshotRefused:
        return None
    return claimed if read_back else None


@contextmanager
def asking_peer() -> Iterator[None]:
    """Calls to the other Region. Raises `PeerSilent` where the same call may be answered later."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        if aws.is_transient(error):
            raise PeerSilent(str(aws.translated(error))) from None
        raise
