"""Ask a DAG's own timetable when its runs are due, from what Airflow keeps of the DAG."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from continuity.errors import ContinuityError


@dataclass(frozen=True)
class Due:
    """A run that a schedule asks for: its data interval, which begins at its logical date, and when it is due."""

    start: datetime
    end: datetime
    run_after: datetime


class Schedule(Protocol):
    """When the runs of one DAG are due."""

    def after(self, last: Due | None) -> Due | None:
        """The run after that one, or the first; None where there is none."""


#: Opens the schedule of a DAG from its serialized form. Raises NoSchedule.
Open = Callable[[Any], Schedule]


class NoSchedule(ContinuityError):
    """Runs of the DAG are told by something else than dates, or its timetable cannot be asked."""


class AirflowSchedule:
    """What the installed Airflow makes of a serialized DAG. Timetables of users come with their plugins."""

    def __init__(self, document: Any) -> None:
        try:
            from airflow.serialization import serialized_objects
            from airflow.timetables.base import DagRunInfo, DataInterval
        except ImportError:
            raise NoSchedule("there is no Airflow here to ask for its schedule") from None
        reader = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
        try:
            self._dag = reader.from_dict(document)
        except Exception as error:  # noqa: BLE001  (a timetable is a user's code, and may raise anything)
            raise NoSchedule(f"its schedule cannot be read here: {type(error).__name__}") from None
        if getattr(self._dag.timetable, "partitioned", False):
            raise NoSchedule("its runs are told by partitions, not by dates")
        self._interval: Any = DataInterval
        self._info: Any = DagRunInfo

    def after(self, last: Due | None) -> Due | None:
        """As for `Schedule`. Airflow itself answers none where a timetable fails."""
        if hasattr(self._dag.timetable, "next_dagrun_info_v2"):  # Airflow 3.3
            found = self._dag.next_dagrun_info(last_automated_run_info=self._told(last))
        else:
            found = self._dag.next_dagrun_info(last and self._of(last))
        if found is None or found.data_interval is None:
            return None
        return Due(found.data_interval.start, found.data_interval.end, found.run_after)

    def _of(self, last: Due) -> Any:
        import pendulum

        return self._interval(pendulum.instance(last.start), pendulum.instance(last.end))

    def _told(self, last: Due | None) -> Any:
        import pendulum

        return last and self._info(run_after=pendulum.instance(last.run_after), data_interval=self._of(last))


def plain(data: Any, compressed: Any) -> Any:
    """The serialized DAG from the two columns that may hold it."""
    return data if data is not None else json.loads(zlib.decompress(bytes(compressed)))
