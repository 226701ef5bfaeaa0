"""Patches of moto's KMS."""

from __future__ import annotations

import json
from copy import copy, deepcopy
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms import models, responses, utils

#: Length of a multi-Region key's id: `mrk-` and a UUID.
_MULTI_REGION_ID_LENGTH = 40
_NOT_USABLE = {
    "Disabled": ("DisabledException", "is disabled."),
    "PendingDeletion": ("KMSInvalidStateException", "is pending deletion."),
}


def multi_region_ciphertext() -> None:
    """moto cuts key ids in its cipher text at 36 characters: what a multi-Region key encrypts is lost. AWS decrypts."""
    utils.KEY_ID_LEN = _MULTI_REGION_ID_LENGTH
    utils.HEADER_LEN = _MULTI_REGION_ID_LENGTH + utils.IV_LEN + utils.TAG_LEN
    utils.CIPHERTEXT_HEADER_FORMAT = f">{_MULTI_REGION_ID_LENGTH}s{utils.IV_LEN}s{utils.TAG_LEN}s"
    original = utils._deserialize_ciphertext_blob

    def deserialize(ciphertext_blob: bytes) -> Any:
        ciphertext = original(ciphertext_blob)
        return ciphertext._replace(key_id=ciphertext.key_id.rstrip("\x00"))

    utils._deserialize_ciphertext_blob = deserialize


def _related_arns(key: Any) -> list[str]:
    configuration = key.multi_region_configuration
    return [configuration["PrimaryKey"]["Arn"], *(replica["Arn"] for replica in configuration["ReplicaKeys"])]


def _refresh_replicas(primary: Any) -> None:
    """Tell every replica of the key what the primary knows."""
    for replica in primary.multi_region_configuration["ReplicaKeys"]:
        key = models.kms_backends[primary.account_id][replica["Region"]].keys.get(primary.id)
        if key is not None:
            shared = deepcopy(primary.multi_region_configuration)
            key.multi_region_configuration = {**shared, "MultiRegionKeyType": "REPLICA"}


def replicate_key() -> None:
    """moto gives primary and replica one dictionary, and drops description, policy and tags: Terraform waits for ever.

    AWS makes a key of its own with the same key material and key id.
    """

    def replicate(backend: Any, key_id: str, region: str, given: dict[str, Any]) -> Any:
        primary = backend.keys[key_id]
        replica = copy(primary)
        replica.region = region
        replica.arn = primary.arn.replace(f":{primary.region}:", f":{region}:")
        replica.description = given.get("Description") or ""
        replica.policy = given.get("Policy") or primary.generate_default_policy()
        replica.aliases, replica.grants, replica.rotations = {}, {}, []
        replica.key_state, replica.enabled, replica.deletion_date = "Enabled", True, None
        target = models.kms_backends[backend.account_id][region]
        if target.keys.get(key_id) is not None:
            raise JsonRESTError("AlreadyExistsException", f"Key {replica.arn} already exists.")
        primary.multi_region_configuration["ReplicaKeys"].append({"Arn": replica.arn, "Region": region})
        target.keys[key_id] = replica
        target.tagger.tag_resource(key_id, given.get("Tags") or [])
        _refresh_replicas(primary)
        return replica

    def replicate_key_response(response: Any) -> str:
        key_id = response._get_param("KeyId").rsplit("/", 1)[-1]
        response._validate_key_id(key_id)
        given = {name: response._get_param(name) for name in ("Description", "Policy", "Tags")}
        replica = replicate(response.kms_backend, key_id, response._get_param("ReplicaRegion"), given)
        metadata = replica.to_dict()["KeyMetadata"]
        return json.dumps(
            {"ReplicaKeyMetadata": metadata, "ReplicaPolicy": replica.policy, "ReplicaTags": given["Tags"] or []}
        )

    responses.KmsResponse.replicate_key = replicate_key_response


def unusable_keys() -> None:
    """moto uses keys that are disabled or await deletion. AWS refuses: DisabledException, KMSInvalidStateException."""

    def check(key: Any) -> None:
        state = "PendingDeletion" if key.deletion_date else "Enabled" if key.enabled else "Disabled"
        if state in _NOT_USABLE:
            name, text = _NOT_USABLE[state]
            raise JsonRESTError(name, f"{key.arn} {text}")

    encrypt, decrypt, data_key = (
        models.KmsBackend.encrypt,
        models.KmsBackend.decrypt,
        models.KmsBackend.generate_data_key,
    )

    def checked_encrypt(backend: Any, key_id: str, *args: Any, **kwargs: Any) -> Any:
        check(backend.keys[backend.any_id_to_key_id(key_id)])
        return encrypt(backend, key_id, *args, **kwargs)

    def checked_decrypt(backend: Any, *args: Any, **kwargs: Any) -> Any:
        plaintext, arn = decrypt(backend, *args, **kwargs)
        check(backend.keys[arn.rsplit("/", 1)[-1]])
        return plaintext, arn

    def checked_data_key(backend: Any, key_id: str, *args: Any, **kwargs: Any) -> Any:
        check(backend.keys[backend.any_id_to_key_id(key_id)])
        return data_key(backend, key_id, *args, **kwargs)

    models.KmsBackend.encrypt = checked_encrypt
    models.KmsBackend.decrypt = checked_decrypt
    models.KmsBackend.generate_data_key = checked_data_key


PATCHES = [multi_region_ciphertext, replicate_key, unusable_keys]
