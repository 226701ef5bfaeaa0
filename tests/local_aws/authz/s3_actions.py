"""Which IAM actions a call of S3 needs, on what, under which condition keys; and what it makes KMS do."""

from __future__ import annotations

import urllib.parse
from typing import Any

from moto.s3.models import s3_backends

from tests.local_aws.authz.calls import Call
from tests.local_aws.authz.evaluate import Request, as_list
from tests.local_aws.contract import ACCOUNT_ID

#: Operations whose IAM action does not carry their name.
_ACTION_NAMES = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "ListBuckets": "ListAllMyBuckets",
}
_VERSIONED = {
    "GetObject": "GetObjectVersion",
    "DeleteObject": "DeleteObjectVersion",
    "HeadObject": "GetObjectVersion",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
}


def bucket_arn(name: str) -> str:
    """ARN of a bucket."""
    return f"arn:aws:s3:::{name}"


def object_arn(bucket: str, key: str) -> str:
    """ARN of an object."""
    return f"arn:aws:s3:::{bucket}/{key}"


def home_region(bucket_name: str) -> str | None:
    """Region of a bucket; None when there is no such bucket."""
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(bucket_name)
    return None if bucket is None else str(bucket.region_name)


def _context(call: Call) -> dict[str, str]:
    headers = {
        "s3:x-amz-server-side-encryption": "x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption-aws-kms-key-id": "x-amz-server-side-encryption-aws-kms-key-id",
        "s3:x-amz-acl": "x-amz-acl",
    }
    context = {key: call.headers[header] for key, header in headers.items() if header in call.headers}
    for key, name in {"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:VersionId": "versionId"}.items():
        if name in call.query:
            context[key] = call.query[name]
    return context


def s3_requests(call: Call) -> list[Request]:
    """Every action a call of S3 needs; all of them must be allowed."""
    bucket, key = call.params.get("Bucket", ""), call.params.get("Key", "")
    context = _context(call)
    operation = call.operation or "Unknown"
    if operation == "ListBuckets":
        return [Request("s3:ListAllMyBuckets", "*", context)]
    if operation == "DeleteObjects":
        entries = as_list(call.params.get("Delete", {}).get("Object", []))
        return [_delete_request(bucket, entry, context) for entry in entries]
    if operation in ("CopyObject", "UploadPartCopy"):
        return [*_copy_requests(call, context), Request("s3:PutObject", object_arn(bucket, key), context)]
    name = _ACTION_NAMES.get(operation, operation)
    if "versionId" in call.query:
        name = _VERSIONED.get(operation, name)
    requests = [Request(f"s3:{name}", object_arn(bucket, key) if key else bucket_arn(bucket), context)]
    if "x-amz-tagging" in call.headers:
        requests.append(Request("s3:PutObjectTagging", object_arn(bucket, key), context))
    return requests


def _delete_request(bucket: str, entry: dict[str, Any], context: dict[str, str]) -> Request:
    action = "s3:DeleteObjectVersion" if entry.get("VersionId") else "s3:DeleteObject"
    return Request(action, object_arn(bucket, entry["Key"]), context)


def _copy_requests(call: Call, context: dict[str, str]) -> list[Request]:
    source = urllib.parse.unquote(call.headers.get("x-amz-copy-source", "")).lstrip("/")
    path, _, query = source.partition("?")
    bucket, _, key = path.partition("/")
    action = "s3:GetObjectVersion" if query.startswith("versionId=") else "s3:GetObject"
    return [Request(action, object_arn(bucket, key), context)]


def missing_object(call: Call) -> Request | None:
    """For a read of an object that is not there: the permission without which S3 answers 403 in place of 404."""
    if call.operation not in ("GetObject", "HeadObject") or "versionId" in call.query:
        return None
    bucket, key = call.params.get("Bucket", ""), call.params.get("Key", "")
    if home_region(bucket) is None or s3_backends[ACCOUNT_ID]["aws"].get_object(bucket, key) is not None:
        return None
    return Request("s3:ListBucket", bucket_arn(bucket), {"s3:prefix": key})


def _default_key(bucket_name: str) -> str | None:
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(bucket_name)
    rules = (getattr(bucket, "encryption", None) or {}).get("Rule", [])
    for rule in as_list(rules):
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        if default.get("SSEAlgorithm") == "aws:kms":
            return str(default.get("KMSMasterKeyID", "alias/aws/s3"))
    return None


def _bucket_key_enabled(bucket_name: str) -> bool:
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(bucket_name)
    rules = (getattr(bucket, "encryption", None) or {}).get("Rule", [])
    return any(str(rule.get("BucketKeyEnabled", "")).lower() == "true" for rule in as_list(rules))


def kms_context(bucket: str, key: str, region: str) -> dict[str, str | list[str]]:
    """Condition keys of the KMS call that S3 makes for a caller in a bucket of the Region."""
    arn = bucket_arn(bucket) if _bucket_key_enabled(bucket) else object_arn(bucket, key)
    return {
        "kms:ViaService": f"s3.{region}.amazonaws.com",
        "kms:CallerAccount": ACCOUNT_ID,
        "kms:EncryptionContext:aws:s3:arn": arn,
        "kms:EncryptionContextKeys": ["aws:s3:arn"],
    }


def kms_use(call: Call) -> tuple[str, str, dict[str, str | list[str]]] | None:
    """Action, key (ARN, id or alias) and context of the KMS call that S3 makes for the caller; None without SSE-KMS."""
    bucket, key = call.params.get("Bucket", ""), call.params.get("Key", "")
    region = home_region(bucket)
    if region is None or not key:
        return None
    if call.operation in ("PutObject", "CreateMultipartUpload", "CopyObject"):
        wanted = call.headers.get("x-amz-server-side-encryption")
        if wanted == "AES256":
            return None
        kms_key = call.headers.get("x-amz-server-side-encryption-aws-kms-key-id") or _default_key(bucket)
        action = "kms:GenerateDataKey"
    elif call.operation == "GetObject":
        stored = s3_backends[ACCOUNT_ID]["aws"].get_object(bucket, key, version_id=call.query.get("versionId"))
        kms_key = getattr(stored, "kms_key_id", None) if getattr(stored, "encryption", None) == "aws:kms" else None
        action = "kms:Decrypt"
    elif call.operation in ("UploadPart", "CompleteMultipartUpload"):
        upload = _upload(bucket, call.query.get("uploadId", ""))
        kms_key = getattr(upload, "kms_key_id", None) or (_default_key(bucket) if upload else None)
        action = "kms:Decrypt"
    else:
        return None
    if not kms_key or kms_key == "alias/aws/s3":
        return None
    return action, kms_key, kms_context(bucket, key, region)


def _upload(bucket_name: str, upload_id: str) -> Any | None:
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(bucket_name)
    return None if bucket is None else bucket.multiparts.get(upload_id)
