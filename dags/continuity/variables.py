"""What the engine remembers in the metadata database: Airflow variables of its own, one JSON object each.

They hold nothing secret and are not encrypted, so that people and other programs can read them. Their names start with
`continuity_`, which keeps them out of snapshots.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from continuity import connect
from continuity.errors import UnreadableSecret


def read(cursor: Any, key: str, lock: bool = False) -> Any:
    """The value, None where there is no such variable; `lock` keeps others from changing it until the transaction ends.

    Raises ValueError where it is no JSON, UnreadableSecret where it cannot be decrypted.
    """
    statement = "SELECT val, is_encrypted FROM variable WHERE key = %s"
    cursor.execute(statement + " FOR UPDATE" if lock else statement, (key,))
    row = cursor.fetchone()
    if row is None:
        return None
    value, is_encrypted = row
    if is_encrypted:  # written by way of Airflow, when the database could not be reached
        value = _opened(value, key)
    return json.loads(value)


def _opened(value: str, key: str) -> str:
    try:
        keys = connect.fernet_keys()
    except ImportError:
        raise UnreadableSecret(f"variable {key} is encrypted, and there is no Airflow here to decrypt it") from None
    return keys.decrypt(value, f"variable {key}")


def write(cursor: Any, key: str, value: Mapping[str, Any], description: str) -> None:
    """Insert or replace the variable within the caller's transaction."""
    cursor.execute(
        """INSERT INTO variable (key, val, description, is_encrypted) VALUES (%s, %s, %s, false)
        ON CONFLICT (key) DO UPDATE SET val = EXCLUDED.val, is_encrypted = false""",
        (key, json.dumps(value), description),
    )


def forget(cursor: Any, key: str) -> None:
    """Delete the variable within the caller's transaction."""
    cursor.execute("DELETE FROM variable WHERE key = %s", (key,))
