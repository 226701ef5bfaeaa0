"""What the workload uses of Airflow, from where the running version keeps it: 3.x has moved it to its Task SDK."""

from __future__ import annotations

from typing import Any

from airflow import __version__

try:
    from airflow.providers.standard.triggers.file import FileTrigger
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger
    from airflow.sdk import (
        Asset,
        BaseOperator,
        Connection,
        PokeReturnValue,
        Variable,
        dag,
        get_current_context,
        task,
    )

    def connection(name: str) -> Any:
        """A connection by its id."""
        return Connection.get(name)

except ImportError:
    from airflow.datasets import Dataset as Asset
    from airflow.decorators import dag, task
    from airflow.hooks.base import BaseHook
    from airflow.models import Variable
    from airflow.models.baseoperator import BaseOperator
    from airflow.operators.python import get_current_context
    from airflow.sensors.base import PokeReturnValue
    from airflow.triggers.file import FileTrigger
    from airflow.triggers.temporal import DateTimeTrigger

    def connection(name: str) -> Any:
        """A connection by its id."""
        return BaseHook.get_connection(name)


#: Airflow 3.0 fails a task that has None among several outputs: it sends its API server no value at all.
SENDS_NONE = not __version__.startswith("3.0.")

__all__ = [
    "SENDS_NONE",
    "Asset",
    "BaseOperator",
    "DateTimeTrigger",
    "FileTrigger",
    "PokeReturnValue",
    "Variable",
    "connection",
    "dag",
    "get_current_context",
    "task",
]
