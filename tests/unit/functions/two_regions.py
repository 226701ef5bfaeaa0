"""The primary beside the secondary that `conftest.Account` makes: its buckets, and the variables of its functions."""

from __future__ import annotations

from typing import Any

import boto3
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from tests.unit.functions.conftest import DAGS, NAME, PRIMARY, SECONDARY, SNAPSHOTS, Account

SNAPSHOTS_HERE, DAGS_HERE = "snapshots-us-east-1", "dags-us-east-1"

#: What differs in the primary from `conftest.VARIABLES`.
PRIMARY_VARIABLES = {
    "AWS_REGION": PRIMARY,
    "AWS_DEFAULT_REGION": PRIMARY,
    "SNAPSHOT_BUCKET": SNAPSHOTS_HERE,
    "DAG_BUCKET": DAGS_HERE,
    "PEER_REGION": SECONDARY,
    "PEER_SNAPSHOT_BUCKET": SNAPSHOTS,
    "PEER_DAG_BUCKET": DAGS,
    "LEASE_REGION": SECONDARY,
    "HAND_OVER_ARN": f"arn:aws:states:{SECONDARY}:123456789012:stateMachine:rehearsal-hand_over",
    "STAND_DOWN_ARN": f"arn:aws:states:{SECONDARY}:123456789012:stateMachine:rehearsal-stand_down",
    "ENVIRONMENT_OWNER": "lifecycle",
}


class Primary:
    """The administrator's view of the primary."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.s3 = boto3.client("s3", PRIMARY)
        for bucket in (SNAPSHOTS_HERE, DAGS_HERE):
            self.s3.create_bucket(Bucket=bucket)
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        # What is sealed in one Region opens in the other: moto loses what a multi-Region key of its own encrypts.
        keys = kms_backends["123456789012"]
        keys[PRIMARY].keys[account.key_id] = keys[SECONDARY].keys[account.key_id]

    def stored(self, bucket: str = SNAPSHOTS_HERE) -> list[str]:
        """Keys of all current objects."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def read(self, key: str, bucket: str = DAGS_HERE) -> str:
        """The content of an object."""
        return str(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())

    def put(self, key: str, body: str) -> None:
        """A file of this Region's DAG bucket, and its replica in the secondary's."""
        self.s3.put_object(Bucket=DAGS_HERE, Key=key, Body=body.encode())
        self.replicate(key)

    def replicate(self, key: str) -> None:
        """What replication does: the version with its id, its time and its metadata."""
        backend: Any = s3_backends["123456789012"]["aws"]
        stored = backend.buckets[DAGS_HERE].keys.getlist(key)[-1]
        replica = backend.put_object(DAGS, key, stored.value)
        replica._version_id, replica.last_modified = stored.version_id, stored.last_modified
        replica.set_metadata(dict(stored.metadata), replace=True)
        replica.replication_status = "REPLICA"


def snapshot_keys(snapshot_id: str) -> list[str]:
    """The objects that `Account.snapshot` makes."""
    names = ("dag_run.state.copy.gz", "layout.json.gz", "log.history.copy.gz", "manifest.json", "spec.json")
    return [f"snapshots/{NAME}/{snapshot_id}/{name}" for name in (*names, "variable.sealed", "verification.json")]
