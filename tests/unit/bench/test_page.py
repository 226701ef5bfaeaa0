"""The committed page shows what was measured, beside the goals, reached or not; its curves hold every point."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.bench import page, results
from tests.bench.chart import line_chart

SIZES = [100_000, 1_000_000]
MACHINE = {
    "cores": 2,
    "processor": "some processor",
    "memory_gib": 23.5,
    "system": "Linux 6",
    "postgres": "15.1",
    "airflow": "2.10.3",
    "load_before": 0.1,
}


def measured() -> dict[str, object]:
    """A document as a run writes it."""
    samples = {
        (name, size): [
            {
                "seconds": seconds * size / 100_000,
                "peak_rss_mib": 120.0,
                "bytes": 10,
                "database_cpu_seconds": 0.6,
                "parts": {"a": 1.0},
            }
        ]
        for size in SIZES
        for name, seconds in (("pg_dump", 1.0), ("snapshot_local", 1.5), ("snapshot_s3", 1.75), ("delta", 0.1))
    }
    samples |= {("bare", size): [{"seconds": 0.0, "peak_rss_mib": 100.0, "parts": {}}] for size in SIZES}
    waits = {"a snapshot": {"longest": {"lock the pools": 0.0123}, "rounds": 7}}
    return results.document(samples, SIZES, machine=MACHINE, waits=waits)


def test_goals_that_are_missed_are_told_as_that() -> None:
    told = {row[0]: row[1:] for row in page.goals(measured())}
    assert told["our snapshot to a folder / `pg_dump -Fd -Z1 -j2`"] == ["1.50", "1.2", "**not reached**"]
    assert told["our snapshot to S3 / `pg_dump -Fd -Z1 -j2` to a folder"] == ["1.75", "2", "reached"]
    assert told["a delta / the same change over a tenth of the history"] == ["10.00", "2", "**not reached**"]
    assert "our whole restore / `pg_restore --data-only`" not in told, "it was not measured"


def test_the_page_tells_the_machine_the_table_the_parts_and_the_waits() -> None:
    found = measured()
    text = page.section(found, page.samples_of(found))
    for shown in (
        "2 cores (some processor)",
        "| pg_dump -Fd -Z1 -j2 | 10.00 |",
        "| a | 1.00 |",
        "| lock the pools | 12 |",
    ):
        assert shown in text


def test_the_committed_page_has_a_place_for_the_numbers() -> None:
    assert page.BETWEEN_MARKS.search(page.PAGE.read_text())


def test_curves_hold_every_point() -> None:
    found = measured()
    for picture in page.pictures(found, page.samples_of(found)).values():
        root = ElementTree.fromstring(picture)  # noqa: S314  (our own)
        points = root.findall("{http://www.w3.org/2000/svg}circle")
        assert len(points) in (2, 4), "two sizes of one or two series"


def test_a_higher_value_stands_higher_and_more_history_farther_right() -> None:
    root = ElementTree.fromstring(line_chart("t", "s", {"one & two": [(10, 1.0), (100, 3.0)]}, ("goal", 5.0)))  # noqa: S314
    (low, high) = root.findall("{http://www.w3.org/2000/svg}circle")
    assert float(low.attrib["cy"]) > float(high.attrib["cy"])
    assert float(low.attrib["cx"]) < float(high.attrib["cx"])
