"""What Terraform makes of a Region for MWAA, on moto: network, key, roles, bucket, log groups, spec and binding."""

from __future__ import annotations

import json
from typing import Any

import boto3

from mwaa_continuity.spec import from_environment
from tests.unit.functions.conftest import BINDING, DAGS, NAME, PRIMARY, SECONDARY, Account, environment

ACCOUNT = "123456789012"
ROLE = f"{NAME}-{SECONDARY}-execution"
SERVICE_LINKED_ROLE = "AWSServiceRoleForAmazonMWAA"
SERVICES = ["airflow.amazonaws.com", "airflow-env.amazonaws.com"]
LOGS = f"logs.{SECONDARY}.amazonaws.com"
GROUPS = ["DAGProcessing", "Scheduler", "Task", "WebServer", "Worker"]
BINDING_KEY = f"spec/{NAME}/binding.{SECONDARY}.json"
PUBLISHED_KEY = f"spec/{NAME}/published.{PRIMARY}.json"


def statement(**members: Any) -> dict[str, Any]:
    """A statement of a policy that allows."""
    return {"Effect": "Allow", **members}


def trust(services: list[str], **condition: Any) -> str:
    """A trust policy."""
    extra = {"Condition": condition} if condition else {}
    statements = [statement(Principal={"Service": services}, Action="sts:AssumeRole", **extra)]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


TRUST = trust(SERVICES, StringEquals={"aws:SourceAccount": ACCOUNT})


def key_policy(groups: str = f"airflow-{NAME}-*", actions: list[str] | None = None) -> str:
    """A key policy that delegates to IAM and admits CloudWatch Logs."""
    arn = f"arn:aws:logs:{SECONDARY}:{ACCOUNT}:log-group:{groups}"
    statements = [
        statement(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Action="kms:*", Resource="*"),
        statement(
            Principal={"Service": LOGS},
            Action=actions or ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            Resource="*",
            Condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn}},
        ),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class ReadyRegion:
    """A Region in which the environment can be created; every part can be spoilt."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.ec2 = boto3.client("ec2", SECONDARY)
        self.iam = boto3.client("iam")
        self.logs = boto3.client("logs", SECONDARY)
        self.make_network()
        self.make_roles()
        self.key = account.kms.create_key(Policy=key_policy(), KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]
        self.log_key = account.kms.create_key()["KeyMetadata"]
        for group in GROUPS:
            self.logs.create_log_group(logGroupName=f"airflow-{NAME}-{group}", kmsKeyId=self.log_key["Arn"])
        self.make_bucket()
        self.binding: dict[str, Any] = {
            **BINDING,
            "ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}",
            "KmsKey": self.key["Arn"],
            "NetworkConfiguration": {"SubnetIds": self.subnets, "SecurityGroupIds": [self.group]},
        }
        self.publish()

    def make_network(self) -> None:
        """Two private subnets behind a NAT gateway."""
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [self.make_subnet(f"10.0.{place}.0/24", zone) for place, zone in enumerate("ab")]
        self.table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        for subnet in self.subnets:
            self.ec2.associate_route_table(RouteTableId=self.table, SubnetId=subnet)
        public = self.make_subnet("10.0.200.0/24", "a")
        address = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = self.ec2.create_nat_gateway(SubnetId=public, AllocationId=address)["NatGateway"]["NatGatewayId"]
        self.ec2.create_route(RouteTableId=self.table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        self.group = self.make_group(self.vpc)
        self.admit_members(self.group)

    def make_subnet(self, cidr: str, zone: str, vpc: str = "") -> str:
        """A subnet."""
        made = self.ec2.create_subnet(VpcId=vpc or self.vpc, CidrBlock=cidr, AvailabilityZone=f"{SECONDARY}{zone}")
        return str(made["Subnet"]["SubnetId"])

    def make_group(self, vpc: str, name: str = "members") -> str:
        """A security group that lets everything out and nothing in."""
        return str(self.ec2.create_security_group(GroupName=name, Description="x", VpcId=vpc)["GroupId"])

    def network_acl(self) -> str:
        """The network ACL of all its subnets."""
        of_vpc = [{"Name": "vpc-id", "Values": [self.vpc]}]
        (acl,) = self.ec2.describe_network_acls(Filters=of_vpc)["NetworkAcls"]
        return str(acl["NetworkAclId"])

    def admit_members(self, group: str, ports: tuple[int, ...] = ()) -> None:
        """Let members of a group reach each other: on everything, or on some ports."""
        peer = {"UserIdGroupPairs": [{"GroupId": group}]}
        rules = [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peer} for port in ports]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules or [{"IpProtocol": "-1", **peer}])

    def make_roles(self) -> None:
        """The execution role and MWAA's own."""
        self.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)
        self.make_service_linked_role()

    def make_service_linked_role(self) -> None:
        """MWAA's own role."""
        self.iam.create_role(
            RoleName=SERVICE_LINKED_ROLE,
            Path="/aws-service-role/airflow.amazonaws.com/",
            AssumeRolePolicyDocument=trust(SERVICES[:1]),
        )

    def make_bucket(self) -> None:
        """The DAG bucket with everything that belongs into it."""
        self.block()
        names = ["continuity_restore.py", "continuity_go_live.py", f"continuity/settings.{SECONDARY}.json"]
        for key in [*(f"dags/{name}" for name in names), "requirements.txt", "startup.sh"]:
            self.account.s3.put_object(Bucket=DAGS, Key=key, Body=b"x")

    def block(self, **flags: bool) -> None:
        """Block public access to the DAG bucket, but for these flags."""
        names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        block = dict.fromkeys(names, True) | flags
        self.account.s3.put_public_access_block(Bucket=DAGS, PublicAccessBlockConfiguration=block)

    def publish(self, binding: dict[str, Any] | None = None, **spec: Any) -> None:
        """Write spec and binding, as Terraform does; members of either may be replaced."""
        self.account.put_json(PUBLISHED_KEY, from_environment(environment()) | spec)
        self.account.put_json(BINDING_KEY, self.binding | (binding or {}))

    def publish_network(self, **members: list[str]) -> None:
        """Write another network into the binding."""
        self.publish({"NetworkConfiguration": self.binding["NetworkConfiguration"] | members})
