"""What a dry run found, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

BY_ITSELF: Final[Mapping[str, str]] = {
    "failover": "heartbeat_check would start a failover now",
    "ask": "heartbeat_check would ask a person now",
    "nothing": "heartbeat_check would start none now",
}
TARGET: Final[Mapping[str, str]] = {
    "create": "would be created",
    "adopt": "is there and would be used",
    "wait": "is there, and would be waited for",
    "refuse": "cannot be used",
}
UNSEEN: Final = (
    "Its database was not looked at: where it holds what went live or ran, the restore is refused unless the failover's"
    " input says replace."
)


def told(found: Mapping[str, Any], obstacles: Sequence[str]) -> str:
    """The whole of it, for a notice."""
    where = f"the MWAA environment {found['environment']} to {found['region']}"
    outcome = f"would end without success, because of {'; '.join(obstacles)}" if obstacles else "would go ahead"
    return " ".join(
        (
            f"Dry run of a failover of {where}: nothing was changed. Started by hand, it {outcome}.",
            f"Evidence: the primary is {found['evidence']['verdict']}. {found['evidence']['why']}",
            f"By itself: {BY_ITSELF[found['by_itself']['would']]}, because {found['by_itself']['why']}.",
            f"Lease: {found['lease']['why']} (holder {found['lease']['holder'] or 'nobody'}).",
            snapshot(found["snapshot"]),
            target(found["target"], found["strategy"]),
            checks(found["preflight"]),
        )
    )


def snapshot(chosen: Mapping[str, Any]) -> str:
    """Which snapshot, and what would be lost or run again."""
    if chosen["snapshot_id"] is None:
        return f"Snapshot: {chosen['why']}."
    rejected = len(chosen["rejected"])
    newer = f" {rejected} others were refused: {chosen['rejected'][0]['why']}." if rejected else ""
    return (
        f"Snapshot: {chosen['snapshot_id']}, cut at {chosen['cut_at']}, restored as {chosen['restore_mode']};"
        f" the work of {chosen['rpo_seconds']} seconds would run again or be lost.{newer}"
    )


def target(environment: Mapping[str, Any], strategy: str) -> str:
    """What becomes of the environment."""
    status = f" ({environment['status']})" if environment["status"] else ""
    source = f" from {environment['spec_source']}" if environment["spec_source"] else ""
    why = f": {environment['why']}" if environment["would"] == "refuse" else ""
    database = f" {UNSEEN}" if environment["would"] in ("adopt", "wait") else ""
    return f"Environment: it {TARGET[environment['would']]}{source}{status}{why}; the strategy is {strategy}.{database}"


def checks(preflight: Mapping[str, Any]) -> str:
    """What a preflight says."""
    failed = preflight["failed"]
    if not failed:
        return f"Preflight: all {preflight['made']} checks passed."
    named = "; ".join(f"{check['name']}: {check['found']}" for check in failed)
    return f"Preflight: {len(failed)} of {preflight['made']} checks failed: {named}."
