"""`python -m tests.bench.page`: the numbers of the last run into docs/performance.md, and its curves beside it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench import results
from tests.bench.chart import line_chart
from tests.bench.setting import ROOT

PAGE = ROOT / "docs/performance.md"
PICTURES = ROOT / "docs/pictures"
BETWEEN_MARKS = re.compile(r"(?<=<!-- bench -->\n).*?(?=<!-- /bench -->)", re.DOTALL)

#: Figure -> what it is, and the goal that was set for it: at most (or, where told, at least) so much.
GOALS: Mapping[str, tuple[str, float | None]] = {
    "snapshot_vs_pg_dump": ("our snapshot to a folder / `pg_dump -Fd -Z1 -j2`", 1.2),
    "snapshot_s3_vs_pg_dump": ("our snapshot to S3 / `pg_dump -Fd -Z1 -j2` to a folder", 2.0),
    "stored_bytes_vs_pg_dump": ("stored bytes / `pg_dump`'s", 1.0),
    "restore_vs_pg_restore_data_only": ("our whole restore / `pg_restore --data-only`", 1.1),
    "restore_vs_pg_restore_full": ("our whole restore / `pg_restore -j2`", None),
    "go_live_seconds": ("seconds to go live", 5.0),
    "go_live_growth": ("seconds to go live / the same over a hundredth of the history", 1.5),
    "peak_rss_over_import_mib": ("peak memory over the import of Airflow, MiB", 64.0),
    "delta_growth_with_history": ("a delta / the same change over a tenth of the history", 2.0),
    "export_growth_with_history": ("an export to the lake / the same change over a tenth of the history", None),
    "delta_seconds": ("seconds of a delta", None),
    "delta_database_cpu_percent": ("CPU of the database for a delta every minute, % of one core", 5.0),
    "row_wise_vs_snapshot_s3": ("row by row to S3 / our snapshot to S3", None),
    "row_wise_restore_vs_go_live": ("row by row from S3, which goes live at its end / our time to go live", None),
}
MEMORY_LIMIT = ("goal: 64 MiB", 64.0)
OURS = ("snapshot_s3", "restore_s3", "delta", "export")


def main() -> int:
    found = json.loads((ROOT / "build/bench/bench.json").read_text())
    samples = samples_of(found)
    for name, picture in pictures(found, samples).items():
        (PICTURES / name).write_text(picture)
    text = PAGE.read_text()
    if not BETWEEN_MARKS.search(text):
        raise SystemExit(f"{PAGE} has no place for the numbers: two marks, <!-- bench --> and <!-- /bench -->")
    numbers = section(found, samples)
    PAGE.write_text(BETWEEN_MARKS.sub(lambda _: numbers, text))
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0


def samples_of(found: Mapping[str, Any]) -> dict[tuple[str, int], list[Any]]:
    """The raw samples of a document, as `results` takes them."""
    return {(entry["contender"], entry["task_instances"]): entry["runs"] for entry in found["samples"]}


def section(found: Mapping[str, Any], samples: results.Samples) -> str:
    """What stands between the marks."""
    machine, sizes = found["machine"], found["sizes"]
    top = max(sizes)
    rounds = max(len(runs) for runs in samples.values())
    parts = [
        f"Measured on {machine['cores']} cores ({machine['processor']}), {machine['memory_gib']:.0f} GiB of memory,"
        f" {machine['system']}, PostgreSQL {machine['postgres']}, Airflow {machine['airflow']},"
        f" medians of {rounds}; the load of the machine in the quarter of an hour before was {machine['load_before']}.",
        "## Goals",
        in_markdown(goals(found)),
        f"## Over {top:,} task instances",
        in_markdown(results.table(samples, top)),
        "## Curves",
        "![Peak memory over the import of Airflow](pictures/performance-memory.svg)",
        "![Seconds of a delta, and to go live, over the length of history](pictures/performance-history.svg)",
        "## Where our time goes",
        f"Wall seconds over {top:,} task instances. Two sessions work at a time: parts may exceed the whole.",
        *(in_markdown(where_time_goes(samples, name, top)) for name in ("snapshot_local", "restore_local", "delta")),
        "## Longest waits",
        in_markdown(longest_waits(found["waits"])),
    ]
    return "\n" + "\n\n".join(part for part in parts if part) + "\n\n"


def goals(found: Mapping[str, Any]) -> list[list[str]]:
    rows = [["", "measured", "goal", ""]]
    for name, (title, goal) in GOALS.items():
        if name in found:
            reached = "" if goal is None else "reached" if round(found[name], 2) <= goal else "**not reached**"
            rows.append([title, f"{found[name]:.2f}", "" if goal is None else f"{goal:g}", reached])
    return rows


def where_time_goes(samples: results.Samples, name: str, size: int) -> list[list[str]]:
    """Parts of at least a hundredth of the whole."""
    whole = results.typical(samples, (name, size), "seconds")
    if not whole:
        return []
    shown = {part: seconds for part, seconds in results.parts(samples, (name, size)).items() if seconds >= whole / 100}
    return [
        [results.TITLES[name], "seconds"],
        ["**all of it**", f"{whole:.2f}"],
        *([part, f"{seconds:.2f}"] for part, seconds in shown.items()),
    ]


def longest_waits(waits: Mapping[str, Any]) -> list[list[str]]:
    if not waits:
        return []
    first = next(iter(waits.values()))
    return [
        ["milliseconds", *(f"beside {work}" for work in waits)],
        *([name, *(f"{found['longest'][name] * 1000:.0f}" for found in waits.values())] for name in first["longest"]),
    ]


def pictures(found: Mapping[str, Any], samples: results.Samples) -> dict[str, str]:
    """Name of a file -> its content."""
    sizes = found["sizes"]

    def curve(name: str, measure: str, less: str | None = None) -> list[tuple[float, float]]:
        points = []
        for size in sizes:
            value = results.typical(samples, (name, size), measure)
            bare = results.typical(samples, (less, size), measure) if less else 0.0
            if value is not None and bare is not None:
                points.append((float(size), value - bare))
        return points

    memory = {results.TITLES[name]: curve(name, "peak_rss_mib", "bare") for name in OURS}
    live = [(float(size), results.go_live_seconds(samples, size)) for size in sizes]
    history = {
        results.TITLES["delta"]: curve("delta", "seconds"),
        "to go live, from S3": [(size, seconds) for size, seconds in live if seconds is not None],
    }
    return {
        "performance-memory.svg": line_chart("Peak memory over the import of Airflow", "MiB", memory, MEMORY_LIMIT),
        "performance-history.svg": line_chart(
            "A delta, and going live, over the length of history", "seconds", history
        ),
    }


def in_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its head."""
    if not rows:
        return ""
    head, *others = rows
    aligned = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, aligned, *others))


if __name__ == "__main__":
    sys.exit(main())
