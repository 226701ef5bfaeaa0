"""Whether a failback may begin, and where it goes on: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mwaa_continuity.environments import USABLE
from mwaa_continuity.lease_table import Lease

#: What a failback comes to when it begins.
GO: Final = "go"
RESUME: Final = "resume"
ALREADY_LIVE: Final = "already_live"
REFUSED: Final = "refused"

NO_ENVIRONMENT: Final = "absent"
SOME_ENVIRONMENT: Final = "there"


@dataclass(frozen=True)
class Decision:
    """What a failback comes to, and why where it is refused."""

    outcome: str
    why: str = ""


def of_lease(
    lease: Lease, region: str, peer: str, *, other_running: str | None, cooling_down: bool, force: bool
) -> Decision:
    """What the lease says; `other_running` is the name of another failback that is at work."""
    if lease.holder in ("", region) and (lease.live or not lease.holder):
        return Decision(ALREADY_LIVE)
    why = why_not(lease, region, peer, other_running, cooling_down=cooling_down and not force)
    if why:
        return Decision(REFUSED, why)
    return Decision(RESUME if lease.holder == region else GO)


def why_not(lease: Lease, region: str, peer: str, other_running: str | None, *, cooling_down: bool) -> str:
    """What stands in the way of a failback, or ""."""
    if lease.locked:
        return "the operator's lock of the lease is set: lift it"
    if other_running:
        return f"another failback is at work: {other_running}"
    if lease.holder not in (region, peer):
        return f"{lease.holder} holds the lease, which is neither {region} nor {peer}"
    if lease.holder == peer and not lease.live:
        return f"the failover to {peer} has not gone live: let it end, there is nothing to hand over"
    if lease.holder == peer and cooling_down:
        return "the lease changed hands within the cool-down: wait, or start with force true"
    return ""


def of_environments(here: str | None, there: str | None, *, terraform_owns: bool) -> Decision:
    """What the environments say, by their statuses; none where there is none. `here` is what goes live again."""
    if here is None and terraform_owns:
        why = "its environment here is gone, and belongs to Terraform: terraform apply here, then start again"
        return Decision(REFUSED, why)
    if here is not None and here not in USABLE:
        return Decision(REFUSED, f"its environment here is {here}; accepted: {' or '.join(USABLE)}")
    if there not in USABLE:
        return Decision(REFUSED, f"its environment in the other Region is {there or 'gone'}: nobody can drain it")
    return Decision(GO)
