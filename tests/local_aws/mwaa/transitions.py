"""What happens to environments over time: creation, update, deletion, outage. Each runs in a thread of its own."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from tests.local_aws.contract import Platform
from tests.local_aws.mwaa.environment import LOG_GROUPS, Environment
from tests.local_aws.mwaa.live import START_ERRORS, LiveEnvironment
from tests.local_aws.mwaa.rules import SERVING
from tests.local_aws.mwaa.runner import AirflowDidNotStart

#: Options whose change needs no other containers.
_WITHOUT_RESTART = frozenset(
    {
        "LoggingConfiguration",
        "WeeklyMaintenanceWindowStart",
        "MinWorkers",
        "MaxWorkers",
        "MinWebservers",
        "MaxWebservers",
        "Schedulers",
    }
)


class Transitions:
    """Moves environments from status to status."""

    def __init__(self, platform: Platform, extra_creation_seconds: float) -> None:
        self._platform = platform
        self._extra_creation_seconds = extra_creation_seconds
        self._stopping = threading.Event()
        self._threads: list[tuple[LiveEnvironment, threading.Thread]] = []
        self._lock = threading.Lock()

    def create(self, live: LiveEnvironment) -> None:
        """CREATING -> AVAILABLE or CREATE_FAILED."""
        self._run(live, self._create)

    def update(self, live: LiveEnvironment, before: dict[str, Any]) -> None:
        """UPDATING -> AVAILABLE, or UPDATE_FAILED with the document of before."""
        self._run(live, lambda live: self._update(live, before))

    def delete(self, live: LiveEnvironment, forget: Callable[[], None]) -> None:
        """DELETING -> gone; interrupts what is under way."""

        def steps(live: LiveEnvironment) -> None:
            live.kill()
            self._wait_for_others(live)
            live.take_down()
            forget()
            self._record(live.environment, "DELETED")

        self._run(live, steps)

    def bring_back(self, live: LiveEnvironment) -> None:
        """After an outage: the same database, new containers, the status as it was; until a deletion or an outage."""

        def steps(live: LiveEnvironment) -> None:
            try:
                live.bring_up()
            except START_ERRORS:
                if live.environment.status in SERVING and not self._platform.is_down(live.environment.region):
                    raise

        self._run(live, steps)

    def close(self) -> None:
        """Let no transition go on."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the transitions under way; what they wait for must have been killed."""
        for _, thread in self._threads:
            thread.join(60)

    def set_status(self, environment: Environment, status: str, error: tuple[str, str] | None = None) -> None:
        """Change a status and add it to the time line."""
        environment.set_status(status, error)
        self._record(environment, status, *(error or ()))

    def _record(self, environment: Environment, status: str, *error: str) -> None:
        detail = {"error": ": ".join(error)} if error else {}
        self._platform.record(
            "environment_status", environment.region, environment=environment.name, status=status, **detail
        )

    def _run(self, live: LiveEnvironment, steps: Callable[[LiveEnvironment], None]) -> None:
        def guarded() -> None:
            try:
                steps(live)
            except START_ERRORS as error:
                self._report(live, error)
            except Exception as error:
                # A fault of the stand-in: show it where its user looks, then let the thread die of it.
                traceback.print_exc()
                self._report(live, error)
                raise

        thread = threading.Thread(target=guarded, name=f"mwaa-{live.environment.name}", daemon=True)
        with self._lock:
            thread.start()
            self._threads = [entry for entry in self._threads if entry[1].is_alive()] + [(live, thread)]

    def _wait_for_others(self, live: LiveEnvironment) -> None:
        """Until no other transition of this environment is under way."""
        with self._lock:
            under_way = list(self._threads)
        for moved, thread in under_way:
            if moved is live and thread is not threading.current_thread():
                thread.join()

    def _report(self, live: LiveEnvironment, error: Exception) -> None:
        if self._stopping.is_set():
            return
        environment = live.environment
        if environment.status == "CREATING":
            self.set_status(environment, "CREATE_FAILED", ("INCORRECT_CONFIGURATION", str(error)))
        else:
            self.set_status(environment, "UNAVAILABLE", ("INTERNAL_FAILURE", str(error)))

    def _create(self, live: LiveEnvironment) -> None:
        started = time.monotonic()
        self._record(live.environment, "CREATING")
        self._make_log_groups(live.environment)
        self._bring_up_through_outages(live)
        while time.monotonic() - started < self._extra_creation_seconds:
            if self._stopping.wait(0.2):
                return
        if not self._stopping.is_set():
            self.set_status(live.environment, "AVAILABLE")

    def _bring_up_through_outages(self, live: LiveEnvironment) -> None:
        """An outage interrupts a creation; it goes on when the Region is back."""
        region = live.environment.region
        while True:
            while self._platform.is_down(region):
                if self._stopping.wait(0.5):
                    raise AirflowDidNotStart("the stand-in is stopping")
            try:
                return live.bring_up()
            except START_ERRORS:
                if not self._platform.is_down(region):
                    raise

    def _update(self, live: LiveEnvironment, before: dict[str, Any]) -> None:
        environment = live.environment
        self._record(environment, "UPDATING")
        now = environment.document
        changed = {option for option in {*before, *now} if before.get(option) != now.get(option)}
        # An update always takes new containers on AWS; here only where Airflow would notice.
        if changed <= _WITHOUT_RESTART:
            self.set_status(environment, "AVAILABLE")
            return
        live.kill()
        try:
            self._bring_up_through_outages(live)
        except START_ERRORS as error:
            if self._stopping.is_set():
                return
            with environment.lock:
                environment.document = before
            self.set_status(environment, "ROLLING_BACK", ("INCORRECT_CONFIGURATION", str(error)))
            self._bring_up_through_outages(live)
            environment.status = "UPDATE_FAILED"
            self._record(environment, "UPDATE_FAILED")
        else:
            self.set_status(environment, "AVAILABLE")

    def _make_log_groups(self, environment: Environment) -> None:
        logs = self._platform.client("logs", environment.region)
        for option in LOG_GROUPS:
            enabled = environment.document.get("LoggingConfiguration", {}).get(option, {}).get("Enabled")
            name = environment.log_group(option)
            groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"] if enabled else []
            if enabled and not any(group["logGroupName"] == name for group in groups):
                logs.create_log_group(logGroupName=name)
