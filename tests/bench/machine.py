"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from tests.bench.setting import Setting, program


def described(setting: Setting, load: float) -> dict[str, Any]:
    """Processors, memory, versions; `load`: how busy the machine was before we began."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": subprocess.run(
            [program("postgres"), "--version"], text=True, capture_output=True, check=True
        ).stdout.split()[2],
        "airflow": setting.airflow_version,
        "load_before": round(load, 2),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
