"""Two Regions: replication as configured and permitted, and one Region switched off."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.integration.local_aws.helpers import ACCOUNT, HOME, OTHER, allow, make_role
from tests.local_aws.fixtures import RunningStandIn
from tests.waiting import until

_SOURCE, _TARGET = "regions-source", "regions-target"


def _rights(key: str, replica_key: str) -> list[dict[str, Any]]:
    reading = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
    writing = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
    via = {"kms:ViaService": f"s3.{HOME}.amazonaws.com"}, {"kms:ViaService": f"s3.{OTHER}.amazonaws.com"}
    return [
        allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], f"arn:aws:s3:::{_SOURCE}"),
        allow(reading, f"arn:aws:s3:::{_SOURCE}/*"),
        allow(writing, f"arn:aws:s3:::{_TARGET}/open/*"),
        allow("kms:Decrypt", key, StringEquals=via[0]),
        allow("kms:Encrypt", replica_key, StringEquals=via[1]),
    ]


@pytest.fixture(scope="module")
def keys(stand_in: RunningStandIn) -> tuple[str, str]:
    """A multi-Region key and its replica."""
    made = stand_in.client("kms", HOME).create_key(MultiRegion=True)["KeyMetadata"]
    replica = stand_in.client("kms", HOME).replicate_key(KeyId=made["KeyId"], ReplicaRegion=OTHER)
    return made["Arn"], replica["ReplicaKeyMetadata"]["Arn"]


@pytest.fixture(scope="module")
def buckets(stand_in: RunningStandIn, keys: tuple[str, str]) -> tuple[Any, Any]:
    """A bucket that replicates `open/` and `shut/` to the other Region, where the role may write `open/` only."""
    home, other = stand_in.client("s3", HOME), stand_in.client("s3", OTHER)
    home.create_bucket(Bucket=_SOURCE)
    other.create_bucket(Bucket=_TARGET, CreateBucketConfiguration={"LocationConstraint": OTHER})
    for client, name in ((home, _SOURCE), (other, _TARGET)):
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": keys[0]}
    home.put_bucket_encryption(
        Bucket=_SOURCE,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    home.put_object(Bucket=_SOURCE, Key="open/before", Body=b"before")
    role = make_role(stand_in, "regions-replication", "s3.amazonaws.com", *_rights(*keys))
    rules = [
        {
            "ID": prefix,
            "Status": "Enabled",
            "Priority": priority,
            "Filter": {"Prefix": f"{prefix}/"},
            "DeleteMarkerReplication": {"Status": "Enabled"},
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            "Destination": {
                "Bucket": f"arn:aws:s3:::{_TARGET}",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": keys[1]},
            },
        }
        for priority, prefix in enumerate(("open", "shut"))
    ]
    home.put_bucket_replication(Bucket=_SOURCE, ReplicationConfiguration={"Role": role, "Rules": rules})
    return home, other


def _head(client: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """Headers of the current version; None when there is none."""
    try:
        head: dict[str, Any] = client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return None
    return head


def test_replicas_keep_version_tags_and_metadata(buckets: tuple[Any, Any], keys: tuple[str, str]) -> None:
    home, other = buckets
    put = home.put_object(Bucket=_SOURCE, Key="open/a", Body=b"x", Metadata={"m": "1"}, Tagging="t=2")
    replica = until("the replica", lambda: _head(other, _TARGET, "open/a"), 30)
    assert (replica["VersionId"], replica["Metadata"]) == (put["VersionId"], {"m": "1"})
    assert (replica["SSEKMSKeyId"], replica["ReplicationStatus"]) == (keys[1], "REPLICA")
    until("COMPLETED", lambda: (_head(home, _SOURCE, "open/a") or {})["ReplicationStatus"] == "COMPLETED", 30)
    tags = other.get_object_tagging(Bucket=_TARGET, Key="open/a")["TagSet"]
    assert tags == [{"Key": "t", "Value": "2"}]


def test_delete_markers_follow(buckets: tuple[Any, Any]) -> None:
    home, other = buckets
    home.put_object(Bucket=_SOURCE, Key="open/b", Body=b"x")
    until("the replica", lambda: _head(other, _TARGET, "open/b"), 30)
    home.delete_object(Bucket=_SOURCE, Key="open/b")
    until("no replica", lambda: _head(other, _TARGET, "open/b") is None, 30)
    assert len(other.list_object_versions(Bucket=_TARGET, Prefix="open/b")["Versions"]) == 1


def test_what_the_role_may_not_write_fails(buckets: tuple[Any, Any]) -> None:
    home, other = buckets
    home.put_object(Bucket=_SOURCE, Key="shut/a", Body=b"x")
    until("FAILED", lambda: (_head(home, _SOURCE, "shut/a") or {}).get("ReplicationStatus") == "FAILED", 30)
    assert _head(other, _TARGET, "shut/a") is None


def test_what_no_rule_means_stays(buckets: tuple[Any, Any]) -> None:
    home, other = buckets
    home.put_object(Bucket=_SOURCE, Key="apart/a", Body=b"x")
    home.put_object(Bucket=_SOURCE, Key="open/after", Body=b"x")
    until("a replica of what came after", lambda: _head(other, _TARGET, "open/after"), 30)
    assert _head(other, _TARGET, "apart/a") is None
    assert "ReplicationStatus" not in home.head_object(Bucket=_SOURCE, Key="apart/a")


def test_batch_replication_carries_what_was_there_before(stand_in: RunningStandIn, buckets: tuple[Any, Any]) -> None:
    """Failure covered: objects from before replication are silently never replicated."""
    home, other = buckets
    assert _head(other, _TARGET, "open/before") is None
    role = make_role(
        stand_in,
        "regions-batch",
        "batchoperations.s3.amazonaws.com",
        allow(["s3:GetReplicationConfiguration", "s3:PutInventoryConfiguration"], f"arn:aws:s3:::{_SOURCE}"),
        allow("s3:InitiateReplication", f"arn:aws:s3:::{_SOURCE}/open/*"),
    )
    control = stand_in.client("s3control", HOME)
    generator = {
        "SourceBucket": f"arn:aws:s3:::{_SOURCE}",
        "EnableManifestOutput": False,
        "Filter": {"EligibleForReplication": True, "ObjectReplicationStatuses": ["NONE"]},
    }
    job = control.create_job(
        AccountId=ACCOUNT,
        ConfirmationRequired=False,
        Operation={"S3ReplicateObject": {}},
        Report={"Enabled": False},
        Priority=1,
        RoleArn=role,
        ClientRequestToken="one",
        ManifestGenerator={"S3JobManifestGenerator": generator},
    )["JobId"]

    def done() -> Any:
        described = control.describe_job(AccountId=ACCOUNT, JobId=job)["Job"]
        return described if described["Status"] in ("Complete", "Failed") else None

    assert until("the end of the job", done, 30)["ProgressSummary"]["NumberOfTasksSucceeded"] >= 1
    assert _head(other, _TARGET, "open/before") is not None
    assert home.head_object(Bucket=_SOURCE, Key="open/before")["ReplicationStatus"] == "COMPLETED"


def test_an_outage_resets_connections_and_holds_replication(
    stand_in: RunningStandIn, buckets: tuple[Any, Any], keys: tuple[str, str]
) -> None:
    """Failure covered: CloudWatch of the dead Region is not 'no data', it does not answer."""
    home, other = buckets
    stand_in.post("outage", region=OTHER, down=True)
    try:
        for service, call in (
            ("cloudwatch", "list_metrics"),
            ("sts", "get_caller_identity"),
            ("dynamodb", "list_tables"),
        ):
            client = stand_in.client(service, OTHER)
            with pytest.raises(BotoCoreError):
                getattr(client, call)()
        # A bucket of the dead Region is out of reach through any Region's endpoint.
        with pytest.raises(BotoCoreError):
            home.list_objects_v2(Bucket=_TARGET)
        assert stand_in.client("iam", OTHER).list_roles()["Roles"]
        home.put_object(Bucket=_SOURCE, Key="open/held", Body=b"x")
        assert home.head_object(Bucket=_SOURCE, Key="open/held")["ReplicationStatus"] == "PENDING"
    finally:
        stand_in.post("outage", region=OTHER, down=False)
    until("the replica", lambda: _head(other, _TARGET, "open/held"), 30)


def test_the_other_region_opens_what_a_multi_region_key_closed(stand_in: RunningStandIn, keys: tuple[str, str]) -> None:
    context = {"environment": "e"}
    home, other = stand_in.client("kms", HOME), stand_in.client("kms", OTHER)
    made = home.generate_data_key(KeyId=keys[0], KeySpec="AES_256", EncryptionContext=context)
    opened = other.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == made["Plaintext"]
    with pytest.raises(ClientError):
        other.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"environment": "other"})


def test_one_of_two_conditional_writes_wins_across_regions(stand_in: RunningStandIn) -> None:
    """Failure covered: nothing fences a Region off, so that both act. The lease is written under a condition."""
    home, other = stand_in.client("dynamodb", HOME), stand_in.client("dynamodb", OTHER)
    home.create_table(
        TableName="regions-lease",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    home.update_table(TableName="regions-lease", ReplicaUpdates=[{"Create": {"RegionName": OTHER}}])
    write = {"TableName": "regions-lease", "ConditionExpression": "attribute_not_exists(pk)"}
    home.put_item(Item={"pk": {"S": "lease"}, "holder": {"S": HOME}}, **write)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        other.put_item(Item={"pk": {"S": "lease"}, "holder": {"S": OTHER}}, **write)
    item = other.get_item(TableName="regions-lease", Key={"pk": {"S": "lease"}})["Item"]
    assert item["holder"] == {"S": HOME}


def test_faults_hit_the_calls_they_name(stand_in: RunningStandIn) -> None:
    stand_in.post("fault", service="cloudwatch", operation="ListMetrics", region=OTHER, error="Throttling", count=1)
    client = boto3.client(
        "cloudwatch",
        region_name=OTHER,
        endpoint_url=stand_in.url,
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=Config(retries={"total_max_attempts": 1}),
    )
    assert stand_in.client("cloudwatch", HOME).list_metrics()["Metrics"] is not None
    with pytest.raises(ClientError, match="Throttling"):
        client.list_metrics()
    assert client.list_metrics()["Metrics"] is not None
