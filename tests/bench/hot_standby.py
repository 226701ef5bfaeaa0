"""From the decision to going live in a hot standby: what our own code takes of it, over as much history as asked for.

    python -m tests.bench.hot_standby [--task-instances 1000000] [--data FOLDER] [--output FILE]

A base of the source is restored ahead, then a delta after a change; a failover chooses the delta (every byte of it and
of its base is read), finds its state there and goes live. What Airflow takes for it (starting two tasks, parsing the
DAGs) is not in it: a rehearsal of `hot_standby` shows that. Beside it, the same where the standby holds the snapshot
before, so that the failover replaces it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from mwaa_continuity.snapshots import prove
from tests.bench.contenders import Contenders, Sample, snapshot_id_of_now
from tests.bench.generate import change
from tests.bench.setting import BUCKET, LIVED_IN, ROOT, Setting, prepared, source_of

AIRFLOW = "2.10.3"


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hot_standby")
    parser.add_argument("--task-instances", type=int, default=1_000_000, help="how many (%(default)s)")
    parser.add_argument("--data", type=Path, help="folder that keeps the databases for the next time")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench/hot_standby.json")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    load = os.getloadavg()[0]
    folder = options.data or Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with prepared(folder, AIRFLOW, (options.task_instances,)) as setting:
            found = measured(setting, options.task_instances)
    finally:
        if not options.data:
            shutil.rmtree(folder)
    found |= {"task_instances": options.task_instances, "load": round(load, 2)}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))
    return 0


def measured(setting: Setting, task_instances: int) -> dict[str, Any]:
    """Seconds of each part, by its name."""
    contenders = Contenders(setting, task_instances)
    with setting.database(source_of(task_instances)) as source:
        dsn = setting.cluster.dsn(source)

        def take() -> str:
            snapshot_id = snapshot_id_of_now()
            contenders.work("proven_snapshot", snapshot_id=snapshot_id, dsn=dsn)
            return snapshot_id

        first = take()
        with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
            change(cursor)
        last = take()
    found: dict[str, Any] = {"choose": timed(lambda: choose(setting, contenders.order.environment, last))}
    with setting.database(LIVED_IN) as standby:
        ahead = contenders.within(setting.cluster.dsn(standby))
        found["refresh of an empty standby"] = told(ahead("refresh", snapshot_id=first))
        found["refresh after a change"] = told(ahead("refresh", snapshot_id=last))
        found["failover: the state is there"] = told(ahead("go_live", snapshot_id=last))
    with setting.database(LIVED_IN) as standby:
        ahead = contenders.within(setting.cluster.dsn(standby))
        ahead("refresh", snapshot_id=first)
        found["failover: the state of the snapshot before is there"] = told(ahead("go_live", snapshot_id=last))
    return found


def choose(setting: Setting, environment: str, snapshot_id: str) -> None:
    """What `restore.select` does with the newest snapshot."""
    prove(setting.client("s3"), setting.client("kms"), BUCKET, environment, snapshot_id)


def timed(act: Any) -> float:
    began = time.perf_counter()
    act()
    return round(time.perf_counter() - began, 2)


def told(sample: Sample) -> dict[str, float]:
    """The seconds of a sample, and its rows."""
    return {name: round(value, 2) for name, value in sample.items() if name in TOLD}


TOLD = ("seconds", "state_seconds", "take_up_seconds", "rows")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
