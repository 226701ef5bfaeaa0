"""What processes take: wall seconds, peak memory, CPU seconds of the database."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.work import Order

TICKS = os.sysconf("SC_CLK_TCK")
PAUSE_SECONDS = 0.02


def descendants(pid: int) -> Iterator[int]:
    """A process and everything below it, as far as it is there."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield from descendants(int(child))


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process, of what is below it, and of what was below it and has ended."""
    total = 0
    for one in descendants(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            # utime, stime; of children that ended and were waited for: cutime, cstime
            total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def peak_rss_mib(pid: int) -> float:
    """The most memory a process and those below it had so far, in MiB, added up."""
    total = 0
    for one in descendants(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return total / 1024


class WorkFailedError(Exception):
    """A measured process failed; the message holds what it printed."""


def run_program(*commands: Sequence[str | Path], env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run programs one after the other; seconds and peak memory of all of it."""
    peak = 0.0
    began, cpu = time.perf_counter(), _cpu_of_children()
    for command in commands:
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        while True:
            try:
                _, errors = process.communicate(timeout=PAUSE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, peak_rss_mib(process.pid))
        if process.returncode:
            raise WorkFailedError(f"{Path(command[0]).name} failed:\n{errors[-4000:]}")
    taken = {"seconds": time.perf_counter() - began, "cpu_seconds": _cpu_of_children() - cpu}
    return {**taken, "peak_rss_mib": peak}


def _cpu_of_children() -> float:
    """CPU seconds of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_work(python: Path, order: Order, env: Mapping[str, str]) -> dict[str, Any]:
    """Have `tests.bench.work` do something in a fresh process; what it says of it."""
    done = subprocess.run(
        [str(python), "-m", "tests.bench.work"],
        input=json.dumps(asdict(order)),
        env=dict(env),
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise WorkFailedError(f"{order.action} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def with_database_cpu(server_pid: int, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """An outcome, and how many CPU seconds the database took meanwhile."""
    before = cpu_seconds(server_pid)
    outcome = work()
    return {**outcome, "database_cpu_seconds": cpu_seconds(server_pid) - before}
