"""Probes of the patches of ec2."""

from __future__ import annotations

from typing import Any

from tests.integration.local_aws.probes.inside import client


def endpoints_without_routes() -> Any:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    tables = [ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(2)]
    service = "com.amazonaws.us-east-1.s3"
    gateway = {"VpcEndpointType": "Gateway", "ServiceName": service, "RouteTableIds": tables}
    ids = [ec2.create_vpc_endpoint(VpcId=vpc, **gateway)["VpcEndpoint"]["VpcEndpointId"]]
    prefixes = ec2.describe_managed_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [service]}])
    ec2.delete_route(RouteTableId=tables[0], DestinationPrefixListId=prefixes["PrefixLists"][0]["PrefixListId"])
    ec2.delete_route_table(RouteTableId=tables[1])
    refused = ec2.delete_vpc_endpoints(VpcEndpointIds=ids)["Unsuccessful"]
    return [refused, ec2.describe_vpc_endpoints(VpcEndpointIds=ids)["VpcEndpoints"][0]["State"]]


def rule_description() -> Any:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    one = ec2.create_security_group(GroupName="one", Description="d", VpcId=vpc)["GroupId"]
    two = ec2.create_security_group(GroupName="two", Description="d", VpcId=vpc)["GroupId"]
    peer = {"GroupId": two, "Description": "from two"}
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [peer]}
    ec2.authorize_security_group_ingress(GroupId=one, IpPermissions=[rule])
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [one]}])["SecurityGroupRules"]
    return [r.get("Description") for r in rules if not r["IsEgress"]]
