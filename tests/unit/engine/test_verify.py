"""Reading a snapshot back: everything that is wrong is named, and nothing is wrong with a good one."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from continuity import verify
from continuity.errors import KeyRefused, SnapshotDamaged
from continuity.manifest import NAME as MANIFEST
from continuity.storage import PART_BYTES
from tests.unit.engine.stored import BUCKET, ID, OTHER_ID, SEALED_ROWS, Stored


def faults(stored: Stored, snapshot_id: str = ID) -> dict[str, str]:
    return {fault.name: fault.why for fault in verify.read_back(stored.store, stored.kms, snapshot_id).faults}


def test_a_good_snapshot_has_no_fault_and_says_so_beside_itself(stored: Stored) -> None:
    made = stored.snapshot()
    report = verify.read_back(stored.store, stored.kms, ID, stored.key_arn)
    assert (report.sound, report.faults, report.manifest) == (True, (), made)
    assert (report.objects, report.manifest.rows) == (7, 9)
    assert verify.recorded(stored.store, ID) is None
    verify.record(stored.store, report)
    assert verify.recorded(stored.store, ID) == ()
    document = json.loads(stored.body(verify.NAME))
    assert (document["objects"], document["rows"], document["faults"]) == (7, 9, [])
    verify.refuse_known_bad(stored.store, ID)
    report.refuse_faults()


def missing(stored: Stored, name: str) -> None:
    stored.s3.delete_object(Bucket=BUCKET, Key=stored.store.key(ID, name))


def truncated(stored: Stored, name: str) -> None:
    stored.store.put(ID, name, stored.body(name)[:-1])


def altered(stored: Stored, name: str) -> None:
    body = stored.body(name)
    stored.store.put(ID, name, body[:-1] + bytes([body[-1] ^ 1]))


def altered_and_claimed(stored: Stored, name: str) -> None:
    """As somebody does who can write the manifest too: the hash is right, the seal is not."""
    body = stored.body(name)
    stored.claim(name, body[:-1] + bytes([body[-1] ^ 1]))


def of_another_table(stored: Stored, name: str) -> None:
    stored.claim(name, stored.body("variable.sealed"))


def of_another_snapshot(stored: Stored, name: str) -> None:
    stored.snapshot(OTHER_ID)
    stored.claim(name, stored.body(name, OTHER_ID))


def too_short_for_a_nonce(stored: Stored, name: str) -> None:
    stored.claim(name, b"short")


def with_a_row_less(stored: Stored, name: str) -> None:
    stored.claim(name, gzip.compress(b"1\n2\n"))


def with_a_column_more(stored: Stored, name: str) -> None:
    stored.claim(name, gzip.compress(b"1\tx\n2\tx\n3\tx\n"))


def no_gzip(stored: Stored, name: str) -> None:
    stored.claim(name, b"1\n2\n3\n")


NOT_SEALED = "was not sealed by this snapshot's key"


@pytest.mark.parametrize(
    ("name", "harm", "why"),
    [
        ("log.history.copy.gz", missing, "it is missing"),
        ("log.history.copy.gz", truncated, "bytes, its manifest says"),
        ("log.history.copy.gz", altered, "SHA-256"),
        ("log.history.copy.gz", with_a_row_less, "it has 2 rows, its manifest says 3"),
        ("log.history.copy.gz", with_a_column_more, "other columns"),
        ("log.history.copy.gz", no_gzip, "no gzip file"),
        ("spec.json", missing, "it is missing"),
        ("spec.json", altered, "SHA-256"),
        ("connection.sealed", missing, "it is missing"),
        ("connection.sealed", altered, "SHA-256"),
        ("connection.sealed", altered_and_claimed, NOT_SEALED),
        ("connection.sealed", of_another_table, NOT_SEALED),
        ("connection.sealed", of_another_snapshot, NOT_SEALED),
        ("connection.sealed", too_short_for_a_nonce, NOT_SEALED),
    ],
)
def test_what_is_wrong_is_named(stored: Stored, name: str, harm: Callable[[Stored, str], None], why: str) -> None:
    """Failure covered: the backup is not checked for completeness; a moved, altered or truncated object is restored."""
    stored.snapshot()
    harm(stored, name)
    found = faults(stored)
    assert list(found) == [name]
    assert why in found[name]


def test_every_object_that_is_wrong_is_named_not_just_the_first(stored: Stored) -> None:
    stored.snapshot()
    for name in ("log.history.copy.gz", "trigger.sealed", "spec.json"):
        missing(stored, name)
    report = verify.read_back(stored.store, stored.kms, ID)
    assert [fault.name for fault in report.faults] == ["log.history.copy.gz", "trigger.sealed", "spec.json"]
    with pytest.raises(SnapshotDamaged, match=r"log\.history.*missing.*trigger\.sealed: it is missing.*spec\.json"):
        report.refuse_faults()


def test_a_long_list_of_faults_is_cut_with_their_number(stored: Stored) -> None:
    report = verify.Report(stored.snapshot(), tuple(verify.Fault(f"object {n}", "gone") for n in range(14)))
    with pytest.raises(SnapshotDamaged) as refused:
        report.refuse_faults()
    assert str(refused.value).count("gone") == 10
    assert str(refused.value).endswith("and 4 more objects")


def test_a_data_key_of_another_snapshot_opens_nothing(stored: Stored) -> None:
    """Failure covered: a manifest is put together from two snapshots; the context it names is not what counts."""
    other = stored.snapshot(OTHER_ID)
    stored.snapshot(encryption=other.encryption)
    missing(stored, "log.history.copy.gz")
    found = faults(stored)
    assert "of another snapshot" in found[MANIFEST]
    assert set(found) == {MANIFEST, "log.history.copy.gz"}, "what needs no key is checked all the same"


@pytest.mark.parametrize("key", [None, "!", ""])
def test_a_manifest_without_a_data_key_is_damaged(stored: Stored, key: str | None) -> None:
    stored.snapshot(encryption={"encrypted_data_key": key})
    assert "data key" in faults(stored)[MANIFEST]


class Refusing:
    """A key service that refuses; moto decrypts whatever key is named."""

    def __init__(self, code: str) -> None:
        self.code = code

    def decrypt(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "Decrypt")


@pytest.mark.parametrize("code", ["AccessDeniedException", "IncorrectKeyException", "DisabledException"])
def test_a_key_that_is_wrong_or_may_not_be_used_says_nothing_of_the_snapshot(stored: Stored, code: str) -> None:
    """Failure covered: a missing permission passes for damage, and the snapshot is condemned."""
    stored.snapshot()
    with pytest.raises(KeyRefused, match=rf"cannot be opened with arn:of-a-key \({code}\)"):
        verify.read_back(stored.store, Refusing(code), ID, "arn:of-a-key")
    with pytest.raises(ClientError, match="Throttling"):
        verify.read_back(stored.store, Refusing("ThrottlingException"), ID)


def test_a_manifest_of_another_snapshot_is_none(stored: Stored) -> None:
    """Failure covered: a folder that was copied or renamed passes for another snapshot."""
    stored.snapshot()
    stored.store.put(OTHER_ID, MANIFEST, stored.body(MANIFEST))
    with pytest.raises(SnapshotDamaged, match=f"under {OTHER_ID} of env it is of snapshot {ID}"):
        verify.read_back(stored.store, stored.kms, OTHER_ID)


def test_rows_that_do_not_add_up_are_told_of_the_manifest(stored: Stored) -> None:
    document = json.loads(stored.snapshot().to_json())
    document["tables"][0]["rows"] += 1
    stored.store.put(ID, MANIFEST, json.dumps(document).encode())
    assert faults(stored) == {MANIFEST: "its objects of table dag_run do not add up to 3 rows"}


def test_a_snapshot_known_to_be_bad_is_refused_until_it_is_read_back_sound(stored: Stored) -> None:
    """Failure covered: a failover restores the snapshot whose verification had failed."""
    stored.snapshot()
    good = stored.body("log.history.copy.gz")
    altered(stored, "log.history.copy.gz")
    verify.record(stored.store, verify.read_back(stored.store, stored.kms, ID))
    with pytest.raises(SnapshotDamaged, match=r"log\.history\.copy\.gz: .*found when the snapshot was read back"):
        verify.refuse_known_bad(stored.store, ID)
    stored.store.put(ID, "log.history.copy.gz", good)
    with pytest.raises(SnapshotDamaged):
        verify.refuse_known_bad(stored.store, ID)
    verify.record(stored.store, verify.read_back(stored.store, stored.kms, ID))
    verify.refuse_known_bad(stored.store, ID)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"format": 1, "snapshot_id": "other", "faults": []}'])
def test_an_unreadable_verification_is_no_good_news(stored: Stored, body: bytes) -> None:
    stored.snapshot()
    stored.store.put(ID, verify.NAME, body)
    with pytest.raises(SnapshotDamaged, match=r"verification\.json"):
        verify.refuse_known_bad(stored.store, ID)


def test_sealed_rows_come_back_as_they_were(stored: Stored) -> None:
    made = stored.snapshot()
    key = verify.secrets.open_data_key(stored.kms, None, made.encrypted_data_key, made.key_context)
    for name, rows in SEALED_ROWS.items():
        table: Any = made.table(name)
        assert list(verify.unsealed_rows(stored.store, ID, table, table.objects[0], key)) == rows


def test_counting_rows_does_not_unfold_them_into_memory(stored: Stored) -> None:
    made = stored.snapshot()
    table: Any = made.table("log")
    stored.claim("log.history.copy.gz", gzip.compress(b"1\n" * 50_000_000, 1))
    tracemalloc.start()
    report = verify.read_back(stored.store, stored.kms, ID)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.fault_of(table.objects[0].name) == "it has 50000000 rows, its manifest says 3"
    assert peak < 3 * PART_BYTES
