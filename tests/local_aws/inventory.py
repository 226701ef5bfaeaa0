"""What an account of the stand-in holds, by kind: so that a test can tell what a destroy has left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.local_aws.fixtures import RunningStandIn

Inventory = Mapping[str, frozenset[str]]


def inventory(stand_in: RunningStandIn, regions: Iterable[str]) -> Inventory:
    """Kind and Region, as in `functions us-east-1` -> names of what is there."""
    found: dict[str, frozenset[str]] = {}
    for region in regions:
        kinds = {**_of_mwaa_and_around(stand_in, region), **_of_network(stand_in, region)}
        found |= {f"{kind} {region}": frozenset(names) for kind, names in kinds.items()}
    return found


def left(before: Inventory, after: Inventory) -> list[str]:
    """What is there now and was not, as in `functions us-east-1: name`."""
    return sorted(f"{kind}: {name}" for kind, names in after.items() for name in names - before.get(kind, frozenset()))


def _of_mwaa_and_around(stand_in: RunningStandIn, region: str) -> dict[str, list[str]]:
    def client(service: str) -> Any:
        return stand_in.client(service, region)

    aliases = client("kms").list_aliases()["Aliases"]
    # Keys that AWS manages come into being when they are first used, and moto calls them the customer's.
    managed = {alias["TargetKeyId"] for alias in aliases if alias["AliasName"].startswith("alias/aws/")}
    ids = {key["KeyId"] for key in client("kms").list_keys()["Keys"]} - managed
    keys = [client("kms").describe_key(KeyId=key_id)["KeyMetadata"] for key_id in ids]
    stacks = client("cloudformation").describe_stacks()["Stacks"]
    return {
        "environments": client("mwaa").list_environments()["Environments"],
        "buckets": [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]],
        "functions": [function["FunctionName"] for function in client("lambda").list_functions()["Functions"]],
        "machines": [machine["name"] for machine in client("stepfunctions").list_state_machines()["stateMachines"]],
        # Service-linked roles come with the first use of a service, and stay.
        "roles": [
            role["RoleName"]
            for role in client("iam").list_roles()["Roles"]
            if not role["Path"].startswith("/aws-service-role/")
        ],
        "schedules": [schedule["Name"] for schedule in client("scheduler").list_schedules()["Schedules"]],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "stacks": [stack["StackName"] for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"],
        "topics": [topic["TopicArn"] for topic in client("sns").list_topics()["Topics"]],
        "rules": [rule["Name"] for rule in client("events").list_rules()["Rules"]],
        "alarms": [alarm["AlarmName"] for alarm in client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "log groups": [group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]],
        "parameters": [
            parameter["Name"]
            for parameter in client("ssm").describe_parameters()["Parameters"]
            if not parameter["Name"].startswith("/aws/")
        ],
        "keys": [key["KeyId"] for key in keys if key["KeyState"] == "Enabled"],
        "key aliases": [alias["AliasName"] for alias in aliases],
    }


def _of_network(stand_in: RunningStandIn, region: str) -> dict[str, list[str]]:
    ec2 = stand_in.client("ec2", region)
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    return {
        "networks": [network["VpcId"] for network in ec2.describe_vpcs()["Vpcs"]],
        "subnets": [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]],
        "security groups": [group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]],
        "route tables": [table["RouteTableId"] for table in ec2.describe_route_tables()["RouteTables"]],
        "internet gateways": [
            gateway["InternetGatewayId"] for gateway in ec2.describe_internet_gateways()["InternetGateways"]
        ],
        "NAT gateways": [gateway["NatGatewayId"] for gateway in gateways if gateway["State"] != "deleted"],
        "addresses": [address["AllocationId"] for address in ec2.describe_addresses()["Addresses"]],
        "VPC endpoints": [point["VpcEndpointId"] for point in endpoints if point["State"] != "deleted"],
        "flow logs": [flow["FlowLogId"] for flow in ec2.describe_flow_logs()["FlowLogs"]],
    }
