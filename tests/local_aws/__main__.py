"""`python -m tests.local_aws serve --port P --state DIR [--airflow VERSION]`: runs until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from tests.local_aws.airflow_command import AIRFLOW_HOME

_LOOK_SECONDS = 0.5


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.local_aws", description="The stand-in for AWS on loopback.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the stand-in until it is told to stop")
    serve.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 picks a free one")
    serve.add_argument("--state", type=Path, required=True, help="folder below which everything is written")
    serve.add_argument("--airflow", default=None, help="Airflow version whose virtual environment must be there")
    serve.add_argument("--replication-lag", type=float, default=0.2, help="seconds until an S3 replica appears")
    return parser.parse_args(argv)


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])


def main(argv: list[str]) -> int:
    """Serve until a signal arrives; returns the exit code."""
    options = _arguments(argv)
    if options.airflow and not (AIRFLOW_HOME / options.airflow / "bin" / "airflow").exists():
        print(f"--airflow: {options.airflow} is not set up below build/airflow", file=sys.stderr)
        return 2
    try:
        port = _free_port(options.port)
    except OSError as error:
        print(f"--port: {options.port} cannot be used ({error.strerror})", file=sys.stderr)
        return 2
    # moto reads the port when its interpreter of state machines is imported.
    os.environ["MOTO_PORT"] = str(port)
    from tests.local_aws.assembly import StandIn

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    stand_in = StandIn(port, options.state.resolve(), AIRFLOW_HOME, options.replication_lag)
    try:
        stand_in.start()
        (options.state / "port").write_text(f"{port}\n")
        print(f"http://127.0.0.1:{port}", flush=True)
        # Not one wait without end: a signal that the system hands to another thread would not interrupt it.
        while not stop.wait(_LOOK_SECONDS):
            pass
    finally:
        stand_in.stop()
        (options.state / "port").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
