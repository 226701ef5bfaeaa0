"""Which rows of a base still hold, by numbers alone; and reading just these."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continuity import delta, layout
from continuity.delta import Base
from continuity.errors import NoBase, SnapshotDamaged
from continuity.layout import Counted, Layout, Ranges, Survey
from continuity.manifest import Manifest, ObjectEntry, TableEntry
from continuity.storage import RowSlices
from tests.unit.engine.stored import ENVIRONMENT, ID

COUNTS = st.integers(0, 4)


class Blocks(io.BytesIO):
    """A file that gives out what it holds in pieces of any size."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        super().__init__(content)
        self._sizes = sizes

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(self._sizes.pop() if self._sizes else 7)


@given(
    st.lists(st.text("ab\\", max_size=5), max_size=30),
    st.lists(st.booleans(), min_size=30, max_size=30),
    st.lists(st.integers(1, 40), max_size=10),
)
def test_rows_are_taken_by_number(rows: list[str], wanted: list[bool], sizes: list[int]) -> None:
    """However the bytes come, in whatever pieces."""
    take = list(delta._spans(wanted[: len(rows)]))
    reader = RowSlices(Blocks("".join(f"{row}\n" for row in rows).encode(), sizes), take)
    found = b""
    while block := reader.read():
        found += block
    assert found.decode() == "".join(f"{row}\n" for row, taken in zip(rows, wanted, strict=False) if taken)


def counted(old: list[int], new: list[int], **other: Any) -> Counted:
    return Counted(**{"filenode": 1, "selection": "s", **other}, old=tuple(old), new=tuple(new))


def base_of(rows: list[int], state: list[int], *split: int) -> Base:
    """A base with one table, whose history is in objects of `split` rows each."""
    in_history = sum(rows) - sum(state)
    sizes = [*split, in_history - sum(split)]
    objects = [ObjectEntry("t.state.copy.gz", "state", sum(state), 1, "")]
    objects += [ObjectEntry(f"t.history.{n}.gz", "history", size, 1, "") for n, size in enumerate(sizes)]
    table = TableEntry("t", "carry", (), sum(rows), None, tuple(objects))
    manifest = Manifest(
        ID, ENVIRONMENT, "us-east-1", "2.10.3", {}, "15", "", "", "", None, {}, {}, [], (table,), [], [], None
    )
    return Base(
        manifest, Layout("db", 5, layout.RANGE_PAGES, {"t": Ranges(1, "s", tuple(rows), tuple(rows), tuple(state))})
    )


@given(st.data())
def test_rows_that_hold_are_those_of_ranges_that_did_not_change(data: st.DataObject) -> None:
    """Against a model that knows of each row in which range, and in which object, it lies."""
    rows = data.draw(st.lists(COUNTS, min_size=1, max_size=8))
    state = [data.draw(st.integers(0, count)) for count in rows]
    old = [data.draw(st.integers(0, count)) for count in rows]
    new = [data.draw(st.sampled_from([0, 0, 1])) for _ in rows]
    more = data.draw(st.lists(COUNTS, max_size=3))
    first = data.draw(st.integers(0, sum(rows) - sum(state)))
    base = base_of(rows, state, first)
    model: dict[str, list[int]] = {entry.name: [] for entry in base.manifest.tables[0].objects}
    for number, (count, of_state) in enumerate(zip(rows, state, strict=True)):
        model["t.state.copy.gz"] += [number] * of_state
        model["history"] = model.get("history", []) + [number] * (count - of_state)
    together = model.pop("history")
    model["t.history.0.gz"], model["t.history.1.gz"] = together[:first], together[first:]
    same = {number for number in range(len(rows)) if old[number] == rows[number] and not new[number]}
    expected = {name: [range_ for range_ in ranges if range_ in same] for name, ranges in model.items()}
    present = sum(old) + sum(new) + sum(more)
    in_what_changed = present - sum(old[number] for number in same)
    survey = Survey("db", 9, {"t": counted([*old, *[0] * len(more)], [*new, *more])})
    if not any(expected.values()) or in_what_changed > delta.WORTHWHILE * present:
        with pytest.raises(NoBase):
            delta.compare(base, survey)
        return
    table = delta.compare(base, survey).tables["t"]
    found: dict[str, list[int]] = {name: [] for name in model}
    for entry in table.holding:
        assert (entry.phase, entry.snapshot_id) == ("history", ID)
        found[entry.name] = [model[entry.name][row] for start, end in entry.take or () for row in range(start, end)]
    assert found == expected
    assert table.rows == sum(rows[number] for number in same)
    pages = {page // layout.RANGE_PAGES for start, end in table.pages for page in range(start, end)}
    assert pages == set(range(len(rows))) - same | {len(rows) + n for n, c in enumerate(more) if c}


@pytest.mark.parametrize("other", [{"filenode": 2}, {"selection": "other"}])
def test_a_table_in_another_file_or_of_other_rows_is_copied_whole(other: dict[str, Any]) -> None:
    base = base_of([5, 5], [0, 0])
    tables = {**base.layout.tables, "u": base.layout.tables["t"]}
    manifest = base.manifest.tables[0]
    both = Base(
        Manifest(**{**vars(base.manifest), "tables": (manifest, TableEntry(**{**vars(manifest), "name": "u"}))}),
        Layout("db", 5, layout.RANGE_PAGES, tables),
    )
    found = Survey("db", 9, {"t": counted([5, 5], [0, 0]), "u": counted([2, 2], [0, 0], **other)})
    assert set(delta.compare(both, found).tables) == {"t"}


def test_where_most_lies_in_what_changed_it_is_a_base_again() -> None:
    base = base_of([10, 10, 10], [0, 0, 0])
    with pytest.raises(NoBase, match="20 of 30 rows lie where something changed"):
        delta.compare(base, Survey("db", 9, {"t": counted([10, 9, 9], [0, 1, 1])}))
    assert delta.compare(base, Survey("db", 9, {"t": counted([10, 10, 9], [0, 0, 1])})).tables["t"].pages == ((8, 12),)
    with pytest.raises(NoBase, match="nothing of base"):
        delta.compare(base, Survey("db", 9, {}))


def test_a_base_whose_numbers_do_not_agree_is_none() -> None:
    """Rows would be taken for others."""
    base = base_of([10, 10], [0, 0])
    wrong = Base(base.manifest, Layout("db", 5, layout.RANGE_PAGES, {"t": Ranges(1, "s", (10, 9), (10, 9), (0, 0))}))
    with pytest.raises(NoBase, match="has 20 rows where its layout says 19"):
        delta.compare(wrong, Survey("db", 9, {"t": counted([10, 9], [0, 0])}))


@pytest.mark.parametrize("body", [b"", b"no gzip", gzip.compress(b"[]"), gzip.compress(b'{"format": 1}')])
def test_what_is_no_layout_is_refused(body: bytes) -> None:
    with pytest.raises(SnapshotDamaged, match=r"layout.json.gz: it is no layout"):
        Layout.from_bytes(body)


def test_a_layout_comes_back_as_it_was() -> None:
    there = base_of([1, 2], [0, 1]).layout
    assert Layout.from_bytes(there.to_bytes()) == there
    other = gzip.compress(gzip.decompress(there.to_bytes()).replace(b'"format": 1', b'"format": 7'))
    with pytest.raises(SnapshotDamaged, match="format 7 is not known here; accepted: 1"):
        Layout.from_bytes(other)
