"""What a task of Airflow 3 can ask for without the database: values of connections and variables as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from continuity.errors import ContinuityError

FIELDS = ("conn_type", "host", "schema", "login", "password", "port", "extra")


class TaskSdk:
    """The Task SDK of the running task. A secrets backend that has the same name goes first, as for every task."""

    def connection(self, conn_id: str) -> dict[str, str | None]:
        """Fields of a connection as text, None for those without a value. Raises ContinuityError naming it."""
        from airflow.sdk import Connection
        from airflow.sdk.exceptions import AirflowRuntimeError

        try:
            from airflow.sdk.exceptions import AirflowNotFoundException
        except ImportError:  # before Airflow 3.1
            from airflow.exceptions import AirflowNotFoundException

        try:
            found = Connection.get(conn_id)
        except (AirflowNotFoundException, AirflowRuntimeError):
            raise ContinuityError(f"connection {conn_id!r} is there, and a task cannot read it now") from None
        values = {name: getattr(found, name) for name in FIELDS}
        return {name: None if value is None else str(value) for name, value in values.items()}

    def variable(self, key: str) -> str:
        """Value of a variable. Raises ContinuityError naming it."""
        value = self.find_variable(key)
        if value is None:
            raise ContinuityError(f"variable {key!r} is there, and a task cannot read it now")
        return value

    def find_variable(self, key: str) -> str | None:
        """Value of a variable, None where there is none."""
        from airflow.sdk import Variable

        value: Any = Variable.get(key, default=None)
        return None if value is None else str(value)

    def remember(self, key: str, value: Mapping[str, Any], description: str) -> None:
        """Insert or replace a variable of our own. Raises ContinuityError where it is not there afterwards."""
        from airflow.sdk import Variable

        text = json.dumps(value)
        Variable.set(key, text, description)  # where Airflow refuses it, it logs that and returns
        if self.find_variable(key) != text:
            raise ContinuityError(f"variable {key!r} cannot be written by a task now")

    def forget(self, key: str) -> None:
        """Delete a variable of our own. Raises ContinuityError where it is there all the same."""
        from airflow.sdk import Variable

        Variable.delete(key)  # where Airflow refuses it, it logs that and returns
        if self.find_variable(key) is not None:
            raise ContinuityError(f"variable {key!r} cannot be deleted by a task now")
