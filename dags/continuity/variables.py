"""What the engine remembers in the metadata database: Airflow variables of its own, one JSON object each.

They hold nothing secret and are not encrypted, so that people and other programs can read them. Their names start with
`continuity_`, which keeps them out of snapshots.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def read(cursor: Any, key: str, lock: bool = False) -> Any:
    """The value, None where there is no such variable; `lock` keeps others from changing it until the transaction ends.

    Raises ValueError where it is no JSON.
    """
    statement = "SELECT val FROM variable WHERE key = %s"
    cursor.execute(statement + " FOR UPDATE" if lock else statement, (key,))
    row = cursor.fetchone()
    return json.loads(row[0]) if row else None


def write(cursor: Any, key: str, value: Mapping[str, Any], description: str) -> None:
    """Insert or replace the variable within the caller's transaction."""
    cursor.execute(
        """INSERT INTO variable (key, val, description, is_encrypted) VALUES (%s, %s, %s, false)
        ON CONFLICT (key) DO UPDATE SET val = EXCLUDED.val, is_encrypted = false""",
        (key, json.dumps(value), description),
    )
