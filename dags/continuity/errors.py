"""What the engine raises on purpose. No message ever holds a secret value."""

from __future__ import annotations

from collections.abc import Sequence

BAD_INPUT = "Continuity.BadInput"
SNAPSHOT_FAILED = "Continuity.SnapshotFailed"
RESTORE_FAILED = "Continuity.RestoreFailed"
GO_LIVE_FAILED = "Continuity.GoLiveFailed"
DRAIN_FAILED = "Continuity.DrainFailed"
UNDRAIN_FAILED = "Continuity.UndrainFailed"
DRILL_FAILED = "Continuity.DrillFailed"


class ContinuityError(Exception):
    """Something the engine refuses to do, or could not do; the message says what and where."""


class BadInput(ContinuityError):
    """A field of a run configuration or of the settings, or an attribute of the lease item, is missing or wrong."""

    def __init__(self, field: str, wrong: str, accepted: str) -> None:
        super().__init__(f"{field}: {wrong}; accepted: {accepted}")
        self.field = field


class SnapshotDamaged(ContinuityError):
    """An object of a snapshot is missing, altered or truncated."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"snapshot object {name}: {why}")
        self.name, self.why = name, why


class AccessRefused(ContinuityError):
    """S3 refuses to show an object: whether it is there cannot be told, so nothing may go by its absence."""

    def __init__(self, where: str, code: str) -> None:
        super().__init__(
            f"{where} cannot be read ({code}): the execution role needs s3:GetObject on it, s3:ListBucket on its "
            "bucket and kms:Decrypt under its key"
        )


class KeyRefused(ContinuityError):
    """The key service does not open a snapshot's data key: nothing is said about the snapshot."""

    def __init__(self, key_id: str | None, code: str) -> None:
        super().__init__(
            f"the snapshot's data key cannot be opened with {key_id or 'the key it is under'} ({code}): it must be the "
            "multi-Region key of the environment, or its replica in this Region, and kms:Decrypt on it be allowed"
        )


class DatabaseUnreachable(ContinuityError):
    """The metadata database does not let us in, or does not answer; `may_pass`: it may later."""

    def __init__(self, why: str, *, may_pass: bool = True) -> None:
        super().__init__(why)
        self.may_pass = may_pass


class NobodyWaits(ContinuityError):
    """The state machine that asked for this has given it up; whoever asked after it gets the answer."""


class NoBase(ContinuityError):
    """There is no base that this snapshot could complete; it becomes one."""


class UnreadableSecret(ContinuityError):
    """A value cannot be decrypted with the environment's Fernet keys."""


class RestoreRefused(ContinuityError):
    """Restoring would lose or overwrite something; nothing was changed."""


class StillExecuting(ContinuityError):
    """Task instances still executed when the time of a drain was over, so it was called off; every flag is back."""


class RecordUnreadable(ContinuityError):
    """The record of a drain is there and nobody can read it: which DAGs it paused cannot be told."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            f'variable {variable} is no record of a drain ({{"drained_at": "ISO 8601", "paused": ["<dag_id>", ...]}}), '
            "so nobody can tell which DAGs were paused by it: write one that says, or unpause the DAGs and delete it"
        )


class PruneRefused(ContinuityError):
    """Nothing may be deleted now: no verified base, another Region's lease, or a restore that is not done."""


class ExportRefused(ContinuityError):
    """Nothing counts as exported to the lake now: another export was faster, or a restore is not done."""


class HeldElsewhere(ContinuityError):
    """Another Region holds the lease: what would start work here, or change flags that are the guard's, is refused."""


class LeaseUnreadable(ContinuityError):
    """The lease table does not answer: what was so far goes on, unless `done` says what followed."""

    def __init__(self, table: str, region: str, why: str, done: str = "nothing was changed") -> None:
        super().__init__(f"the lease cannot be read from table {table} in {region}: {why}; {done}")
        self.table, self.region, self.why = table, region, why


class DagsOutOfReach(ContinuityError):
    """DAGs that were neither paused nor unpaused, while all others were."""

    def __init__(self, dag_ids: Sequence[str], paused: bool) -> None:
        wanted = "paused" if paused else "unpaused"
        super().__init__(f"these DAGs cannot be {wanted} without the database: {', '.join(dag_ids)}")
        self.dag_ids = tuple(dag_ids)


class RestRefused(ContinuityError):
    """Airflow's REST API does not do what it was asked for; `status` is the HTTP status, 0 where there was none."""

    def __init__(self, what: str, code: str, status: int) -> None:
        super().__init__(f"{what} by InvokeRestApi: {code}" + (f", HTTP status {status}" if status else ""))
        self.code, self.status = code, status

    @property
    def may_pass(self) -> bool:
        """Whether the same call may go well later."""
        return self.status >= 500 or (self.status == 0 and self.code not in LASTING)

    @property
    def may_be_size(self) -> bool:
        """Whether a smaller answer may be given."""
        return self.status in (413, 500, 502, 504) or self.code == "ValidationException"


#: What AWS says of calls that will not go well however often they are made.
LASTING = frozenset({"AccessDeniedException", "ResourceNotFoundException", "ValidationException"})
