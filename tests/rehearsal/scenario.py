"""What the rehearsal does to an environment: uploads DAGs, plants secrets, starts runs, waits for a defined state."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rehearsal import database
from tests.rehearsal.airflow_api import AirflowApi
from tests.rehearsal.comparator.dump import Dump, Row

WORKLOAD = Path(__file__).parent / "workload"
OWN_PREFIX = "continuity_"

#: Never unpaused. `eager` unpauses itself.
STAYS_PAUSED = frozenset({"dormant"})
#: Started by hand before the cut, in this order: what must be waiting at the cut comes last.
STARTED_BY_HAND = (
    "failing",
    "exhausted",
    "left",
    "half_done",
    "mapped_half_done",
    "long_task",
    "not_again",
    "poking",
    "external_job",
)
STARTED_LAST = ("second_try", "alarm_clock")
#: In-flight policy that differs from the default.
FAIL_IN_FLIGHT = frozenset({"not_again"})

#: The state in which the cut is taken: dag_id, task_id, state, at least so many task instances.
WANTED_AT_CUT: tuple[tuple[str, str, str, int], ...] = (
    ("every_minute", "second", "success", 1),
    ("every_two_minutes", "work", "success", 1),
    ("every_three_minutes", "work", "success", 1),
    ("hourly", "work", "success", 1),
    ("caught_up", "work", "success", 5),
    ("catching_up", "work", "success", 2),
    ("after_itself", "work", "success", 1),
    ("eager", "work", "success", 6),
    ("nasty_xcoms", "pull", "success", 1),
    ("mapped", "total", "success", 1),
    ("pooled", "work", "success", 1),
    ("tick", "produce", "success", 1),
    ("tock", "consume", "success", 1),
    ("left", "produce", "success", 1),
    ("short_wait", "wait", "success", 1),
    ("failing", "work", "failed", 1),
    ("exhausted", "work", "failed", 1),
    ("stopped", "work", "success", 2),
    ("half_done", "pull", "running", 1),
    ("mapped_half_done", "wait_for_last", "success", 2),
    ("mapped_half_done", "wait_for_last", "running", 1),
    ("long_task", "work", "running", 1),
    ("not_again", "work", "running", 1),
    ("poking", "poke", "up_for_reschedule", 1),
    ("external_job", "wait", "deferred", 1),
)
WANTED_LAST: tuple[tuple[str, str, str, int], ...] = (
    ("second_try", "work", "up_for_retry", 1),
    ("alarm_clock", "wait", "deferred", 1),
)
#: The state in which the target is looked at last, over what it had at the cut.
WANTED_AFTER: tuple[tuple[str, str, str, int], ...] = (
    ("half_done", "pull", "success", 1),
    ("mapped_half_done", "total", "success", 1),
    ("long_task", "after", "success", 1),
    ("poking", "poke", "success", 1),
    ("external_job", "wait", "success", 1),
    ("alarm_clock", "wait", "success", 1),
    ("second_try", "work", "success", 1),
    ("not_again", "work", "failed", 1),
    ("secrets_reader", "read", "success", 1),
    ("both", "consume", "success", 1),
)


class NotReached(Exception):
    """A state did not come about in time; the message says what was missing."""


@dataclass(frozen=True)
class Planted:
    """Secrets of this run. Every value is unlike anything else, so that it can be searched for."""

    token: str = field(default_factory=lambda: secrets.token_hex(12))

    @property
    def values(self) -> dict[str, str]:
        """Name to secret."""
        return {name: f"planted-{name}-{self.token}" for name in ("variable", "nasty", "password", "extra", "login")}

    @property
    def nasty(self) -> str:
        """A secret that does not survive careless handling."""
        return f"{self.values['nasty']}\r\n\\N\t'\"\\ naïve 東京\n\\.\nend"

    @property
    def extra(self) -> str:
        """A connection's `extra`."""
        return json.dumps({"api_key": self.values["extra"], "region": "nowhere"})


