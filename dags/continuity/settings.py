"""Settings of this Region, and the run configuration (`conf`) of the metadata DAGs: checked before anything is
touched."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from continuity.errors import BadInput

SNAPSHOT_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=@-]{0,199}")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
IN_FLIGHT = ("rerun", "fail")
TABLE_VERDICTS = ("carry", "skip")
DEFAULT_PARSE_DEADLINE = 900
#: Hours until a snapshot is a base again, whatever changed since the last one.
DEFAULT_BASE_INTERVAL = 24
LONGEST_BASE_INTERVAL = 168
#: Days of history that pruning leaves in the database.
DEFAULT_HISTORY_DAYS = 90
LONGEST_HISTORY_DAYS = 36_500
LONGEST_DRAIN_MINUTES = 1440
DEFAULT_DRILL_MINUTES, LONGEST_DRILL_MINUTES = 60, 1440
#: What the guard of a Region does that cannot tell, for so many minutes, whether it still holds the lease.
KEEP, PAUSE = "keep", "pause"
DEFAULT_STALE_MINUTES, LONGEST_STALE_MINUTES = 5, 1440
#: What a drain does when its time is over and something still executes.
CANCEL = "cancel"
WHEN_LATE = (CANCEL, "snapshot")

#: Of the runs that fell due while the environment slept: all run, the last one of each DAG, or none.
ALL_RUNS, LATEST_RUN, NO_RUN = "all", "latest", "none"
CATCHUP = (ALL_RUNS, LATEST_RUN, NO_RUN)

#: What a snapshot holds, and what a restore carries: all there is, or what any Airflow version can take up.
FULL = "full"
PORTABLE = "portable"
MODES = (FULL, PORTABLE)


@dataclass(frozen=True)
class InFlight:
    """What becomes of task instances that were executing at the cut: `rerun` or `fail`, per DAG or by default."""

    default: str = "rerun"
    dags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Any, name: str) -> InFlight:
        document = _mapping(value, name, '{"default": "rerun", "dags": {"<dag_id>": "fail"}}')
        _no_other_keys(document, ("default", "dags"), name)
        default = _choice(document.get("default", "rerun"), f"{name}.default", IN_FLIGHT)
        dags = _mapping(document.get("dags", {}), f"{name}.dags", 'an object of DAG id to "rerun" or "fail"')
        return cls(default, {dag: _choice(verdict, f"{name}.dags.{dag}", IN_FLIGHT) for dag, verdict in dags.items()})


@dataclass(frozen=True)
class Prune:
    """How small `continuity_prune` keeps the database. schedule: of Airflow, None for never; history_days: what is
    older may go."""

    schedule: str | None = None
    history_days: int = DEFAULT_HISTORY_DAYS

    @classmethod
    def parse(cls, value: Any, name: str) -> Prune:
        document = _mapping(value, name, f'{{"schedule": null, "history_days": {DEFAULT_HISTORY_DAYS}}}')
        _no_other_keys(document, ("schedule", "history_days"), name)
        schedule = document.get("schedule")
        if schedule is not None:
            schedule = _text(schedule, f"{name}.schedule")
        return cls(schedule, _days(document.get("history_days", DEFAULT_HISTORY_DAYS), f"{name}.history_days"))


@dataclass(frozen=True)
class Lake:
    """Where `continuity_lake` exports run history to: objects of a bucket in its Region, below a prefix. schedule: of
    Airflow, None for never by itself."""

    bucket: str
    region: str
    prefix: str
    schedule: str | None = None

    @classmethod
    def parse(cls, value: Any, name: str) -> Lake:
        accepted = '{"bucket": "...", "region": "us-east-1", "prefix": "metadata/", "schedule": "@hourly"}'
        document = _mapping(value, name, accepted)
        _no_other_keys(document, ("bucket", "region", "prefix", "schedule"), name)
        texts = {field_: _text(document.get(field_), f"{name}.{field_}") for field_ in ("bucket", "region", "prefix")}
        if not REGION.fullmatch(texts["region"]):
            raise BadInput(f"{name}.region", f"{texts['region']!r} is no Region", "that of the bucket, as in us-east-1")
        if not texts["prefix"].endswith("/"):
            raise BadInput(f"{name}.prefix", f"{texts['prefix']!r} ends in no slash", 'a key prefix, as in "metadata/"')
        schedule = document.get("schedule")
        return cls(**texts, schedule=None if schedule is None else _text(schedule, f"{name}.schedule"))


@dataclass(frozen=True)
class PruneConf:
    """Checked run configuration of `continuity_prune`; history_days: None for that of the settings."""

    dry_run: bool = False
    history_days: int | None = None

    @classmethod
    def parse(cls, conf: Any) -> PruneConf:
        """Raises BadInput naming the field."""
        document = _mapping(conf, "conf", '{"dry_run": true, "history_days": 90}')
        _no_other_keys(document, ("dry_run", "history_days"), "conf")
        return cls(_flag(document, "dry_run"), _optional_days(document.get("history_days"), "conf.history_days"))


@dataclass(frozen=True)
class DrainConf:
    """Checked run configuration of `continuity_drain`: how long it waits, and what it does then."""

    minutes: int
    when_late: str

    @classmethod
    def parse(cls, conf: Any) -> DrainConf:
        """Raises BadInput naming the field."""
        document = _mapping(conf, "conf", '{"minutes": 30, "when_late": "cancel"}')
        _no_other_keys(document, ("request_id", "minutes", "when_late"), "conf")
        minutes = _whole(document.get("minutes"), "conf.minutes", "minutes", 0, LONGEST_DRAIN_MINUTES)
        return cls(minutes, _choice(document.get("when_late"), "conf.when_late", WHEN_LATE))


@dataclass(frozen=True)
class Settings:
    """What Terraform tells the metadata DAGs of one Region (`continuity/settings.<region>.json`).

    history_days: how many days before the cut the history reaches back that a restore carries, None for all;
    catchup_after_sleep: which of the runs that fell due until it went live run then;
    on_lease_unreachable: `keep` running or `pause`, where nobody marked the lease for `lease_stale_minutes`;
    lake: where run history is exported to, None for nowhere.
    """

    environment: str
    region: str
    snapshot_bucket: str
    kms_key: str
    lease_table: str
    dag_prefix: str = "dags/"
    tables: Mapping[str, str] = field(default_factory=dict)
    local_variables: tuple[str, ...] = ()
    local_connections: tuple[str, ...] = ()
    in_flight: InFlight = InFlight()
    base_interval_hours: int = DEFAULT_BASE_INTERVAL
    prune: Prune = Prune()
    history_days: int | None = None
    catchup_after_sleep: str = ALL_RUNS
    on_lease_unreachable: str = KEEP
    lease_stale_minutes: int = DEFAULT_STALE_MINUTES
    lake: Lake | None = None

    @classmethod
    def parse(cls, value: Any) -> Settings:
        """Raises BadInput naming the field."""
        document = _mapping(value, "settings", "a JSON object")
        required = ("environment", "region", "snapshot_bucket", "kms_key", "lease_table")
        optional = (
            *("dag_prefix", "tables", "local_variables", "local_connections", "in_flight"),
            *("base_interval_hours", "prune", "history_days", "catchup_after_sleep"),
            *("on_lease_unreachable", "lease_stale_minutes", "lake"),
        )
        _no_other_keys(document, required + optional, "settings")
        texts = {name: _text(document.get(name), f"settings.{name}") for name in required}
        tables = _mapping(document.get("tables", {}), "settings.tables", 'an object of table name to "carry" or "skip"')
        dag_prefix = document.get("dag_prefix", "dags/")
        if not isinstance(dag_prefix, str):
            raise BadInput("settings.dag_prefix", f"{dag_prefix!r} is no text", 'a key prefix, as in "dags/"')
        return cls(
            **texts,
            dag_prefix=dag_prefix,
            tables={
                name: _choice(verdict, f"settings.tables.{name}", TABLE_VERDICTS) for name, verdict in tables.items()
            },
            local_variables=_patterns(document.get("local_variables", []), "settings.local_variables"),
            local_connections=_patterns(document.get("local_connections", []), "settings.local_connections"),
            in_flight=InFlight.parse(document.get("in_flight", {}), "settings.in_flight"),
            base_interval_hours=_hours(
                document.get("base_interval_hours", DEFAULT_BASE_INTERVAL), "settings.base_interval_hours"
            ),
            prune=Prune.parse(document.get("prune", {}), "settings.prune"),
            history_days=_optional_days(document.get("history_days"), "settings.history_days"),
            catchup_after_sleep=_choice(
                document.get("catchup_after_sleep", ALL_RUNS), "settings.catchup_after_sleep", CATCHUP
            ),
            on_lease_unreachable=_choice(
                document.get("on_lease_unreachable", KEEP), "settings.on_lease_unreachable", (KEEP, PAUSE)
            ),
            lease_stale_minutes=_whole(
                document.get("lease_stale_minutes", DEFAULT_STALE_MINUTES),
                "settings.lease_stale_minutes",
                "minutes",
                1,
                LONGEST_STALE_MINUTES,
            ),
            lake=None if document.get("lake") is None else Lake.parse(document["lake"], "settings.lake"),
        )

    def local_patterns(self, table: str) -> tuple[str, ...]:
        """Patterns of the keys that belong to this Region alone, for the tables `variable` and `connection`."""
        return {"variable": self.local_variables, "connection": self.local_connections}.get(table, ())


def load_settings(folder: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings of the Region this worker runs in. Raises BadInput when they are missing or wrong."""
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    if not REGION.fullmatch(region):
        raise BadInput(
            "AWS_REGION", f"{region!r} is no Region", "AWS_REGION or AWS_DEFAULT_REGION of the worker, as in us-east-1"
        )
    path = (folder or Path(__file__).parent) / f"settings.{region}.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(
            f"continuity/{path.name}", "the file is missing", "the file Terraform uploads into the DAG folder"
        ) from None
    except ValueError as error:
        raise BadInput(
            f"continuity/{path.name}", f"it is no JSON ({error})", "the file as Terraform uploads it"
        ) from None
    settings = Settings.parse(document)
    if settings.region != region:
        raise BadInput("settings.region", f"{settings.region!r} is not the Region of this worker", repr(region))
    return settings


