"""Secrets that a run plants in the source environment, as an administrator would."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.rehearsal.airflow_api import AirflowApi


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
