"""The report: what its JSON holds, and that its page stands by itself."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.rehearsal.report import write
from tests.rehearsal.report_html import render
from tests.rehearsal.report_picture import timeline
from tests.rehearsal.scenarios import SCENARIOS
from tests.unit.rehearsal.samples import sample_report

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Balance(HTMLParser):
    """Collects tags that are closed wrongly, and everything that would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "data", "srcset")]
        if tag in ("script", "link", "iframe"):
            self.loaded.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_json_says_what_the_readme_promises(tmp_path: Path) -> None:
    as_json, _ = write(sample_report(), tmp_path)
    document = json.loads(as_json.read_text())
    assert document["scenario"] == "backup_restore"
    assert document["rpo_seconds"] == 41.3
    assert document["rto_seconds"] == 216.0
    assert document["rto_parts"] == {"detection": 161.0, "creation": 21.0, "restore": 15.0, "go_live": 19.0}
    assert sum(document["rto_parts"].values()) == document["rto_seconds"]
    assert document["first_new_run_seconds"] == 219.0
    assert document["differences"] == 0
    assert document["passed"] is True
    assert {"name", "rows_source", "rows_restored", "mismatched"} <= document["tables"][0].keys()
    assert document["checks"][0].keys() == {"name", "passed", "detail"}


def test_json_of_a_sleep_says_how_long_each_way_took(tmp_path: Path) -> None:
    as_json, _ = write(sample_report(scenario="hibernate"), tmp_path)
    document = json.loads(as_json.read_text())
    assert document["scenario"] == "hibernate"
    assert (document["gone_seconds"], document["live_seconds"], document["creation_seconds"]) == (35.5, 40.0, 17.8)
    labels = [part["label"] for part in document["timeline"]["parts"]]
    assert labels == ["drain", "snapshot, verified", "removal", "asleep", "creation", "restore", "go live"]
    assert document["first_new_run_seconds"] == 41.0


def test_one_difference_fails_the_report() -> None:
    report = sample_report(mismatched=1)
    assert report.differences == 1
    assert not report.passed


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("mismatched", [0, 3])
def test_the_page_stands_by_itself(mismatched: int, scenario: str) -> None:
    page = render(sample_report(mismatched, scenario).document())
    balance = Balance()
    balance.feed(page)
    assert balance.wrong == []
    assert balance.open == []
    assert balance.loaded == []
    assert "url(" not in page
    assert "@import" not in page
    assert "prefers-color-scheme: dark" in page
    for part in sample_report(scenario=scenario).document()["timeline"]["parts"]:
        assert page.count(f"--{part['colour']}: #") == 2, "in light and in dark"


def test_the_page_shows_the_numbers_of_the_dashboard() -> None:
    page = render(sample_report().document())
    assert '<td><code>SnapshotAgeSeconds</code></td><td>Maximum</td><td class="number">31</td>' in page
    assert '<td><code>DrillsFailed</code></td><td>Sum</td><td class="number">never published</td>' in page


def test_the_page_shows_differences_as_text() -> None:
    page = render(sample_report(mismatched=2).document())
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "The rehearsal failed" in page


def test_the_time_line_is_in_scale_and_within_its_picture() -> None:
    document = sample_report().document()
    picture = ET.fromstring(timeline(document["timeline"]))  # noqa: S314 - our own text
    width = float(picture.attrib["viewBox"].split()[2])
    bars = [bar for bar in picture.iter("rect") if float(bar.attrib["height"]) > 20]
    edges = [(float(bar.attrib["x"]), float(bar.attrib["x"]) + float(bar.attrib["width"])) for bar in bars]
    assert len(bars) == 5
    for (_, end), (begin, _) in pairwise(edges):
        assert begin == pytest.approx(end, abs=0.3)
    assert edges[-1][1] <= width
    detection, creation = edges[1], edges[2]
    ratio = (detection[1] - detection[0]) / (creation[1] - creation[0])
    assert ratio == pytest.approx(161 / 21, rel=0.01)
    texts = [text.text for text in picture.iter("text")]
    assert any(text and re.fullmatch(r"\+\d+ s", text) for text in texts)


def test_what_the_time_line_says_stays_within_its_picture() -> None:
    """Many parts and marks at the same time: the legend goes on in another row, labels go up."""
    document = sample_report().document()["timeline"]
    parts = [{**part, "label": f"{part['label']} {number}"} for number in range(4) for part in document["parts"]]
    marks = [{**mark, "label": f"{mark['label']} {number}"} for number in range(4) for mark in document["marks"]]
    picture = ET.fromstring(timeline({**document, "parts": parts, "marks": marks}))  # noqa: S314 - our own text
    width, height = map(float, picture.attrib["viewBox"].split()[2:])
    places = [
        (float(text.attrib["x"]), float(text.attrib["y"]), text.text or "")
        for text in picture.iter("text")
        if "text-anchor" not in text.attrib
    ]
    assert len(places) == len(parts) + len(marks)
    for x, y, text in places:
        assert 0 <= x <= width - 7 * len(text)
        assert 12 <= y <= height
    for one, other in combinations(places, 2):
        first, second = sorted((one, other))
        assert first[1] != second[1] or first[0] + 7 * len(first[2]) <= second[0]