def prune_schedule() -> str | None:
    """When `continuity_prune` runs; None where the settings do not say. For its DAG file, which must always parse: what
    is wrong with settings the tasks tell."""
    try:
        return load_settings().prune.schedule
    except BadInput:
        return None


def lake_schedule() -> str | None:
    """When `continuity_lake` runs, as for `prune_schedule`."""
    try:
        lake = load_settings().lake
    except BadInput:
        return None
    return lake.schedule if lake else None


def parse_lake_conf(conf: Any) -> bool:
    """Whether a run of `continuity_lake` exports everything again. Raises BadInput naming the field."""
    document = _mapping(conf, "conf", '{"full": true}')
    _no_other_keys(document, ("full",), "conf")
    return _flag(document, "full")


@dataclass(frozen=True)
class RunConf:
    """Checked run configuration of a metadata DAG."""

    snapshot_id: str
    request_id: str | None = None
    in_flight: InFlight | None = None
    parse_deadline_seconds: int = DEFAULT_PARSE_DEADLINE
    mode: str = FULL
    history_days: int | None = None
    replace: bool = False
    refresh: bool = False
    minutes: int = DEFAULT_DRILL_MINUTES

    @classmethod
    def parse(cls, conf: Any, optional: tuple[str, ...] = ()) -> RunConf:
        """`optional`: the fields this DAG takes beyond `snapshot_id` and `request_id`. Raises BadInput naming the
        field."""
        document = _mapping(conf, "conf", '{"snapshot_id": "...", "request_id": "..."}')
        _no_other_keys(document, ("snapshot_id", "request_id", *optional), "conf")
        in_flight = document.get("in_flight")
        if document.get("refresh") is True and (document.get("replace") is True or document.get("mode") == PORTABLE):
            accepted = f'mode {FULL}, and no "replace": what ran is never deleted for a refresh'
            raise BadInput("conf.refresh", "it does not go with that", accepted)
        return cls(
            snapshot_id=parse_snapshot_id(document.get("snapshot_id"), "conf.snapshot_id"),
            request_id=parse_request_id(document),
            in_flight=InFlight.parse(in_flight, "conf.in_flight") if in_flight is not None else None,
            parse_deadline_seconds=_seconds(document.get("parse_deadline_seconds", DEFAULT_PARSE_DEADLINE)),
            mode=_choice(document.get("mode", FULL), "conf.mode", MODES),
            history_days=_optional_days(document.get("history_days"), "conf.history_days"),
            replace=_flag(document, "replace"),
            refresh=_flag(document, "refresh"),
            minutes=_whole(
                document.get("minutes", DEFAULT_DRILL_MINUTES), "conf.minutes", "minutes", 1, LONGEST_DRILL_MINUTES
            ),
        )


