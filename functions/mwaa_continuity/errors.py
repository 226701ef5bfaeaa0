"""Errors that a state machine sees by their class name.

Messages name what was wrong and what is accepted. They never hold task tokens or configuration values.
"""

from __future__ import annotations


class ContinuityError(Exception):
    """Base of every error that the functions raise on purpose."""


class BadInput(ContinuityError):
    """A field of the event, or a variable of the function, is missing or wrong."""


class Transient(ContinuityError):
    """A service did not answer or asked to slow down: the same call may work in a moment."""


class AwsRefused(ContinuityError):
    """A service refused a call for good, for example by AccessDenied."""


class RestApiRefused(ContinuityError):
    """Airflow's REST API answered with an error of the caller (4xx).

    `status` is that of HTTP, 0 where the call did not get as far as Airflow; `invalid`: because of what was in it.
    """

    def __init__(self, message: str, status: int = 0, *, invalid: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.invalid = invalid


class RestApiUnavailable(Transient):
    """Airflow's REST API did not answer, or answered with an error of its own (5xx).

    `throttled`: the call was not passed on; else nobody can tell whether it was served.
    """

    def __init__(self, message: str, *, throttled: bool = False) -> None:
        super().__init__(message)
        self.throttled = throttled


class DagNotReady(ContinuityError):
    """A metadata DAG is not parsed, or is paused."""


class DagRunIsOver(ContinuityError):
    """The DAG run that should answer has ended already: nobody will answer."""


class LeaseLost(ContinuityError):
    """The lease does not belong to the execution that acts on it."""


class QuestionClosed(ContinuityError):
    """Nobody waits for this answer: it was given already, came too late, or nothing was asked."""


class NotGivenBack(ContinuityError):
    """The lease stays where it is; the message says why."""


class HibernationLost(ContinuityError):
    """The hibernation or resume does not belong to the execution that goes on with it."""


class HandOverFailed(ContinuityError):
    """The other Region did not hand its work over; it went on with it, unless the message says otherwise."""


class PutBackFailed(ContinuityError):
    """The other Region's DAGs are paused, and could not be unpaused again."""


class StandDownFailed(ContinuityError):
    """The other Region's environment could not be removed."""


class BadSpec(ContinuityError):
    """A CreateEnvironment document, or what it refers to, is missing or not what MWAA accepts."""


class NoSpec(BadSpec):
    """There is no spec yet that an environment could be made of."""


class CannotBeUpdated(ContinuityError):
    """An environment differs from its spec in what MWAA cannot change."""


class EnvironmentNotUsable(ContinuityError):
    """An environment stands in the way: it failed to be created, or is being deleted."""


class RefreshAtWork(ContinuityError):
    """The standby is being refreshed: what else would restore into it waits."""


class SnapshotRefused(ContinuityError):
    """A snapshot is incomplete or altered."""


class SnapshotIncomplete(SnapshotRefused):
    """An object of a snapshot, or of its base, is not there in its size: not any more, or not yet."""


class SnapshotUnreadable(SnapshotRefused):
    """An object of a snapshot cannot be read: that says nothing of the snapshot."""


class SnapshotsExist(ContinuityError):
    """An environment is to be created empty, and there are snapshots that it may have to come back from."""


class DestroyRefused(ContinuityError):
    """A destroy by Terraform would break the environment, or lose what it comes back from."""


class NoSnapshot(ContinuityError):
    """There is no snapshot that can be restored."""
