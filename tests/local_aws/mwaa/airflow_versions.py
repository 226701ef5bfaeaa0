"""What differs between major versions of Airflow: commands, settings, health and REST addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.postgres import FAB_AUTH_MANAGER

#: Defaults of MWAA or of the stand-in; AirflowConfigurationOptions of the environment go before them. MWAA looks for
#: new files every 300 seconds; nobody wants to wait that long in a test. The rest keeps two cores free.
_DEFAULTS = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "5",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}


class AirflowMajor(Protocol):
    """One major version of Airflow."""

    @property
    def rest_prefix(self) -> str:
        """What precedes the path of InvokeRestApi."""

    @property
    def health_path(self) -> str:
        """Path of the health page."""

    @property
    def slow_path(self) -> str | None:
        """Path whose first request keeps the web server from all others for seconds; asked for before it is used."""

    @property
    def web_component(self) -> str:
        """Name of the process that serves the health page, the REST API and the pages."""

    @property
    def web_settings(self) -> Mapping[str, str]:
        """Environment variables of that process alone: how it accepts the tokens of the MWAA API."""

    @property
    def defaults(self) -> Mapping[str, str]:
        """Environment variables that AirflowConfigurationOptions override."""

    @property
    def beating(self) -> tuple[str, ...]:
        """Components whose beats the health page shows, and without which an environment is not healthy."""

    def components(self, bin_dir: Path, port: int) -> dict[str, list[str]]:
        """Command of every process of an environment."""

    def settings(self, port: int, secret: str) -> dict[str, str]:
        """Environment variables that no option of an environment overrides; `secret` signs sessions."""


@dataclass(frozen=True)
class Airflow2:
    """Airflow 2.7 to 2.11: scheduler, triggerer and a web server under gunicorn."""

    rest_prefix: str = "/api/v1"
    health_path: str = "/health"
    slow_path: None = None
    web_component: str = "webserver"
    beating: tuple[str, ...] = ("scheduler", "triggerer")

    @property
    def web_settings(self) -> Mapping[str, str]:
        """See AirflowMajor."""
        return {"AIRFLOW__API__AUTH_BACKENDS": "airflow2_auth,airflow.api.auth.backend.session"}

    @property
    def defaults(self) -> Mapping[str, str]:
        """See AirflowMajor."""
        return {
            **_DEFAULTS,
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
            "AIRFLOW__WEBSERVER__SESSION_BACKEND": "securecookie",
        }

    def components(self, bin_dir: Path, port: int) -> dict[str, list[str]]:
        """See AirflowMajor.

        The web server is started as `airflow webserver` starts it, but with four threads in place of four workers.
        """
        airflow = str(bin_dir / "airflow")
        web = [
            str(bin_dir / "python"),
            "-m",
            "gunicorn",
            "--workers",
            "1",
            "--worker-class",
            "gthread",
            "--threads",
            "4",
        ]
        web += [
            "--timeout",
            "120",
            "--bind",
            f"127.0.0.1:{port}",
            "--access-logfile",
            "-",
            "airflow.www.app:cached_app()",
        ]
        # Logs are read from the disk: nobody needs the log servers, which would listen on every interface.
        scheduler, triggerer = [airflow, "scheduler", "--skip-serve-logs"], [airflow, "triggerer", "--skip-serve-logs"]
        return {"scheduler": scheduler, "triggerer": triggerer, "webserver": web}

    def settings(self, port: int, secret: str) -> dict[str, str]:
        """See AirflowMajor."""
        return {
            "AIRFLOW__WEBSERVER__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
            "AIRFLOW__WEBSERVER__SECRET_KEY": secret,
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        }


@dataclass(frozen=True)
class Airflow3:
    """Airflow 3.0 to 3.3: scheduler, DAG processor, triggerer, and an API server that tasks report to as well."""

    rest_prefix: str = "/api/v2"
    health_path: str = "/api/v2/monitor/health"
    slow_path: str = "/execution/health"
    web_component: str = "api-server"
    beating: tuple[str, ...] = ("scheduler", "triggerer", "dag_processor")

    @property
    def web_settings(self) -> Mapping[str, str]:
        """See AirflowMajor."""
        return {"AIRFLOW__CORE__AUTH_MANAGER": "airflow3_auth.MwaaAuthManager"}

    @property
    def defaults(self) -> Mapping[str, str]:
        """See AirflowMajor.

        `refresh_interval` is what `dag_dir_list_interval` was.
        """
        return {
            **_DEFAULTS,
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        }

    def components(self, bin_dir: Path, port: int) -> dict[str, list[str]]:
        """See AirflowMajor."""
        airflow = str(bin_dir / "airflow")
        web = [airflow, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        # Logs are read from the disk: nobody needs the log servers, which would listen on every interface.
        return {
            "scheduler": [airflow, "scheduler", "--skip-serve-logs"],
            "dag-processor": [airflow, "dag-processor"],
            "triggerer": [airflow, "triggerer", "--skip-serve-logs"],
            "api-server": web,
        }

    def settings(self, port: int, secret: str) -> dict[str, str]:
        """See AirflowMajor."""
        address = f"http://127.0.0.1:{port}"
        return {
            "AIRFLOW__CORE__AUTH_MANAGER": FAB_AUTH_MANAGER,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__API__SECRET_KEY": secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": secret,
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        }


def beats_of(major: AirflowMajor, health: Mapping[str, Any]) -> dict[str, str | None]:
    """From the health page: latest beat (ISO 8601) of every component in `beating`, None while unhealthy."""
    found: dict[str, str | None] = {}
    for component in major.beating:
        state = health.get(component) or {}
        healthy = state.get("status") == "healthy"
        found[component] = state.get(f"latest_{component}_heartbeat") if healthy else None
    return found


_MAJORS: Mapping[int, AirflowMajor] = {2: Airflow2(), 3: Airflow3()}


class UnsupportedVersion(Exception):
    """The stand-in cannot run this version; the message says what it can."""


def major_of(version: str) -> AirflowMajor:
    """How to run a version; raises UnsupportedVersion."""
    number = int(version.split(".", maxsplit=1)[0])
    if number not in _MAJORS:
        raise UnsupportedVersion(f"the stand-in does not run Airflow {number}; accepted majors: {sorted(_MAJORS)}")
    return _MAJORS[number]


def bin_dir_of(airflow_home: Path, version: str) -> Path:
    """Folder with the programs of an installed version; raises UnsupportedVersion."""
    folder = airflow_home / version / "bin"
    if not (folder / "airflow").exists():
        installed = sorted(path.name for path in airflow_home.glob("*") if (path / "bin" / "airflow").exists())
        raise UnsupportedVersion(
            f"Airflow {version} is not installed here; installed: {', '.join(installed) or 'none'}"
        )
    return folder


def installed_versions(airflow_home: Path) -> list[str]:
    """Versions whose virtual environment is there."""
    return [path.name for path in airflow_home.glob("*") if (path / "bin" / "airflow").exists()]
