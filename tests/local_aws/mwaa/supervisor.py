"""Keeps the processes of one environment, and ends all of them at once.

    python supervisor.py      (stdin: one line of JSON, then silence; stdout: lines of JSON)

The first line is `{"components": [{"name", "argv", "log", "env"}]}`: settings come through the pipe, because they hold
secrets. Each component is started, and started again one second after it died, as the container service does on AWS.
Every birth and death is reported as a line. When stdin closes, for whatever reason, every descendant gets SIGKILL: task
processes and orphans too, for as a subreaper this process becomes the parent of every orphan. So nothing survives the
death of the stand-in.

Runs on the standard library alone, in a single thread.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_RESTART_SECONDS = 1.0
_TICK_SECONDS = 0.2


def _report(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def descendants(root: int) -> list[int]:
    """Process ids of every process below `root`, from /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state != "Z":
            children.setdefault(int(parent), []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def kill_descendants() -> None:
    """SIGKILL everything below this process until nothing is left.

    One look at /proc can miss a process that forks or changes its parent meanwhile. Whoever has no child, as the parent
    of all orphans, has no descendant either.
    """
    while _has_children():
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended by itself
        _reap()
        time.sleep(0.005)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reap() -> dict[int, int]:
    """Process id -> exit code of every child that ended."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


class Supervisor:
    """Starts components and starts them again."""

    def __init__(self, components: list[dict[str, Any]]) -> None:
        self._components = {component["name"]: component for component in components}
        self._due: dict[str, float] = dict.fromkeys(self._components, 0.0)
        self._running: dict[int, str] = {}

    def run(self) -> None:
        """Supervise until stdin closes."""
        stdin = sys.stdin.fileno()
        while True:
            self._start_due()
            readable, _, _ = select.select([stdin], [], [], _TICK_SECONDS)
            if readable and not os.read(stdin, 4096):
                return
            for pid, code in _reap().items():
                if name := self._running.pop(pid, None):
                    _report(event="ended", name=name, pid=pid, exit_code=code)
                    self._due[name] = time.monotonic() + _RESTART_SECONDS

    def _start_due(self) -> None:
        for name, due in list(self._due.items()):
            if time.monotonic() >= due:
                del self._due[name]
                self._start(name)

    def _start(self, name: str) -> None:
        component = self._components[name]
        with Path(component["log"]).open("ab") as log:
            process = subprocess.Popen(
                component["argv"],
                env=component["env"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        # Ended children are reaped by pid above, so Popen must not wait for its own.
        process.returncode = 0
        self._running[process.pid] = name
        _report(event="started", name=name, pid=process.pid)


def main() -> int:
    """Read the components, supervise, kill."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever started us decides, by closing our stdin. Not SIG_IGN, which every child would inherit.
        signal.signal(number, lambda *_: None)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        line = b""
        while not line.endswith(b"\n"):
            if not (part := os.read(sys.stdin.fileno(), 65536)):
                return 0
            line += part
        Supervisor(json.loads(line)["components"]).run()
    finally:
        kill_descendants()
    return 0


if __name__ == "__main__":
    sys.exit(main())
