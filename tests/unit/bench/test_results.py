"""What the bench tells follows from its samples, and from nothing else."""

from __future__ import annotations

import json

import pytest

from tests.bench import results

TOP, LEAST = 1000, 100
SAMPLES = {
    ("bare", TOP): [{"seconds": 0.0, "peak_rss_mib": 100.0}],
    ("pg_dump", TOP): [{"seconds": seconds, "peak_rss_mib": 1.0, "bytes": 90} for seconds in (2.0, 9.0, 2.5)],
    ("snapshot_local", TOP): [
        {"seconds": 5.0, "peak_rss_mib": 120.0, "bytes": 45, "mode": "full", "parts": {"a": 1.0}}
    ],
    ("restore_s3", TOP): [
        {
            "seconds": 20.0,
            "peak_rss_mib": 131.0,
            "state_seconds": 1.0,
            "take_up_seconds": take_up,
            "parts": {"carry": 1.0, "check": take_up},
        }
        for take_up in (0.5, 3.0, 0.25)
    ],
    ("restore_s3", LEAST): [
        {"seconds": 2.0, "peak_rss_mib": 99.0, "state_seconds": 0.75, "take_up_seconds": 0.25, "parts": {}}
    ],
}


def test_a_single_slow_run_does_not_move_the_median() -> None:
    assert results.medians(SAMPLES["pg_dump", TOP])["seconds"] == 2.5


def test_medians_are_of_numbers_that_all_runs_have() -> None:
    found = results.medians([{"seconds": 1.0, "mode": "full"}, {"seconds": 3.0, "mode": "full", "rows": 7}])
    assert found == {"seconds": 2.0}


def test_ratios_are_of_medians() -> None:
    assert results.ratio(SAMPLES, ("snapshot_local", TOP), ("pg_dump", TOP)) == 2.0
    assert results.ratio(SAMPLES, ("snapshot_local", TOP), ("pg_dump", TOP), "bytes") == 0.5


def test_what_was_not_measured_is_no_number() -> None:
    assert results.ratio(SAMPLES, ("snapshot_local", TOP), ("copy_out", TOP)) is None
    figures = results.key_figures(SAMPLES, [LEAST, TOP])
    assert "restore_vs_pg_restore_data_only" not in figures
    assert "delta_growth_with_history" not in figures


def test_going_live_is_state_and_taking_up_whatever_history_costs() -> None:
    figures = results.key_figures(SAMPLES, [LEAST, TOP])
    assert figures["go_live_seconds"] == 1.5
    assert figures["go_live_growth"] == 1.5


def test_parts_are_medians_the_longest_first() -> None:
    assert list(results.parts(SAMPLES, ("restore_s3", TOP)).items()) == [("carry", 1.0), ("check", 0.5)]
    assert results.parts(SAMPLES, ("copy_out", TOP)) == {}


def test_memory_is_the_highest_peak_over_the_import_of_the_same_size() -> None:
    assert results.peak_over_import(SAMPLES, TOP) == pytest.approx(31.0)
    assert results.peak_over_import(SAMPLES, LEAST) is None
    assert results.key_figures(SAMPLES, [LEAST, TOP])["peak_rss_over_import_mib"] == pytest.approx(31.0)


def test_the_table_names_what_was_measured_in_the_order_of_the_titles() -> None:
    head, *rows = results.table(SAMPLES, TOP)
    assert head[1:] == ["seconds", "own CPU s", "database CPU s", "peak MiB", "stored MB"]
    assert [row[0] for row in rows] == [results.TITLES[name] for name in ("pg_dump", "snapshot_local", "restore_s3")]
    assert rows[0] == ["pg_dump -Fd -Z1 -j2", "2.50", "", "", "1", "0.0"]


def test_columns_stand_under_each_other() -> None:
    assert results.aligned([["", "s"], ["long name", "1.00"], ["x", "10.00"]]) == (
        "               s\nlong name   1.00\nx          10.00"
    )


def test_the_document_holds_figures_beside_raw_samples() -> None:
    found = results.document(SAMPLES, [LEAST, TOP], machine={"cores": 2}, waits={})
    assert json.loads(json.dumps(found)) == found
    assert found["snapshot_vs_pg_dump"] == 2.0
    assert found["go_live_seconds_by_size"] == {"100": 1.0, "1000": 1.5}
    assert {"contender": "snapshot_local", "task_instances": TOP, "runs": SAMPLES["snapshot_local", TOP]} in found[
        "samples"
    ]
