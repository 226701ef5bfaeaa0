"""What MWAA demands of the account around an environment: bucket, files, role, key, subnets, security groups."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tests.local_aws.contract import Platform
from tests.local_aws.mwaa.errors import invalid
from tests.local_aws.mwaa.rules import FILES

_BLOCKED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_SESSION_NAME = "preflight"


def check_account(platform: Platform, region: str, document: dict[str, Any]) -> None:
    """Raise ValidationException unless all that a complete document names is in the Region and fit for use."""
    bucket = document["SourceBucketArn"].rsplit(":", 1)[-1]
    _check_bucket(platform.client("s3", region), region, bucket)
    _check_files(platform.client("s3", region), bucket, document)
    _check_role(platform, document["ExecutionRoleArn"])
    if document.get("KmsKey"):
        _check_key(platform.client("kms", region), region, document["KmsKey"])
    _check_network(platform.client("ec2", region), document["NetworkConfiguration"])


def ensure_service_linked_role(platform: Platform) -> None:
    """MWAA's own role, which comes with the first environment of an account."""
    iam = platform.client("iam", "us-east-1")
    try:
        iam.create_service_linked_role(AWSServiceName="airflow.amazonaws.com")
    except ClientError as error:
        if _code(error) != "EntityAlreadyExists":
            raise


def _check_bucket(s3: Any, region: str, bucket: str) -> None:
    try:
        home = s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
        versioning = s3.get_bucket_versioning(Bucket=bucket).get("Status")
    except ClientError as error:
        raise invalid(f"SourceBucketArn: bucket {bucket} cannot be read ({_code(error)})") from error
    if home != region:
        raise invalid(f"SourceBucketArn: bucket {bucket} is in {home}; accepted: a bucket in {region}")
    if versioning != "Enabled":
        raise invalid(f"SourceBucketArn: versioning of bucket {bucket} is not enabled")
    try:
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    except ClientError as error:
        raise invalid(f"SourceBucketArn: bucket {bucket} does not block public access ({_code(error)})") from error
    if missing := [flag for flag in _BLOCKED if not block.get(flag)]:
        raise invalid(f"SourceBucketArn: bucket {bucket} does not block public access; not set: {', '.join(missing)}")


def _check_files(s3: Any, bucket: str, document: dict[str, Any]) -> None:
    for path_option, version_option in FILES.items():
        if not document.get(path_option):
            continue
        key, version = document[path_option], document.get(version_option)
        try:
            s3.head_object(Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))
        except ClientError as error:
            which = f"version {version} of {key}" if version else key
            raise invalid(f"{path_option}: {which} cannot be read from bucket {bucket} ({_code(error)})") from error


def _check_role(platform: Platform, role_arn: str) -> None:
    try:
        platform.credentials(role_arn, _SESSION_NAME)
    except (PermissionError, ClientError) as error:
        raise invalid(
            f"ExecutionRoleArn: {error}; accepted: a role that airflow-env.amazonaws.com may assume"
        ) from error


def _check_key(kms: Any, region: str, key: str) -> None:
    # The pattern of the API lets aliases pass; MWAA's guide supports ids and ARNs of single-Region keys only.
    if key.rsplit(":", 1)[-1].startswith("alias/"):
        raise invalid(f"KmsKey: {key} is an alias; accepted: the id or ARN of a key")
    if key.startswith("arn:") and key.split(":")[3] != region:
        raise invalid(f"KmsKey: {key} is not in {region}")
    try:
        metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    except ClientError as error:
        raise invalid(f"KmsKey: {key} cannot be used ({_code(error)})") from error
    if not metadata["Enabled"] or metadata.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        raise invalid(f"KmsKey: {key} is not an enabled symmetric key")
    if metadata.get("MultiRegion"):
        raise invalid(f"KmsKey: {key} is a multi-Region key; accepted: a key of {region} alone")


def _check_network(ec2: Any, network: dict[str, Any]) -> None:
    try:
        subnets = ec2.describe_subnets(SubnetIds=network["SubnetIds"])["Subnets"]
        groups = ec2.describe_security_groups(GroupIds=network["SecurityGroupIds"])["SecurityGroups"]
    except ClientError as error:
        raise invalid(f"NetworkConfiguration: {error.response['Error']['Message']}") from error
    vpcs = {subnet["VpcId"] for subnet in subnets}
    if len(vpcs) != 1:
        raise invalid("NetworkConfiguration.SubnetIds: the two subnets must be in one VPC")
    if len({subnet["AvailabilityZone"] for subnet in subnets}) != 2:
        raise invalid("NetworkConfiguration.SubnetIds: the two subnets must be in different availability zones")
    if strangers := [group["GroupId"] for group in groups if group["VpcId"] not in vpcs]:
        raise invalid(f"NetworkConfiguration.SecurityGroupIds: {strangers[0]} is not in the VPC of the subnets")


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
