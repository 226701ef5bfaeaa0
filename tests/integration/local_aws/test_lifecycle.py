"""The stand-in leaves nothing behind, and says what it does not accept."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.local_aws.helpers import HOME, LOGGING, make_function, make_role
from tests.local_aws.fixtures import DidNotStart, RunningStandIn, start_stand_in
from tests.waiting import until

_SLEEPER = "import time\ndef handler(event, context):\n    time.sleep(60)\n"


def _children(pid: int) -> list[int]:
    """Processes that run and whose parent is `pid`."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it ended while we looked
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_it(tmp_path: Path, number: signal.Signals) -> None:
    running = start_stand_in(tmp_path / "state")
    try:
        role = make_role(running, "sleeper", "lambda.amazonaws.com", LOGGING)
        make_function(running, "sleeper", _SLEEPER, role, Timeout=90)
        running.client("lambda").invoke(FunctionName="sleeper", InvocationType="Event", Payload=b"{}")
        children = until("children", lambda: _children(running.process.pid), 30)
        os.kill(running.process.pid, number)
        running.process.wait(30)
        until("their end", lambda: not any(_runs(child) for child in children), 10)
        if number is not signal.SIGKILL:
            assert running.process.returncode == 0
            assert not (tmp_path / "state" / "port").exists()
    finally:
        running.stop()


def test_an_airflow_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match=r"--airflow: 0\.0\.0 is not set up"):
        start_stand_in(tmp_path / "state", "--airflow", "0.0.0")


@pytest.mark.parametrize(
    ("what", "body", "message"),
    [
        ("outage", {"down": True}, "region: None; accepted: a non-empty string"),
        ("outage", {"region": HOME, "down": "yes"}, "down: 'yes'; accepted: true or false"),
        ("fault", {"service": "s3", "count": "1"}, "count: '1'; accepted: a whole number from 1"),
        ("fire", {"region": HOME, "name": "none"}, f"name: {HOME} has no schedule none"),
        ("nothing", {}, "accepted below /_local/"),
    ],
)
def test_bad_control_requests_name_the_field(
    stand_in: RunningStandIn, what: str, body: dict[str, Any], message: str
) -> None:
    answer = requests.post(f"{stand_in.url}/_local/{what}", json=body, timeout=30)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
