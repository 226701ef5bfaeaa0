"""Secrets: Fernet within an environment, AES-256-GCM under a KMS data key between environments.

Plain text exists in memory only. Messages name tables and keys, never values.
"""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from continuity.errors import BadInput, KeyRefused, SnapshotDamaged, UnreadableSecret
from continuity.manifest import NAME as MANIFEST

NONCE_BYTES = 12
ALGORITHM = "AES-256-GCM"
#: What the key service says of a key that is another one, is gone or switched off, or may not be used.
KEY_REFUSED = frozenset(
    {
        "AccessDeniedException",
        "DisabledException",
        "IncorrectKeyException",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        "NotFoundException",
    }
)


class FernetKeys:
    """The Fernet keys of one environment: its option `core.fernet_key`, comma-separated; the first one encrypts.

    `name`: what to call the option where it is no Fernet key.
    """

    def __init__(self, keys: str, name: str = "core.fernet_key") -> None:
        listed = [key.strip() for key in keys.split(",") if key.strip()]
        try:
            self._fernet = MultiFernet([Fernet(key) for key in listed]) if listed else None
        except ValueError:
            raise BadInput(name, "it is no Fernet key", "32 bytes, URL-safe base64") from None

    @property
    def encrypts(self) -> bool:
        """Whether there is a key at all; an environment without one keeps its secrets in clear text."""
        return self._fernet is not None

    def decrypt(self, value: str, where: str) -> str:
        """Plain text of a cipher text. Raises UnreadableSecret naming `where` it stands."""
        try:
            if self._fernet:
                return self._fernet.decrypt(value.encode()).decode()
        except (InvalidToken, UnicodeDecodeError):
            pass
        # Raised outside the handler: a traceback of the cause may show the value.
        raise UnreadableSecret(f"{where} cannot be decrypted with this environment's Fernet keys")

    def encrypt(self, value: str) -> str:
        """Cipher text under the first key; the value itself where the environment has no key."""
        return self._fernet.encrypt(value.encode()).decode() if self._fernet else value


@dataclass(frozen=True)
class DataKey:
    """A data key of one snapshot; `encrypted` and `context` are what the key service needs to give it out again."""

    plain: bytes
    encrypted: bytes
    context: Mapping[str, str]

    def __repr__(self) -> str:
        return "DataKey(...)"

    def entry(self, key_arn: str) -> dict[str, Any]:
        """What the manifest keeps of it, under the key of this ARN."""
        return {
            "algorithm": ALGORITHM,
            "kms_key_arn": key_arn,
            "encrypted_data_key": base64.b64encode(self.encrypted).decode(),
            "context": self.context,
        }


def new_data_key(kms: Any, key_id: str, context: Mapping[str, str]) -> DataKey:
    """A data key under the multi-Region key."""
    answer = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext=dict(context))
    return DataKey(answer["Plaintext"], answer["CiphertextBlob"], context)


def open_data_key(kms: Any, key_id: str | None, encrypted: bytes, context: Mapping[str, str]) -> DataKey:
    """The data key of a snapshot, decrypted with this Region's replica of the key; None lets the key service find it.

    Raises SnapshotDamaged where it was not made for this context or was altered, KeyRefused where this is not the key
    or may not be used.
    """
    named = {"KeyId": key_id} if key_id else {}
    try:
        answer = kms.decrypt(CiphertextBlob=encrypted, EncryptionContext=dict(context), **named)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "InvalidCiphertextException":
            raise SnapshotDamaged(MANIFEST, "its data key was altered, or is of another snapshot") from None
        if code in KEY_REFUSED:
            raise KeyRefused(key_id, code) from None
        raise
    return DataKey(answer["Plaintext"], encrypted, context)


def seal(lines: Iterable[bytes], key: DataKey, associated: str) -> bytes:
    """Compress and encrypt lines. Every call draws its own nonce, so one key serves all tables of a snapshot."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(line + b"\n") for line in lines) + packer.flush()
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key.plain).encrypt(nonce, packed, associated.encode())


def unseal(sealed: bytes, key: DataKey, associated: str, name: str) -> Iterator[bytes]:
    """The lines that were sealed. Raises SnapshotDamaged: altered, or of another snapshot or table."""
    try:
        packed = AESGCM(key.plain).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated.encode())
    except (InvalidTag, ValueError):  # the latter of what is too short to hold a nonce
        raise SnapshotDamaged(name, f"it was not sealed by this snapshot's key as {associated}") from None
    yield from zlib.decompress(packed, 31).splitlines()


def reveal_row(row: dict[str, str | None], secret: Mapping[str, str | None], keys: FernetKeys, where: str) -> None:
    """Replace the cipher texts of a row by their plain texts."""
    for column, flag in secret.items():
        value = row.get(column)
        if value and _is_cipher_text(value, row.get(flag) if flag else None, flag):
            row[column] = keys.decrypt(value, f"{where}: {column}")


def protect_row(row: dict[str, str | None], secret: Mapping[str, str | None], keys: FernetKeys) -> None:
    """Encrypt again what was encrypted, under the target's keys; flags follow where the target has none."""
    for column, flag in secret.items():
        value = row.get(column)
        if value is None or (flag is not None and row.get(flag) != "true"):
            continue
        row[column] = keys.encrypt(value)
        if flag is not None:
            row[flag] = "true" if keys.encrypts else "false"


def _is_cipher_text(value: str, flag_value: str | None, flag: str | None) -> bool:
    if flag is not None:
        return flag_value == "true"
    return not value.startswith("{")  # what Airflow itself goes by for trigger arguments
