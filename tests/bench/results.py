"""From samples to what is told: medians, ratios, a table, one JSON document. Nothing here measures anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Sample = Mapping[str, Any]
#: By contender and number of task instances.
Samples = Mapping[tuple[str, int], Sequence[Sample]]

TITLES = {
    "copy_out": "COPY to files (the floor)",
    "pg_dump": "pg_dump -Fd -Z1 -j2",
    "snapshot_local": "our snapshot, to a folder",
    "snapshot_s3": "our snapshot, to S3",
    "delta": "our delta after a change, to S3",
    "export": "our export to the lake, everything",
    "export_of_changes": "our export to the lake, after a change",
    "row_wise_snapshot": "row by row, to S3",
    "copy_in": "COPY from files (the floor)",
    "pg_restore_data_only": "pg_restore --data-only",
    "pg_restore_full": "pg_restore -j2, indexes rebuilt",
    "restore_local": "our restore, from a folder",
    "restore_s3": "our restore, from S3",
    "row_wise_restore": "row by row, from S3",
}
#: What goes over all there is, in memory that must not grow with it.
WHOLE = ("snapshot_local", "snapshot_s3", "restore_local", "restore_s3", "export")
MEASURES = {
    "seconds": ("seconds", 1, 2),
    "cpu_seconds": ("own CPU s", 1, 2),
    "database_cpu_seconds": ("database CPU s", 1, 2),
    "peak_rss_mib": ("peak MiB", 1, 0),
    "bytes": ("stored MB", 1e6, 1),
}
GO_LIVE = ("state_seconds", "take_up_seconds")


def medians(samples: Sequence[Sample]) -> dict[str, float]:
    """The median of every number that all samples have."""
    shared = set.intersection(*(set(sample) for sample in samples))
    names = [name for name in samples[0] if name in shared]
    return {
        name: float(median(sample[name] for sample in samples))
        for name in names
        if all(isinstance(sample[name], int | float) for sample in samples)
    }


def ratio(samples: Samples, one: tuple[str, int], other: tuple[str, int], measure: str = "seconds") -> float | None:
    """Median of one by median of the other; None where either was not measured."""
    if not samples.get(one) or not samples.get(other):
        return None
    return medians(samples[one])[measure] / medians(samples[other])[measure]


def typical(samples: Samples, one: tuple[str, int], measure: str) -> float | None:
    """Median of a contender's measure; None where it was not measured."""
    return medians(samples[one])[measure] if samples.get(one) else None


def go_live_seconds(samples: Samples, size: int) -> float | None:
    """Median time to go live: state and taking up, without waiting for DAGs to be parsed."""
    found = samples.get(("restore_s3", size))
    return median(sum(sample[part] for part in GO_LIVE) for sample in found) if found else None


def peak_over_import(samples: Samples, size: int) -> float | None:
    """Highest peak of our processes over that of the bare import, in MiB."""
    bare = samples.get(("bare", size))
    peaks = [
        medians(found)["peak_rss_mib"]
        for (name, measured_size), found in samples.items()
        if measured_size == size and name in WHOLE
    ]
    return max(peaks) - medians(bare)["peak_rss_mib"] if bare and peaks else None


def parts(samples: Samples, one: tuple[str, int]) -> dict[str, float]:
    """Median seconds of each part of a contender's work, the longest first."""
    found = [sample["parts"] for sample in samples.get(one, ())]
    names = {name for seconds in found for name in seconds}
    typical_seconds = {name: median(seconds.get(name, 0.0) for seconds in found) for name in names}
    return dict(sorted(typical_seconds.items(), key=lambda item: -item[1]))


def key_figures(samples: Samples, sizes: Sequence[int]) -> dict[str, float]:
    """The numbers that goals are set for; those that were not measured are absent."""
    top, least = max(sizes), min(sizes)
    live, live_before = go_live_seconds(samples, top), go_live_seconds(samples, least)
    row_wise = typical(samples, ("row_wise_restore", top), "seconds")
    cpu = typical(samples, ("delta", top), "database_cpu_seconds")
    figures = {
        "snapshot_vs_pg_dump": ratio(samples, ("snapshot_local", top), ("pg_dump", top)),
        "snapshot_s3_vs_pg_dump": ratio(samples, ("snapshot_s3", top), ("pg_dump", top)),
        "restore_vs_pg_restore_data_only": ratio(samples, ("restore_local", top), ("pg_restore_data_only", top)),
        "restore_vs_pg_restore_full": ratio(samples, ("restore_local", top), ("pg_restore_full", top)),
        "stored_bytes_vs_pg_dump": ratio(samples, ("snapshot_local", top), ("pg_dump", top), "bytes"),
        "row_wise_vs_snapshot_s3": ratio(samples, ("row_wise_snapshot", top), ("snapshot_s3", top)),
        "row_wise_restore_vs_go_live": row_wise / live if row_wise and live else None,
        "go_live_seconds": live,
        "go_live_growth": live / live_before if live and live_before else None,
        "peak_rss_over_import_mib": max(
            (peak for size in sizes if (peak := peak_over_import(samples, size)) is not None), default=None
        ),
        "delta_growth_with_history": ratio(samples, ("delta", top), ("delta", top // 10)),
        "export_growth_with_history": ratio(samples, ("export_of_changes", top), ("export_of_changes", top // 10)),
        "delta_seconds": typical(samples, ("delta", top), "seconds"),
        "delta_database_cpu_percent": cpu / 60 * 100 if cpu is not None else None,
    }
    return {name: value for name, value in figures.items() if value is not None}


def table(samples: Samples, size: int) -> list[list[str]]:
    """Rows of text, the first one the head: every contender over one number of task instances."""
    rows = [["", *(title for title, _, _ in MEASURES.values())]]
    for name, title in TITLES.items():
        found = samples.get((name, size))
        if found:
            typical = medians(found)
            rows.append([title, *(_shown(typical.get(measure), *MEASURES[measure][1:]) for measure in MEASURES)])
    return rows


def _shown(value: float | None, unit: float, digits: int) -> str:
    return "" if value is None else f"{value / unit:,.{digits}f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal: the first column to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def document(
    samples: Samples, sizes: Sequence[int], *, machine: Mapping[str, Any], waits: Mapping[str, Any]
) -> dict[str, Any]:
    """What bench.json holds."""
    return {
        **key_figures(samples, sizes),
        "sizes": list(sizes),
        "machine": dict(machine),
        "go_live_seconds_by_size": {str(size): go_live_seconds(samples, size) for size in sizes},
        "peak_rss_over_import_mib_by_size": {str(size): peak_over_import(samples, size) for size in sizes},
        "waits": dict(waits),
        "parts": {
            f"{name} {size}": parts(samples, (name, size))
            for name, size in samples
            if name.startswith(("snap", "rest", "delta"))
        },
        "samples": [
            {"contender": name, "task_instances": size, "runs": [dict(sample) for sample in found]}
            for (name, size), found in samples.items()
        ],
    }