def parse_request_id(conf: Any) -> str | None:
    """The request to answer, None for a run started by hand. Read first of all, so that bad input can be answered
    too."""
    request_id = conf.get("request_id") if isinstance(conf, dict) else None
    if request_id is None:
        return None
    if not isinstance(request_id, str) or not REQUEST_ID.fullmatch(request_id):
        raise BadInput("conf.request_id", f"{request_id!r} is no request id", "up to 200 of A-Z a-z 0-9 . _ : + = @ -")
    return request_id


def refuse_more_than_request(conf: Any) -> None:
    """For a DAG that takes nothing but a request. Raises BadInput naming the field."""
    _no_other_keys(_mapping(conf, "conf", '{"request_id": "..."}'), ("request_id",), "conf")


def parse_snapshot_id(value: Any, name: str) -> str:
    if not isinstance(value, str) or not SNAPSHOT_ID.fullmatch(value):
        raise BadInput(
            name, f"{value!r} is no snapshot id", "YYYYMMDDTHHMMSSZ-<8 hex digits>, as in 20260131T235959Z-0a1b2c3d"
        )
    return value


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a variable's or connection's name is covered by one of the patterns (fnmatch, case-sensitive)."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _mapping(value: Any, name: str, accepted: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(name, "missing" if value is None else f"{type(value).__name__} is no object", accepted)
    return value


