"""Does one thing after another with the engine, each in a process of its own, which a fault may kill.

Orders come as lines of JSON on the standard input, and an answer is a line on the standard output:

    {"action": "snapshot" | "state" | "history" | "live", "side": {...}, "snapshot_id": "...", "fault": {...}}
    {"killed": false, "error": "..." | null, "points": ["..."], "struck": true}

What is expensive to import is imported once; an order is one fork.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import boto3

from continuity import storage
from tests.integration.robustness.sabotage import Fault, SabotagedSide

ACTIONS = {"snapshot": "snapshot", "state": "restore_state", "history": "restore_history", "live": "go_live"}
#: Small enough for tables of a test to need several; the real size is a constant of the engine.
PART_BYTES = 2048


def main() -> None:
    storage.PART_BYTES = PART_BYTES
    for service in ("s3", "kms"):
        boto3.client(service, region_name="us-east-1")  # what describes a service is read once, for all forks
    for line in sys.stdin:
        print(json.dumps(in_fork(json.loads(line))), flush=True)


def in_fork(order: dict[str, Any]) -> dict[str, Any]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        with os.fdopen(write_end, "w") as answer:
            answer.write(json.dumps(done(order)))
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"killed": True, "error": None, "points": [], "struck": True}
    answered: dict[str, Any] = json.loads(text)
    return answered


def done(order: dict[str, Any]) -> dict[str, Any]:
    fault = Fault(**order["fault"])
    side = SabotagedSide(**order["side"], fault=fault)
    error = None
    try:
        getattr(side, ACTIONS[order["action"]])(order["snapshot_id"])
    except Exception as raised:  # noqa: BLE001  (whatever it is, the test judges what it left behind)
        error = f"{type(raised).__name__}: {raised}"
    return {"killed": False, "error": error, "points": fault.points, "struck": fault.struck}


if __name__ == "__main__":
    main()
