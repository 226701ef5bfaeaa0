"""Which rows of a base still hold, by numbers alone; and reading just these."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from continuity import delta, layout, verify
from continuity.delta import Base
from continuity.errors import NoBase, SnapshotDamaged
from continuity.layout import Counted, Layout, Ranges, Survey
from continuity.manifest import Manifest, ObjectEntry, TableEntry, plain_entry, read_manifest
from continuity.settings import Settings
from continuity.storage import RowSlices
from tests.unit.engine.stored import BUCKET, ENVIRONMENT, ID, OTHER_ID, Stored

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


@pytest.mark.parametrize("document", [None, "no JSON", "[]", '{"format": 1}'])
def test_what_is_no_layout_is_refused(document: str | None) -> None:
    body = b"no gzip" if document is None else gzip.compress(document.encode())
    with pytest.raises(SnapshotDamaged, match=r"layout.json.gz: it is no layout"):
        Layout.from_bytes(body)


def test_a_layout_comes_back_as_it_was() -> None:
    there = base_of([1, 2], [0, 1]).layout
    assert Layout.from_bytes(there.to_bytes()) == there
    other = gzip.compress(gzip.decompress(there.to_bytes()).replace(b'"format": 1', b'"format": 7'))
    with pytest.raises(SnapshotDamaged, match="format 7 is not known here; accepted: 1"):
        Layout.from_bytes(other)


class Places:
    """A database that says of itself what a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.can_tell, self.database, self.transactions = True, "db", (7, 9)
        monkeypatch.setattr(layout, "can_tell", lambda _cursor: self.can_tell)
        monkeypatch.setattr(layout, "database_of", lambda _cursor: self.database)
        monkeypatch.setattr(layout, "transactions", lambda _cursor: self.transactions)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    return Places(monkeypatch)


@pytest.fixture
def based(stored: Stored) -> Stored:
    """A base, read back, and its layout."""
    take_base(stored, ID)
    return stored


def take_base(stored: Stored, snapshot_id: str, **overrides: Any) -> None:
    body = base_of([1], [0]).layout.to_bytes()
    stored.store.put(snapshot_id, layout.NAME, body)
    made = stored.snapshot(snapshot_id, **{"layout": plain_entry(layout.NAME, body), **overrides})
    verify.record(stored.store, verify.Report(made, ()))


def take_delta(stored: Stored, snapshot_id: str, **overrides: Any) -> None:
    stored.snapshot(snapshot_id, base=ID, **overrides)


FITS = {"airflow_version": "2.10.3", "alembic_heads": {"alembic_version": ["5f2621c13b39"]}}
CUT = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
SOON = CUT + timedelta(minutes=5)


def find(stored: Stored, now: datetime = SOON, **overrides: Any) -> str:
    document = {"environment": ENVIRONMENT, "region": "us-east-1", "snapshot_bucket": BUCKET}
    settings = Settings.parse({**document, "kms_key": "k", "lease_table": "l", **overrides.pop("settings", {})})
    fits = {**FITS, **overrides.pop("fits", {})}
    return delta.find_base(None, stored.store, settings, now, fits, **overrides).manifest.snapshot_id


@pytest.mark.usefixtures("places")
def test_a_base_that_fits_is_found(based: Stored, caplog: pytest.LogCaptureFixture) -> None:
    based.store.put(OTHER_ID, "spec.json", b"{}")  # what is being taken has its spec already
    assert find(based, but=OTHER_ID) == ID
    take_delta(based, OTHER_ID)
    assert find(based) == ID
    assert not caplog.records


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"can_tell": False}, "cannot tell what changed"),
        ({"database": "other"}, "is of another database"),
        ({"transactions": (3, 4)}, "has gone back to before base"),
        ({"transactions": (2**31, 2**31 + 5)}, "too many transactions have passed"),
    ],
)
def test_a_base_is_of_this_very_database(based: Stored, places: Places, said: dict[str, Any], why: str) -> None:
    vars(places).update(said)
    with pytest.raises(NoBase, match=why):
        find(based)


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"now": CUT}, "was cut later"),
        ({"now": CUT + timedelta(hours=2), "settings": {"base_interval_hours": 1}}, "there is no recent one"),
        ({"settings": {"region": "us-west-2"}}, "has another region"),
        ({"fits": {"airflow_version": "2.11.2"}}, "has another airflow_version"),
        ({"fits": {"alembic_heads": {}}}, "has another alembic_heads"),
        ({"but": ID}, "there is no recent one"),
    ],
)
def test_a_base_fits_what_is_taken(based: Stored, overrides: dict[str, Any], why: str) -> None:
    with pytest.raises(NoBase, match=why):
        find(based, **overrides)


