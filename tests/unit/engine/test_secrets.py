"""Secrets: sealed and opened again, readable under the target's key, never in a message."""

from __future__ import annotations

import json
import zlib

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from continuity.errors import BadInput, SnapshotDamaged, UnreadableSecret
from continuity.secrets import DataKey, FernetKeys, protect_row, reveal_row, seal, unseal
from continuity.staging import LineReader, copy_line

KEY = DataKey(bytes(32), b"encrypted", {})
OTHER = Fernet(Fernet.generate_key())
OLD_KEY, NEW_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
FLAGGED = {"password": "is_encrypted"}


@given(st.lists(st.dictionaries(TEXTS, st.none() | TEXTS)))
def test_rows_survive_sealing(rows: list[dict[str, str | None]]) -> None:
    """Failure covered: NULL and '' swapped; `\\r\\n` turned to `\\n`; a value holding a line `\\.`."""
    sealed = seal((json.dumps(row).encode() for row in rows), KEY, "id/table")
    assert [json.loads(line) for line in unseal(sealed, KEY, "id/table", "table.sealed")] == rows


def test_no_two_objects_share_a_nonce() -> None:
    assert len({seal([b"same"], KEY, "id/table")[:12] for _ in range(100)}) == 100


@pytest.mark.parametrize("harm", ["another table", "another key", "a flipped bit", "cut short"])
def test_altered_or_foreign_sealed_objects_are_refused(harm: str) -> None:
    sealed = seal([b"{}"], KEY, "id/table")
    key = DataKey(bytes(31) + b"\1", b"", {}) if harm == "another key" else KEY
    body = {"a flipped bit": sealed[:-1] + bytes([sealed[-1] ^ 1]), "cut short": sealed[:-1]}.get(harm, sealed)
    with pytest.raises(SnapshotDamaged, match=r"table\.sealed"):
        list(unseal(body, key, "id/other" if harm == "another table" else "id/table", "table.sealed"))


@given(TEXTS)
def test_a_secret_changes_its_key_and_nothing_else(text: str) -> None:
    """Failure covered: Fernet cipher text copied to an environment with another key."""
    source, target = FernetKeys(OLD_KEY), FernetKeys(NEW_KEY)
    row: dict[str, str | None] = {"password": source.encrypt(text), "is_encrypted": "true"}
    reveal_row(row, FLAGGED, source, "connection 'x'")
    assert row == {"password": text, "is_encrypted": "true"}
    protect_row(row, FLAGGED, target)
    assert Fernet(NEW_KEY).decrypt((row["password"] or "").encode()).decode() == text
    assert row["is_encrypted"] == "true"


@pytest.mark.parametrize(("value", "flag"), [(None, "true"), (None, None), ("", "false"), ("clear", None)])
def test_what_was_not_encrypted_stays_as_it_was(value: str | None, flag: str | None) -> None:
    row = {"password": value, "is_encrypted": flag}
    reveal_row(row, FLAGGED, FernetKeys(OLD_KEY), "x")
    protect_row(row, FLAGGED, FernetKeys(NEW_KEY))
    assert row == {"password": value, "is_encrypted": flag}


def test_rotated_keys_are_tried_in_turn() -> None:
    token = Fernet(OLD_KEY).encrypt(b"text").decode()
    keys = FernetKeys(f"{NEW_KEY}, {OLD_KEY}")
    assert keys.decrypt(token, "x") == "text"
    assert Fernet(NEW_KEY).decrypt(keys.encrypt("text").encode()) == b"text"


def test_an_environment_without_a_key_keeps_clear_text_and_says_so() -> None:
    row: dict[str, str | None] = {"password": "text", "is_encrypted": "true"}
    protect_row(row, FLAGGED, FernetKeys(""))
    assert row == {"password": "text", "is_encrypted": "false"}


def test_trigger_arguments_are_known_by_their_form() -> None:
    source, target = FernetKeys(OLD_KEY), FernetKeys(NEW_KEY)
    for kwargs in ('{"a": 1}', source.encrypt('{"a": 1}')):
        row: dict[str, str | None] = {"kwargs": kwargs}
        reveal_row(row, {"kwargs": None}, source, "trigger '1'")
        assert row["kwargs"] == '{"a": 1}'
        protect_row(row, {"kwargs": None}, target)
        assert target.decrypt(row["kwargs"] or "", "x") == '{"a": 1}'


def test_messages_name_the_place_and_not_the_value() -> None:
    token = OTHER.encrypt(b"hidden").decode()
    for keys in (FernetKeys(OLD_KEY), FernetKeys("")):
        with pytest.raises(UnreadableSecret) as refused:
            keys.decrypt(token, "variable 'x': val")
        assert str(refused.value).startswith("variable 'x': val cannot be decrypted")
        assert token not in str(refused.value)
        assert refused.value.__context__ is None, "a traceback of the cause may show the value"
    with pytest.raises(BadInput, match=r"core\.fernet_key") as wrong:
        FernetKeys("no key")
    assert "no key" not in str(wrong.value)
    assert "plain" not in repr(KEY)


@given(st.lists(st.lists(st.none() | TEXTS, min_size=1, max_size=4)), st.integers(1, 50))
def test_copy_lines_read_as_postgresql_reads_them(rows: list[list[str | None]], size: int) -> None:
    """Failure covered: a value holding a line `\\.`, quotes, tabs or line ends breaks the load."""
    reader = LineReader(iter([copy_line(row) for row in rows]))
    text = b"".join(iter(lambda: reader.read(size), b"")).decode()
    lines = text.split("\n")[:-1]
    assert [[unescaped(value) for value in line.split("\t")] for line in lines] == rows
    assert "\\." not in lines


def unescaped(value: str) -> str | None:
    """COPY's text format, as its manual describes it."""
    if value == "\\N":
        return None
    found, rest = [], iter(value)
    for character in rest:
        found.append({"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}[next(rest)] if character == "\\" else character)
    return "".join(found)


def test_sealed_objects_are_compressed_before_they_are_encrypted() -> None:
    lines = [b'{"key": "value"}'] * 1000
    assert len(seal(lines, KEY, "x")) < len(zlib.compress(b"\n".join(lines), 1)) + 200