def _no_other_keys(document: Mapping[str, Any], known: tuple[str, ...], name: str) -> None:
    for key in document:
        if key not in known:
            raise BadInput(f"{name}.{key}", "unknown field", ", ".join(known))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadInput(name, "missing" if value is None else f"{value!r} is no text", "a non-empty text")
    return value


def _choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise BadInput(name, f"{value!r} is unknown", " or ".join(repr(choice) for choice in choices))
    return str(value)


def _flag(conf: Mapping[str, Any], name: str) -> bool:
    value = conf.get(name, False)
    if not isinstance(value, bool):
        raise BadInput(f"conf.{name}", f"{value!r} is neither", "true or false")
    return value


def _patterns(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(pattern, str) and pattern for pattern in value):
        raise BadInput(name, f"{value!r} is no list of patterns", 'a list of fnmatch patterns, as in ["region_*"]')
    return tuple(value)


def _seconds(value: Any) -> int:
    return _whole(value, "conf.parse_deadline_seconds", "seconds", 0, 86400)


def _days(value: Any, name: str) -> int:
    return _whole(value, name, "days", 1, LONGEST_HISTORY_DAYS)


def _optional_days(value: Any, name: str) -> int | None:
    return None if value is None else _days(value, name)


def _hours(value: Any, name: str) -> int:
    return _whole(value, name, "hours", 1, LONGEST_BASE_INTERVAL)


def _whole(value: Any, name: str, unit: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadInput(name, f"{value!r} is no number of {unit}", f"a whole number from {least} to {most}")
    return value
