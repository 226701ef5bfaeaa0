"""Measure, print a table, write build/bench/bench.json."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

from tests.bench import machine, results
from tests.bench.beside import scheduling_beside
from tests.bench.contenders import Contender, Contenders, Sample, described
from tests.bench.setting import LIVED_IN, ROOT, Setting, prepared, source_of

SIZES = (10_000, 100_000, 1_000_000)


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--airflow", default="2.10.3", help="version of Airflow 2 whose schema it is (%(default)s)")
    parser.add_argument(
        "--sizes", default=",".join(map(str, SIZES)), help="task instances, ascending; the last one is compared"
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds; what is told are medians (%(default)s)")
    parser.add_argument("--only", default="", help="names of contenders with commas between them (default: all)")
    parser.add_argument("--data", type=Path, help="folder that keeps the databases for the next time")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench/bench.json")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the servers are stopped
    load = os.getloadavg()[2]
    sizes = tuple(int(size) for size in options.sizes.split(","))
    # Not below build: the user PostgreSQL runs as must reach it.
    folder = options.data or Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with prepared(folder, options.airflow, sizes) as setting:
            chosen = chosen_contenders(setting, sizes, options.only)
            samples = measured(chosen, options.repeats)
            waits = {} if options.only else waits_beside(setting, sizes[-1])
            found = results.document(samples, sizes, machine=machine.described(setting, load), waits=waits)
    finally:
        if not options.data:
            shutil.rmtree(folder)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=1))
    print(f"\n{sizes[-1]:,} task instances, medians of {options.repeats}\n")
    print(results.aligned(results.table(samples, sizes[-1])), end="\n\n")
    print(results.aligned([[name, f"{value:.2f}"] for name, value in results.key_figures(samples, sizes).items()]))
    for work, longest in waits.items():
        print(f"\nlongest waits beside {work}, seconds")
        print(results.aligned([[name, f"{seconds:.3f}"] for name, seconds in longest["longest"].items()]))
    print(f"\nwritten: {options.output}; python -m tests.bench.page brings its numbers into docs/performance.md")
    return 0


def chosen_contenders(setting: Setting, sizes: tuple[int, ...], only: str) -> list[Contender]:
    *smaller, top = sizes
    listed = [one for size in smaller for one in Contenders(setting, size).ours()] + Contenders(setting, top).all()
    names = {name.strip() for name in only.split(",") if name.strip()}
    unknown = names - {one.name for one in listed}
    if unknown:
        accepted = ", ".join(dict.fromkeys(one.name for one in listed))
        raise SystemExit(f"--only: there is no {', '.join(sorted(unknown))}; accepted: {accepted}")
    return [one for one in listed if not names or one.name in names]


def measured(contenders: list[Contender], repeats: int) -> dict[tuple[str, int], list[Sample]]:
    """Rounds in which each has its turn, so that what slows the machine for a while slows all of them."""
    samples = defaultdict(list)
    for number in range(repeats):
        for one in contenders:
            sample = one.run()
            samples[one.name, one.task_instances].append(sample)
            print(f"round {number + 1}: {one.name} over {one.task_instances:,}: {described(sample)}", flush=True)
    return dict(samples)


def waits_beside(setting: Setting, size: int) -> dict[str, dict[str, object]]:
    """What a scheduler beside the work waits for; `nothing` is how long it takes alone."""
    contenders = Contenders(setting, size)
    waits = {}
    with setting.database(source_of(size)) as name, scheduling_beside(setting.cluster.dsn(name)) as found:
        contenders.snapshot_of(name)
    waits["a snapshot"] = asdict(found)
    with setting.database(LIVED_IN) as name, scheduling_beside(setting.cluster.dsn(name)) as found:
        contenders.restore_into(name)
    waits["a restore"] = asdict(found)
    with setting.database(LIVED_IN) as name, scheduling_beside(setting.cluster.dsn(name)) as found:
        contenders.bare()
    waits["nothing"] = asdict(found)
    return waits


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
