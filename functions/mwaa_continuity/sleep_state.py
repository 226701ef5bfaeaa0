"""The item that says whether the environment is awake or asleep, and who changes that ("The lease table")."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from mwaa_continuity.items import notation, write_if_unchanged

AWAKE: Final = "awake"
HIBERNATING: Final = "hibernating"
ASLEEP: Final = "asleep"
RESUMING: Final = "resuming"


@dataclass(frozen=True)
class SleepState:
    """Whether the environment is there."""

    state: str = AWAKE
    since: int = 0  #: epoch seconds of the last change of state
    phase_since: int = 0  #: epoch seconds since which it has been there, or gone; 0 where nobody knows
    execution: str = ""  #: ARN of the execution that changes the state, or changed it last
    snapshot_id: str = ""  #: what brings a sleeping environment back
    stay_awake_until: int = 0  #: epoch seconds, 0: no wish


def key(region: str) -> dict[str, Any]:
    """The key of a Region's item."""
    return {"pk": {"S": f"hibernation#{region}"}, "sk": {"S": "hibernation"}}


def read_state(dynamodb: Any, table: str, region: str) -> SleepState | None:
    """The item, or none where nothing ever hibernated."""
    item = dynamodb.get_item(TableName=table, Key=key(region), ConsistentRead=True).get("Item")
    if item is None:
        return None
    return SleepState(
        state=item["state"]["S"],
        since=int(item["since"]["N"]),
        phase_since=int(item["phase_since"]["N"]),
        execution=item["execution"]["S"],
        snapshot_id=item["snapshot_id"]["S"],
        stay_awake_until=int(item["stay_awake_until"]["N"]),
    )


def write_state(dynamodb: Any, table: str, region: str, seen: SleepState | None, wanted: SleepState) -> bool:
    """Write the item if it still is what was seen. False if somebody else was faster."""
    return write_if_unchanged(
        dynamodb, table, key(region), notation(asdict(seen)) if seen else None, notation(asdict(wanted))
    )
