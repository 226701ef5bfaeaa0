"""preflight: a Region in which all is fine, and each thing that would keep an environment from starting, by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mwaa_continuity import preflight
from tests.unit.functions.conftest import DAGS, NAME, SECONDARY, SNAPSHOTS, Account, environment
from tests.unit.functions.preflight_region import (
    ROLE,
    SERVICE_LINKED_ROLE,
    SERVICES,
    TRUST,
    ReadyRegion,
    key_policy,
    trust,
)

SNAPSHOT = "20261121T080000Z-0123abcd"
Expected = tuple[str, str, str]  #: a check, and what it is to say of what was found and what is to be done


@pytest.fixture
def region(account: Account) -> ReadyRegion:
    """A Region with all that the environment needs."""
    return ReadyRegion(account)


def call(**fields: Any) -> dict[str, Any]:
    return preflight.handler({"action": "check", "request_id": "r-1", **fields}, None)


def finding(answer: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [item for item in answer["checks"] if item["name"] == name]
    return dict(found)


def test_all_is_fine(region: ReadyRegion) -> None:
    region.account.snapshot(SNAPSHOT)
    answer = call(snapshot_id=SNAPSHOT)
    assert (answer["ok"], answer["failed"]) == (True, []), answer
    assert [item["name"] for item in answer["checks"]] == [*preflight.CHECKS, "snapshot"]
    assert all(item["found"] and not item["do"] for item in answer["checks"])
    assert region.account.published("PreflightFailures") == [0]


def test_without_a_snapshot_none_is_looked_at(region: ReadyRegion) -> None:
    assert "snapshot" not in [item["name"] for item in call()["checks"]]


def test_nothing_at_all_is_there(account: Account) -> None:
    """Failure covered: one missing thing hides the others."""
    answer = call(snapshot_id=SNAPSHOT)
    assert [item["name"] for item in answer["checks"]] == [*preflight.CHECKS, "snapshot"]
    assert finding(answer, "spec")["found"].startswith(f"bucket {SNAPSHOTS} holds no spec")
    assert finding(answer, "subnets")["found"] == "not looked at, because there is no usable spec"
    assert "manifest.json is missing" in finding(answer, "snapshot")["found"]
    assert finding(answer, "environment")["ok"]
    assert finding(answer, "environment_quota")["ok"]
    assert account.published("PreflightFailures") == [len(answer["failed"])]


def spoil_spec(region: ReadyRegion) -> Iterator[Expected]:
    """Spec, version, quotas, what is in the way."""
    mwaa = region.account.mwaa.environments
    for status, do in (
        ("CREATE_FAILED", "delete it"),
        ("UNAVAILABLE", "delete it"),
        ("DELETING", "it is being deleted"),
    ):
        mwaa[SECONDARY, NAME] = environment(SECONDARY, status)
        yield "environment", f"it is {status}", do
    mwaa[SECONDARY, NAME] = environment(SECONDARY) | {"AirflowVersion": "2.5.1"}
    yield "airflow_version", "2.5.1 cannot be created since 2025-12-30", "upgrade"
    del mwaa[SECONDARY, NAME]
    region.publish(AirflowVersion="2.6.3")
    yield "airflow_version", "2.6.3 cannot be created since 2025-12-30", "upgrade"
    region.publish(AirflowVersion="2.10.2")
    yield "airflow_version", "2.10.2 is not a version of MWAA's", "upgrade"
    region.publish(MaxWorkers=26)
    yield "worker_quota", "MaxWorkers is 26, 25 allowed by default", "L-78AC1883"
    region.publish()
    for number in range(10):
        mwaa[SECONDARY, f"other-{number}"] = environment(SECONDARY)
    yield "environment_quota", "10 other environments in us-west-2, 10 allowed by default", "L-67D41C6B"


def spoil_access(region: ReadyRegion) -> Iterator[Expected]:
    """Roles, keys, log groups."""
    iam, kms, key = region.iam, region.account.kms, region.key["KeyId"]
    trusting = "does not trust {} for this account and environment"
    for services, condition, strangers in (
        (SERVICES[:1], {}, SERVICES[1]),
        (SERVICES, {"StringEquals": {"aws:SourceAccount": "999999999999"}}, " and ".join(SERVICES)),
        (SERVICES, {"ArnLike": {"aws:SourceArn": "arn:aws:airflow:*:*:environment/other"}}, " and ".join(SERVICES)),
    ):
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=trust(services, **condition))
        yield "execution_role", trusting.format(strangers), "sts:AssumeRole"
    iam.delete_role(RoleName=ROLE)
    yield "execution_role", f"there is no role {region.binding['ExecutionRoleArn']}", "terraform apply"
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)
    iam.delete_role(RoleName=SERVICE_LINKED_ROLE)
    yield "service_linked_role", f"there is no role {SERVICE_LINKED_ROLE}", "create-service-linked-role"
    region.make_service_linked_role()
    kms.disable_key(KeyId=key)
    yield "key", "its state is Disabled", "an enabled symmetric key"
    kms.enable_key(KeyId=key)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy("other-*"))
    yield (
        "key_policy",
        "does not let logs.us-west-2.amazonaws.com use kms:Encrypt",
        "kms:EncryptionContext:aws:logs:arn",
    )
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(actions=["kms:Encrypt", "kms:Decrypt"]))
    yield "key_policy", "use kms:ReEncryptFrom, kms:ReEncryptTo, kms:GenerateDataKey, kms:DescribeKey for", "admit"
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy())
    kms.disable_key(KeyId=region.log_key["KeyId"])
    yield "log_groups", f"their key {region.log_key['Arn']} is Disabled", "enable the key"


def spoil_storage(region: ReadyRegion) -> Iterator[Expected]:
    """The DAG bucket and what is in it."""
    s3 = region.account.s3
    region.block(RestrictPublicBuckets=False)
    yield "dag_bucket", "it does not block public access: RestrictPublicBuckets not set", "all four"
    s3.delete_public_access_block(Bucket=DAGS)
    yield "dag_bucket", "BlockPublicAcls, BlockPublicPolicy, IgnorePublicAcls, RestrictPublicBuckets not", "all four"
    region.block()
    s3.put_bucket_versioning(Bucket=DAGS, VersioningConfiguration={"Status": "Suspended"})
    yield "dag_bucket", "it is not versioned", "versioned"
    s3.put_bucket_versioning(Bucket=DAGS, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket=DAGS, Key="dags/continuity_restore.py")
    yield "dag_folder", f"missing in {DAGS}/dags: continuity_restore.py", "terraform apply"
    s3.put_object(Bucket=DAGS, Key="dags/continuity_restore.py", Body=b"x")
    region.publish(DagS3Path="elsewhere")
    yield "dag_folder", f"missing in {DAGS}/elsewhere: continuity_restore.py, continuity_go_live.py", "terraform apply"
    region.publish(PluginsS3Path="plugins.zip")
    yield "files", f"missing in {DAGS}: plugins.zip (PluginsS3Path)", "upload"
    region.publish()
    s3.delete_object(Bucket=DAGS, Key="requirements.txt")
    yield "files", f"missing in {DAGS}: requirements.txt (RequirementsS3Path)", "upload"


def spoil_routes(region: ReadyRegion) -> Iterator[Expected]:
    """Subnets, their routes and their room."""
    ec2, table = region.ec2, region.table
    one_zone = region.make_subnet("10.0.9.0/24", "a")
    small = [region.make_subnet(f"10.0.100.{16 * place}/28", zone) for place, zone in enumerate("ab")]
    for subnet in (one_zone, *small):
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    region.publish_network(SubnetIds=[region.subnets[0], one_zone])
    yield "subnets", "2 subnets in us-west-2a of vpc-", "two Availability Zones of one VPC"
    network = {"SubnetIds": small, "SecurityGroupIds": [region.group]}
    region.publish({"NetworkConfiguration": network}, MaxWorkers=25)
    yield "addresses", f"11 free in {small[0]}, 11 free in {small[1]}; 18 needed in each", "lower max_workers"
    region.publish()
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=region.vpc)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="8.8.8.0/24", GatewayId=gateway)
    yield "routes", f"{region.subnets[1]} is public: 8.8.8.0/24 goes to {gateway}", "without routes to an internet"
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="8.8.8.0/24")
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    yield "way_out", "no default route, and VPC endpoints are missing: airflow.api; airflow.env; airflow.ops;", "NAT"


def spoil_filters(region: ReadyRegion) -> Iterator[Expected]:
    """Security groups and network ACLs."""
    ec2 = region.ec2
    other_vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    region.publish_network(SecurityGroupIds=[region.make_group(other_vpc)])
    yield "security_groups", f"is in {other_vpc}, not in {region.vpc}", "of the VPC of the subnets"
    region.publish_network(SecurityGroupIds=["sg-0123"])
    yield "security_groups", "sg-0123 is not there", "of the VPC of the subnets"
    alone = region.make_group(region.vpc, "alone")
    region.publish_network(SecurityGroupIds=[alone])
    yield "security_groups", f"{alone}: no rule lets members in on port 443 and 5432", "name the group itself"
    region.admit_members(alone, (443,))
    yield "security_groups", f"{alone}: no rule lets members in on port 5432", "name the group itself"
    region.publish()
    (group,) = ec2.describe_security_groups(GroupIds=[region.group])["SecurityGroups"]
    ec2.revoke_security_group_egress(GroupId=region.group, IpPermissions=group["IpPermissionsEgress"])
    yield "security_groups", "out on port 443 and 5432; nothing may go out on port 443", "let 443 out"
    ec2.authorize_security_group_egress(GroupId=region.group, IpPermissions=group["IpPermissionsEgress"])
    for egress, port, cidr, denied in (
        (True, 443, "10.0.1.0/24", "out to 10.0.1.0 on 443"),
        (False, 5432, "10.0.1.128/25", "in from 10.0.1.255 on 5432"),
        (False, 60999, "203.0.0.0/8", "in from 203.0.113.1 on 60999"),
    ):
        rule = {"NetworkAclId": region.network_acl(), "RuleNumber": 50, "Egress": egress}
        ports = {"From": port, "To": port}
        ec2.create_network_acl_entry(**rule, Protocol="6", RuleAction="deny", CidrBlock=cidr, PortRange=ports)
        yield "network_acls", f"denies {denied}", "allow TCP 443 and 5432"
        ec2.delete_network_acl_entry(**rule)


@pytest.mark.parametrize("spoil", [spoil_spec, spoil_access, spoil_storage, spoil_routes, spoil_filters])
def test_each_by_itself(region: ReadyRegion, spoil: Callable[[ReadyRegion], Iterator[Expected]]) -> None:
    """Failure covered: a Region that is believed to be ready, found out half an hour into a failover."""
    for check, found, do in spoil(region):
        answer = call()
        assert (answer["ok"], answer["failed"]) == (False, [check]), answer
        assert found in finding(answer, check)["found"]
        assert do in finding(answer, check)["do"]
    assert min(region.account.published("PreflightFailures")) >= 1