def plant(api: AirflowApi, planted: Planted) -> None:
    """Create variables, connections and a pool as an administrator would.

    Secrets have names that Airflow takes for those of secrets: of any other, its own audit log (table `log`) keeps what
    was set in clear text.
    """
    values = planted.values
    variables = {"planted_secret": values["variable"], "planted_nasty_secret": planted.nasty, "local_region": "primary"}
    for key, value in variables.items():
        api.call("POST", "/variables", {"key": key, "value": value, "description": "line 1\r\nline 2"})
    connection = {"connection_id": "planted", "conn_type": "postgres", "host": "db.example.com", "login": "user"}
    api.call("POST", "/connections", {**connection, "password": values["password"], "extra": planted.extra})
    api.call("POST", "/connections", {"connection_id": "bare", "conn_type": "http", "description": "no port"})
    api.call("POST", "/pools", {"name": "narrow", "slots": 1, "description": "one at a time"})


def let_look(api: AirflowApi, command: Callable[..., None], planted: Planted) -> None:
    """Create a role and a user of it; `command` runs Airflow's command line, for the API of 3.x knows neither."""
    role, user, email, secret = "onlookers", "onlooker", "onlooker@example.com", planted.values["login"]
    if api.major >= 3:
        command("roles", "create", role)
        command("roles", "add-perms", role, "--resource", "DAGs", "--action", "can_read")
        person = ("--username", user, "--email", email, "--firstname", "On", "--lastname", "Looker")
        command("users", "create", *person, "--role", role, answers=[secret, secret])
        return
    action = {"action": {"name": "can_read"}, "resource": {"name": "DAGs"}}
    api.call("POST", "/roles", {"name": role, "actions": [action]})
    person = {"username": user, "email": email, "first_name": "On", "last_name": "Looker"}
    api.call("POST", "/users", {**person, "password": secret, "roles": [{"name": role}]})


def upload_folder(s3: Any, bucket: str, prefix: str, folder: Path, taken: Iterable[str] = ()) -> list[str]:
    """Put every file of a DAG folder below a prefix; returns the relative names. Raises ValueError for a name taken."""
    names = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".git")
    )
    clash = sorted(set(names) & set(taken))
    if clash:
        raise ValueError(f"--dags: {', '.join(clash)} would replace a file of the rehearsal; accepted: other names")
    for name in names:
        s3.upload_file(str(folder / name), bucket, f"{prefix}{name}")
    return names


def wait_until(
    reached: Callable[[], str], seconds: float, what: str, doing: Callable[[str], None] = lambda _: None
) -> None:
    """Poll until `reached` answers nothing; it answers what is missing. Raises NotReached with the last answer."""
    deadline = time.monotonic() + seconds
    while missing := reached():
        if time.monotonic() > deadline:
            raise NotReached(f"{what}: not reached within {seconds:.0f} s; missing: {missing}")
        doing(missing)
        time.sleep(1)


def parsed(database_url: str, dag_ids: Iterable[str], major: int) -> str:
    """Which of the DAGs are not parsed yet."""
    active = "NOT is_stale" if major >= 3 else "is_active"
    rows = database.query(
        database_url,
        f"SELECT dag_id FROM serialized_dag JOIN dag USING (dag_id) WHERE {active}",  # noqa: S608
    )
    missing = sorted(set(dag_ids) - {row[0] for row in rows})
    return ", ".join(missing)


def missing_instances(
    database_url: str,
    wanted: Iterable[tuple[str, str, str, int]],
    before: Mapping[tuple[str, str, str], int] | None = None,
) -> str:
    """Which wanted task instances are not there, beyond those that were there `before`."""
    there = instance_counts(database_url)
    known = before or {}
    return ", ".join(
        f"{dag}.{task} {state}"
        for dag, task, state, count in wanted
        if there.get((dag, task, state), 0) - known.get((dag, task, state), 0) < count
    )


def instance_counts(database_url: str) -> dict[tuple[str, str, str], int]:
    """Number of task instances per DAG, task and state."""
    rows = database.query(
        database_url, "SELECT dag_id, task_id, coalesce(state, ''), count(*) FROM task_instance GROUP BY 1, 2, 3"
    )
    return {(dag, task, state): count for dag, task, state, count in rows}


def users_rows(dump: Dump, table: str) -> list[Row]:
    """Rows of a table with a column `dag_id`, without those of the metadata DAGs."""
    return [row for row in dump.rows(table) if not (row["dag_id"] or "").startswith(OWN_PREFIX)]
