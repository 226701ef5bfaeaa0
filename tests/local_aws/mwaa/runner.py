"""One real Airflow: its processes, folders, settings and web address."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.local_aws.mwaa.airflow_versions import AirflowMajor, beats_of
from tests.local_aws.mwaa.supervisor import descendants
from tests.local_aws.mwaa.web.local_aws_tokens import SECRET_VARIABLE, sign
from tests.postgres import free_port

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_WEB_MODULES = Path(__file__).with_name("web")
_START_SECONDS = 300
#: A component that dies this often within a minute will not come up.
_DEATHS_ALLOWED = 3


class AirflowDidNotStart(Exception):
    """Airflow died or did not become healthy; the message names the component and its log."""


@dataclass(frozen=True)
class AirflowSettings:
    """What one run of Airflow needs to know."""

    major: AirflowMajor
    bin_dir: Path
    folder: Path  #: AIRFLOW_HOME; DAGs are in `dags` below it
    database_url: str
    fernet_key: str
    environment: dict[str, str]  #: name, Region, credentials, addresses of AWS
    options: dict[str, str]  #: AirflowConfigurationOptions

    @property
    def dags_dir(self) -> Path:
        """Folder that the scheduler reads DAGs from."""
        return self.folder / "dags"

    @property
    def log_dir(self) -> Path:
        """Folder of the logs: tasks' below the DAG ids, components' as `component-<name>.log`."""
        return self.folder / "logs"


class AirflowRunner:
    """Starts and kills the processes of one environment. Not for use by several threads at once, except where said."""

    def __init__(self, settings: AirflowSettings, on_event: Callable[[dict[str, Any]], None]) -> None:
        self.settings = settings
        self.port = free_port()
        self._on_event = on_event
        self._secret = secrets.token_urlsafe(32)
        self._secret_key = secrets.token_urlsafe(32)
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths: deque[tuple[float, str]] = deque(maxlen=_DEATHS_ALLOWED)
        self._http = requests.Session()
        self._http.trust_env = False

    @property
    def web_url(self) -> str:
        """Address of the web server."""
        return f"http://127.0.0.1:{self.port}"

    def pids(self) -> list[int]:
        """Every process of this Airflow, tasks included; any thread may ask."""
        process = self._process
        return [process.pid, *descendants(process.pid)] if process and process.poll() is None else []

    def start(self, may_go_on: Callable[[], bool]) -> None:
        """Start every component and return when all are healthy; raises AirflowDidNotStart, also when interrupted."""
        self._launch()
        deadline = time.monotonic() + _START_SECONDS
        while not (self._all_healthy() and self._is_warm()):
            self._fail_if_dying()
            if not may_go_on():
                raise AirflowDidNotStart("interrupted")
            if time.monotonic() > deadline:
                raise AirflowDidNotStart(f"not healthy after {_START_SECONDS} seconds: {self._unhealthy_part()}")
            time.sleep(0.25)

    def kill(self) -> None:
        """SIGKILL every process and return when none is left. Any thread may do this, also while another starts."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        process.wait(30)

    def health(self) -> dict[str, Any] | None:
        """The health page of the web server; None while it does not answer."""
        try:
            response = self._http.get(self.web_url + self.settings.major.health_path, timeout=5)
            page = response.json() if response.ok else None
        except (requests.RequestException, ValueError):
            return None
        return page if isinstance(page, dict) else None

    def request(self, role: str, method: str, path: str, *, query: Any, body: Any, timeout: float) -> requests.Response:
        """Call the REST API under an Airflow role; raises requests.RequestException. Any thread may do this."""
        return requests.request(
            method,
            self.web_url + self.settings.major.rest_prefix + path,
            params=query,
            json=body,
            headers={"Authorization": f"Bearer {self.token('rest', role)}", "Accept": "application/json"},
            proxies={"http": "", "https": ""},
            timeout=timeout,
            stream=True,
        )

    def token(self, use: str, role: str) -> str:
        """A token that this web server accepts for a minute."""
        return sign(self._secret, use, role)

    def _launch(self) -> None:
        settings = self.settings
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        common = self._environment()
        components = []
        accepting = {**settings.major.web_settings, SECRET_VARIABLE: self._secret, "PYTHONPATH": str(_WEB_MODULES)}
        for name, argv in settings.major.components(settings.bin_dir, self.port).items():
            web = accepting if name == settings.major.web_component else {}
            log = str(settings.log_dir / f"component-{name}.log")
            components.append({"name": name, "argv": argv, "log": log, "env": {**common, **web}})
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(_SUPERVISOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
            env={"PATH": os.environ["PATH"]},
        )
        threading.Thread(target=self._follow, args=(self._process,), name="airflow-events", daemon=True).start()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"components": components}).encode() + b"\n")
        self._process.stdin.flush()

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        options = {f"AIRFLOW__{key.replace('.', '__', 1).upper()}": value for key, value in settings.options.items()}
        essential = {
            "AIRFLOW_HOME": str(settings.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(settings.dags_dir),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(settings.folder / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__FERNET_KEY": settings.fernet_key,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(settings.log_dir),
            **_database_variables(settings.database_url),
            **settings.major.settings(self.port, self._secret_key),
        }
        base = {"PATH": f"{settings.bin_dir}:{os.environ['PATH']}", "HOME": str(settings.folder), "LANG": "C.UTF-8"}
        return {**base, **settings.environment, **settings.major.defaults, **options, **essential}

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                event = json.loads(line)
                if event["event"] == "ended" and process is self._process:
                    self._deaths.append((time.monotonic(), event["name"]))
                    self._on_event(event)

    def _fail_if_dying(self) -> None:
        if self._process is None:
            raise AirflowDidNotStart("killed while it started")
        if self._process.poll() is not None:
            raise AirflowDidNotStart("the supervisor of its processes ended")
        deaths = list(self._deaths)
        if len(deaths) == _DEATHS_ALLOWED and time.monotonic() - deaths[0][0] < 60:
            name = deaths[-1][1]
            raise AirflowDidNotStart(f"{name} keeps ending; its last words: {self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        text = (self.settings.log_dir / f"component-{name}.log").read_text(errors="replace").strip()
        return " | ".join(text.splitlines()[-3:])[-400:]

    def _all_healthy(self) -> bool:
        health = self.health()
        return health is not None and all(beats_of(self.settings.major, health).values())

    def _is_warm(self) -> bool:
        path = self.settings.major.slow_path
        if path is None:
            return True
        try:
            return self._http.get(self.web_url + path, timeout=_START_SECONDS).ok
        except requests.RequestException:
            return False

    def _unhealthy_part(self) -> str:
        health = self.health()
        if health is None:
            return "the web server does not answer"
        silent = [name for name, beat in beats_of(self.settings.major, health).items() if not beat]
        return ", ".join(silent) or f"{self.settings.major.slow_path} does not answer"


def _database_variables(url: str) -> dict[str, str]:
    """What every process on MWAA is told of the metadata database, in each of the ways that MWAA tells it."""
    parts = urlsplit(url)
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{url}",
        "MWAA__DB__POSTGRES_HOST": parts.hostname or "",
        "MWAA__DB__POSTGRES_PORT": str(parts.port),
        "MWAA__DB__POSTGRES_DB": parts.path.lstrip("/"),
        "MWAA__DB__POSTGRES_SSLMODE": "disable",
        "MWAA__DB__CREDENTIALS": json.dumps({"username": parts.username, "password": parts.password}),
    }
