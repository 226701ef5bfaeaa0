"""The beat: one item per minute that says that scheduler and worker of this Region do their work."""

from __future__ import annotations

import time
from typing import Any

from continuity.settings import Settings

DAG_ID = "continuity_beat"
DAY = 86_400


def put_beat(dynamodb: Any, settings: Settings, now: float | None = None) -> dict[str, Any]:
    """Write the beat of this minute; returns the item."""
    at = int(time.time() if now is None else now)
    item = {
        "pk": {"S": f"beat#{settings.region}"},
        "sk": {"S": f"{at // 60:010d}"},
        "beat_at": {"N": str(at)},
        "expires_at": {"N": str(at + DAY)},
    }
    dynamodb.put_item(TableName=settings.lease_table, Item=item)
    return item
