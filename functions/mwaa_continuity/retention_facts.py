"""What retention knows of each snapshot, kept from call to call so that a manifest is read once.

The ledger, `work/<environment>/retention/facts.json`, is a cache: where it is lost, everything is read again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws, retention_tags, snapshots
from mwaa_continuity.errors import SnapshotIncomplete, SnapshotRefused, SnapshotUnreadable
from mwaa_continuity.manifest import FULL
from mwaa_continuity.retention_plan import BAD, GOOD, INCOMPLETE, UNVERIFIED, Fact

#: What is not good may become so: it is read back, repaired, or still arrives. It is looked at again after an hour.
LOOK_AGAIN_SECONDS: Final = 3600

#: What is tagged and still there after so long got objects since, by replication for one, and is tagged again.
TAG_AGAIN_SECONDS: Final = 14 * 86400


class TooMany(Exception):
    """The call has read as many snapshots as it may."""


@dataclass
class Facts:
    """Facts and marks of the snapshots of a bucket; a mark says that a tag was begun (false) or is done (true)."""

    s3: Any
    bucket: str
    environment: str
    now: float  #: epoch seconds
    left: int  #: snapshots that may still be read
    known: dict[str, Fact] = field(default_factory=dict)
    looked_at: dict[str, float] = field(default_factory=dict)
    marks: dict[str, bool] = field(default_factory=dict)
    marked_at: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, s3: Any, bucket: str, environment: str, now: float, left: int) -> Facts:
        """As the last call left them; empty where there is no ledger or it cannot be understood."""
        facts = cls(s3, bucket, environment, now, left)
        try:
            body = s3.get_object(Bucket=bucket, Key=facts.key)["Body"].read()
        except ClientError as error:
            if aws.is_absent(error):
                return facts
            raise
        try:
            document = json.loads(body)
            facts.known = {found: Fact(**values) for found, values in document["known"].items()}
            facts.looked_at = {found: document["looked_at"][found] for found in facts.known}
            facts.marks = dict(document["marks"])
            facts.marked_at = {found: document["marked_at"][found] for found in facts.marks}
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls(s3, bucket, environment, now, left)
        return facts

    @property
    def key(self) -> str:
        """Where the ledger is: no request id has a slash, so no task token is ever stored there."""
        return f"work/{self.environment}/retention/facts.json"

    def save(self) -> None:
        """For the next call."""
        document = {
            "known": {found: asdict(fact) for found, fact in self.known.items()},
            "looked_at": self.looked_at,
            "marks": self.marks,
            "marked_at": self.marked_at,
        }
        self.s3.put_object(
            Bucket=self.bucket, Key=self.key, Body=json.dumps(document).encode(), ContentType="application/json"
        )

    def forget_all_but(self, ids: Iterable[str]) -> None:
        """Forget what has expired, and marks that have not come to anything."""
        listed = set(ids)
        old = {found for found, at in self.marked_at.items() if self.now - at > TAG_AGAIN_SECONDS}
        for kept in (self.known, self.looked_at, self.marks, self.marked_at):
            for gone in [found for found in kept if found not in listed or found in old]:
                del kept[gone]

    def of(self, snapshot_id: str) -> Fact:
        """What is known of a snapshot, read where it must be. Raises `TooMany`."""
        fact = self.known.get(snapshot_id)
        age = self.now - self.looked_at.get(snapshot_id, -math.inf)
        if fact and (fact.state == GOOD or age < LOOK_AGAIN_SECONDS):
            return fact
        if not self.left:
            raise TooMany
        self.left -= 1
        self.read_mark(snapshot_id)
        self.known[snapshot_id] = self.read(snapshot_id)
        self.looked_at[snapshot_id] = self.now
        return self.known[snapshot_id]

    def read(self, snapshot_id: str) -> Fact:
        """What a snapshot is now. Raises `SnapshotUnreadable` where that says nothing of the snapshot."""
        try:
            claimed, read_back = snapshots.prove_present(self.s3, self.bucket, self.environment, snapshot_id)
        except SnapshotUnreadable:
            raise
        except SnapshotIncomplete:
            return Fact(INCOMPLETE)
        except SnapshotRefused:
            return Fact(BAD)
        return Fact(GOOD if read_back else UNVERIFIED, claimed.mode == FULL, claimed.base, claimed.size)

    def read_mark(self, snapshot_id: str) -> bool:
        """Whether a snapshot bears the tag, asked now. Its manifest is tagged first, so that tells of all of it."""
        tagged = retention_tags.is_tagged(self.s3, self.bucket, snapshots.prefix(self.environment, snapshot_id))
        if tagged and snapshot_id not in self.marks:
            self.mark([snapshot_id])
        return tagged

    def marked(self, snapshot_id: str) -> bool:
        """Whether a tag was begun, or is done."""
        return snapshot_id in self.marks

    def mark_is_done(self, snapshot_id: str) -> bool:
        """Whether all objects of a snapshot bear the tag."""
        return self.marks.get(snapshot_id, False)

    def mark(self, ids: Iterable[str]) -> None:
        """Tags are begun."""
        begun = dict.fromkeys(ids, False)
        self.marks |= begun
        self.marked_at |= dict.fromkeys(begun, self.now)

    def mark_done(self, snapshot_id: str) -> None:
        """Every object of a snapshot bears the tag."""
        self.marks[snapshot_id] = True

    def unmark(self, snapshot_id: str) -> None:
        """No object of a snapshot bears the tag."""
        self.marks.pop(snapshot_id, None)
        self.marked_at.pop(snapshot_id, None)
