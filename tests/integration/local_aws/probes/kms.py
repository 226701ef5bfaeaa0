"""Probes of the patches of kms."""

from __future__ import annotations

from typing import Any

from tests.integration.local_aws.probes.inside import client


def multi_region_ciphertext() -> Any:
    kms = client("kms")
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    context = {"environment": "e"}
    blob = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)
    opened = kms.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=context)
    return opened["Plaintext"] == blob["Plaintext"]


def replicate_key() -> Any:
    home, other = client("kms"), client("kms", "us-west-2")
    key = home.create_key(MultiRegion=True, Description="home")["KeyMetadata"]["KeyId"]
    home.replicate_key(
        KeyId=key, ReplicaRegion="us-west-2", Description="other", Tags=[{"TagKey": "a", "TagValue": "b"}]
    )
    replica = other.describe_key(KeyId=key)["KeyMetadata"]
    primary = home.describe_key(KeyId=key)["KeyMetadata"]
    tags = other.list_resource_tags(KeyId=key)["Tags"]
    kinds = [data["MultiRegionConfiguration"]["MultiRegionKeyType"] for data in (primary, replica)]
    return [kinds, replica["Description"], tags]


def unusable_keys() -> Any:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    kms.encrypt(KeyId=key, Plaintext=b"x")
    return "encrypted"
