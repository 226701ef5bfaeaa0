"""Processes that belong to a run: found by its folder, so that none outlives it."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def end_left_overs(folder: Path) -> list[str]:
    """Kill every process whose command line or environment names the run's folder; returns their command lines."""
    ended = []
    for pid in processes_of(folder):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):  # gone meanwhile
            continue
        ended.append(f"{pid} {command.strip()}")
    return ended


def processes_of(folder: Path) -> list[int]:
    """Ids of the processes, other than this one, whose command line or environment names a folder."""
    needle, found = str(folder).encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            named = needle in (entry / "cmdline").read_bytes() or needle in (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone meanwhile, or not ours
            continue
        if named:
            found.append(int(entry.name))
    return found
