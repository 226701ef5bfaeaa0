"""Checks of the DAG bucket and of what the spec names in it."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

from mwaa_continuity import aws, visibility
from mwaa_continuity.preflight_subject import Finding, Subject, listed
from mwaa_continuity.settings import variable
from mwaa_continuity.spec import OBJECT_VERSIONS

FLAGS: Final = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
NO_BLOCK: Final = "NoSuchPublicAccessBlockConfiguration"
NO_BUCKET: Final = frozenset({"404", "NoSuchBucket"})

#: What a restore needs of the metadata DAGs; the package `continuity` beside them comes with them.
METADATA_DAGS: Final = ("continuity_restore.py", "continuity_go_live.py")


def check_dag_bucket(subject: Subject) -> Finding:
    """Whether the DAG bucket is there, in this Region, versioned and closed to the public."""
    bucket, expected = subject.bucket, variable("DAG_BUCKET")
    if bucket != expected:
        do = "terraform apply of this Region writes its binding again"
        return Finding(False, f"the spec names bucket {bucket}, this Region's is {expected}", do)
    s3 = aws.client("s3")
    try:
        headers = s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    except ClientError as error:
        if aws.code(error) not in NO_BUCKET:
            raise
        return Finding(False, f"there is no bucket {bucket}", "terraform apply makes it")
    faults = []
    region = headers.get("x-amz-bucket-region", subject.settings.region)
    if region != subject.settings.region:
        faults.append(f"it is in {region}")
    if s3.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        faults.append("it is not versioned")
    block = blocked(s3, bucket)
    open_flags = [name for name in FLAGS if not block.get(name)]
    if open_flags:
        faults.append(f"it does not block public access: {', '.join(open_flags)} not set")
    if faults:
        do = "MWAA wants a versioned bucket of this Region with all four public access blocks set on it"
        return Finding(False, f"bucket {bucket}: {listed(faults)}", do)
    return Finding(True, f"bucket {bucket} is versioned and closed to the public")


def blocked(s3: Any, bucket: str) -> dict[str, bool]:
    """The public access block of a bucket, empty where it has none."""
    try:
        answer: dict[str, bool] = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    except ClientError as error:
        if aws.code(error) == NO_BLOCK:
            return {}
        raise
    return answer


def check_dag_folder(subject: Subject) -> Finding:
    """Whether the DAG folder holds the metadata DAGs and their settings for this Region."""
    folder = str(subject.document["DagS3Path"]).strip("/")
    names = [*METADATA_DAGS, f"continuity/settings.{subject.settings.region}.json"]
    s3 = aws.client("s3")
    missing = [name for name in names if visibility.head(s3, subject.bucket, f"{folder}/{name}") is None]
    if missing:
        do = "terraform apply of this Region uploads them"
        return Finding(False, f"missing in {subject.bucket}/{folder}: {', '.join(missing)}", do)
    return Finding(True, f"{subject.bucket}/{folder} holds the metadata DAGs and their settings")


def check_files(subject: Subject) -> Finding:
    """Whether requirements, plugins and startup script are there.

    Where the version that the spec names is not, the current one is taken, as `recreate.ensure` does.
    """
    s3 = aws.client("s3")
    missing, found = [], []
    for version_field, path_field in OBJECT_VERSIONS.items():
        path, version = subject.document.get(path_field), subject.document.get(version_field)
        if not path:
            continue
        if visibility.head(s3, subject.bucket, path) is None:
            missing.append(f"{path} ({path_field})")
        elif version and visibility.head(s3, subject.bucket, path, version) is None:
            found.append(f"{path}: version {version} is not in this bucket, the current one would be taken")
        else:
            found.append(f"{path} is there" + (f" at version {version}" if version else ""))
    if missing:
        do = "upload them, or wait until they are replicated"
        return Finding(False, f"missing in {subject.bucket}: {', '.join(missing)}", do)
    return Finding(True, listed(found) or "the spec names none")