@pytest.mark.usefixtures("places")
def test_a_base_of_other_ranges_or_without_a_layout_is_none(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    take_base(stored, ID, layout=None)
    with pytest.raises(NoBase, match="has no layout"):
        find(stored)
    take_base(stored, ID)
    monkeypatch.setattr(layout, "RANGE_PAGES", layout.RANGE_PAGES * 2)
    with pytest.raises(NoBase, match="counts other ranges of pages"):
        find(stored)


@pytest.mark.usefixtures("places")
def test_what_cannot_be_built_upon_is_passed_over(based: Stored) -> None:
    """Failure covered: one portable snapshot, and the next ones are bases though a good one is there."""
    take_base(based, "20260201T000100Z-0a1b2c3d", mode="portable")
    take_base(based, "20260201T000200Z-0a1b2c3d", airflow_version="2.10.2")
    for minute in range(3, 5):
        based.store.put(f"20260201T000{minute}00Z-0a1b2c3d", "spec.json", b"{}")
    assert find(based) == ID


@pytest.mark.usefixtures("places")
def test_deltas_come_to_no_more_than_their_base(based: Stored) -> None:
    """Failure covered: a minute's change is small, and the rest of the day is copied with it again and again."""
    base = read_manifest(based.store, ID)
    take_delta(based, OTHER_ID, history_bytes_since_base=base.own_history_bytes)
    assert find(based) == ID
    take_delta(based, OTHER_ID, history_bytes_since_base=base.own_history_bytes + 1)
    with pytest.raises(NoBase, match="have written as much as it did"):
        find(based)


@pytest.mark.usefixtures("places")
def test_where_snapshots_cannot_be_read_it_becomes_a_base(based: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: an object of the base that may not be read stops all snapshots for a day."""
    refused = ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    def refuse(**_arguments: Any) -> None:
        raise refused

    monkeypatch.setattr(based.s3, "get_object", refuse)
    with pytest.raises(NoBase, match=r"snapshots cannot be read \(AccessRefused\)"):
        find(based)


def test_what_is_scattered_too_widely_is_a_base_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failure covered: a manifest of a hundred megabytes, read every minute by a function of half a gigabyte."""
    monkeypatch.setattr(delta, "MOST_SPANS", 2)
    base = base_of([9] * 7, [0] * 7)
    old = [9, 9, 9, 8, 9, 9, 9]
    assert delta.compare(base, Survey("db", 9, {"t": counted(old, [0] * 7)}))
    old[1] = 8
    with pytest.raises(NoBase, match="is scattered over 3 places"):
        delta.compare(base, Survey("db", 9, {"t": counted(old, [0] * 7)}))


def test_a_range_of_which_other_rows_are_selected_has_changed() -> None:
    """Failure covered: a row is left out by now because of what it points to, and was not written itself."""
    base = base_of([9, 9, 9], [0, 0, 0])
    for others, pages in (({}, ()), ({1: 1}, ((4, 8),))):
        found = delta.compare(base, Survey("db", 9, {"t": counted([9, 9, 9], [0, 0, 0], others=others)}))
        assert found.tables["t"].pages == pages


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50), st.integers(1, 60))
def test_parts_of_a_table_are_all_of_it_in_order(present: list[int], ranges: int) -> None:
    """Failure covered: rows between two parts."""
    found = layout.parts(Counted(1, "s", tuple(present), (0,) * len(present)), ranges)
    pages = [page for (first, end), _ in found for page in range(first, end)]
    assert pages == list(range(len(present) * layout.RANGE_PAGES))
    assert sum(rows for _, rows in found) == sum(present)
    assert all(end > first for (first, end), _ in found)
