"""Whether this Region's environment takes events now; if not, why, and for how long a message waits.

What is delivered after the cut of the snapshot that brings the environment back would be lost with it: so nothing is
delivered while the environment is being put away, is away, or comes back, or while another Region is active.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws
from mwaa_continuity.environments import USABLE, existing_environment
from mwaa_continuity.lease_table import Lease, read_lease
from mwaa_continuity.log import Log
from mwaa_continuity.settings import Settings, optional_variable, variable
from mwaa_continuity.sleep_state import ASLEEP, AWAKE, RESUMING, SleepState, read_state
from mwaa_continuity.snapshots import taken_at
from mwaa_continuity.trigger_ledger import Lost
from mwaa_continuity.trigger_queue import LATER, SOON

#: A Region that took the lease restores for longer than this before it delivers anything itself; the other one may
#: have delivered for so long before it saw that the lease was gone.
OVERLAP_SECONDS: Final = 60


@dataclass(frozen=True)
class Closed:
    """Why nothing is delivered now."""

    why: str
    longest: int  #: seconds a message waits at most before it is looked at again
    elsewhere: bool = False  #: another Region delivers
    expected: bool = True  #: nobody needs to be told that events wait


class Gate:
    """Asked before each delivery; what MWAA says of the environment is asked once."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self.settings = settings
        self.log = log
        self.lost = Lost()
        self._dynamodb = aws.client("dynamodb")
        self._environment: dict[str, Any] | None = None
        self._known_by = variable("KNOWN_BY")
        self._looks: dict[str, Callable[[], Closed | None]] = {
            "lease": self._by_lease,
            "hibernation": self._by_hibernation,
            "environment": lambda: None,
        }

    def closed(self) -> Closed | None:
        """Why nothing is delivered now, or none."""
        return self._looks[self._known_by]() or self._by_environment()

    @property
    def airflow_version(self) -> str:
        """Of the environment, once the gate was found open."""
        return str((self._environment or {})["AirflowVersion"])

    def _by_environment(self) -> Closed | None:
        if self._environment is None:
            self._environment = existing_environment(self.settings.environment)
        status = self._environment["Status"] if self._environment else "not there"
        return None if status in USABLE else Closed(f"the environment is {status}", SOON, expected=False)

    def _by_lease(self) -> Closed | None:
        lease = read_lease(self._dynamodb, variable("LEASE_TABLE"))
        if lease.holder and lease.holder != self.settings.region:
            return Closed(f"{lease.holder} is active", LATER, elsewhere=True)
        if lease.holder and not lease.live:
            return Closed("the failover has not gone live", SOON)
        self.lost = lost_by(lease)
        return None

    def _by_hibernation(self) -> Closed | None:
        state = read_state(self._dynamodb, variable("LEASE_TABLE"), self.settings.region) or SleepState()
        if state.state == AWAKE:
            return None
        if state.state in (ASLEEP, RESUMING):
            self._wake(state)
        return Closed(f"the environment is {state.state}", LATER if state.state == ASLEEP else SOON)

    def _wake(self, state: SleepState) -> None:
        """Bring the environment back, where that is asked for: once an hour at most, by the name of the execution.

        A resume that is at work lets no second one begin.
        """
        machine = optional_variable("RESUME_ARN")
        if machine is None:
            return
        slot = int(time.time()) // 3600
        try:
            aws.client("stepfunctions").start_execution(
                stateMachineArn=machine, name=f"event-{state.phase_since}-{slot}", input="{}"
            )
        except ClientError as error:
            if aws.code(error) == "ExecutionAlreadyExists":
                return
            raise
        self.log.info("wake", why="an event waits", status=state.state)


def lost_by(lease: Lease) -> Lost:
    """What a failover lost: deliveries since the snapshot that it restored was begun."""
    if not lease.snapshot_id:
        return Lost()
    return Lost(int(taken_at(lease.snapshot_id).timestamp()), lease.since + OVERLAP_SECONDS)
