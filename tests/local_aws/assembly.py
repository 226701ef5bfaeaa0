"""Puts the parts of the stand-in together, starts them and stops them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tests.local_aws import patches
from tests.local_aws.alarms import AlarmEvaluator
from tests.local_aws.batch_replication import BatchReplication
from tests.local_aws.control import ControlApp
from tests.local_aws.delivery import Delivery
from tests.local_aws.event_sources import EventSources
from tests.local_aws.events import EventSource
from tests.local_aws.lambda_runtime import LambdaRuntime
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.replication import Replicator
from tests.local_aws.schedules import Schedules
from tests.local_aws.server import Application, Server, load_mwaa


class StandIn:
    """The whole stand-in in this process."""

    def __init__(self, port: int, state_dir: Path, airflow_home: Path, replication_lag: float) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.platform = LocalPlatform(port, state_dir, airflow_home)
        self._log = (self.platform.log_dir / "server.log").open("a", buffering=1, encoding="utf-8")
        patches.apply(self.platform)
        self._lambdas = LambdaRuntime(self.platform)
        self._lambdas.install()
        self._event_sources = EventSources(self.platform, self._lambdas)
        self._event_sources.install()
        delivery = Delivery(self.platform)
        EventSource(self.platform, delivery).install()
        self._replicator = Replicator(self.platform, replication_lag)
        self._replicator.install()
        self._schedules = Schedules(self.platform, delivery)
        self._alarms = AlarmEvaluator(self.platform, delivery)
        self._alarms.install()
        self._mwaa, missing = load_mwaa(self.platform)
        if self._mwaa is None:
            self._log_line(f"started without MWAA: {missing}")
        control = ControlApp(
            self.platform, self._mwaa, self._schedules.fire_by_name, self._lambdas.kill_region, delivery.notices
        )
        batch = BatchReplication(self.platform, self._replicator)
        application = Application(self.platform, self._mwaa, missing, control, batch)
        self._server = Server(port, application, self._log_line)
        self._thread = threading.Thread(target=self._server.serve_forever, name="server", daemon=True)

    def _log_line(self, text: str) -> None:
        self._log.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    def start(self) -> None:
        """Start to listen; requests are answered when this returns."""
        self._thread.start()
        self._replicator.start()
        self._schedules.start()
        self._event_sources.start()
        self._alarms.start()

    def stop(self) -> None:
        """Stop everything that was started, children first."""
        self.platform.stopping.set()
        if self._mwaa:
            self._mwaa.stop()
        self._lambdas.stop()
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
