"""Checks of the network: two private subnets with a way out, room, and nothing that keeps members apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from mwaa_continuity import aws
from mwaa_continuity.preflight_subject import Finding, Subject, listed

EVERYWHERE: Final = "0.0.0.0/0"
#: MWAA puts the endpoints of database and web server into each subnet.
ENDPOINTS_PER_SUBNET: Final = 2

#: Without a way out, an environment starts only where all of these answer inside the VPC.
INTERFACE_ENDPOINTS: Final = (
    "airflow.api",
    "airflow.env",
    "airflow.ops",
    "ecr.api",
    "ecr.dkr",
    "kms",
    "logs",
    "monitoring",
    "sqs",
    "states",  # the metadata DAGs answer by it
)
#: The China Regions have none.
NOT_IN_CHINA: Final = "airflow.ops"
#: By gateway, or by interface with private names.
GATEWAY_ENDPOINTS: Final = ("s3", "dynamodb")

TARGETS: Final = (
    "NatGatewayId",
    "TransitGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "VpcPeeringConnectionId",
    "LocalGatewayId",
    "CoreNetworkArn",
    "GatewayId",
)

Described = Mapping[str, Any]


class Network:
    """What EC2 says of the network that the spec names; everything is asked for once, when first needed.

    By filters, not ids: what is not there is then missing in the answer, and no error.
    """

    def __init__(self, subject: Subject) -> None:
        wanted = subject.document["NetworkConfiguration"]
        self.subnet_ids: list[str] = wanted["SubnetIds"]
        self.group_ids: list[str] = wanted["SecurityGroupIds"]
        self.region = subject.settings.region
        self.partition = subject.partition
        self.ec2 = aws.client("ec2")

    @cached_property
    def subnets(self) -> list[Described]:
        """The subnets that are there, in the order of the spec."""
        answer = self.ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": self.subnet_ids}])
        found = {subnet["SubnetId"]: subnet for subnet in answer["Subnets"]}
        return [found[name] for name in self.subnet_ids if name in found]

    @property
    def vpc_id(self) -> str:
        """The VPC of the first subnet, "" where there is none."""
        return str(self.subnets[0]["VpcId"]) if self.subnets else ""

    @cached_property
    def route_tables(self) -> dict[str, Described]:
        """The route table of each subnet: its own, else the main one of its VPC."""
        tables: list[Described] = self.ec2.describe_route_tables(
            Filters=[{"Name": "vpc-id", "Values": sorted({subnet["VpcId"] for subnet in self.subnets})}]
        )["RouteTables"]
        return {subnet["SubnetId"]: table for subnet in self.subnets if (table := table_of(subnet, tables)) is not None}

    @cached_property
    def groups(self) -> list[Described]:
        """The security groups that are there."""
        answer = self.ec2.describe_security_groups(Filters=[{"Name": "group-id", "Values": self.group_ids}])
        groups: list[Described] = answer["SecurityGroups"]
        return groups

    @cached_property
    def acls(self) -> dict[str, Described]:
        """The network ACL of each subnet."""
        answer = self.ec2.describe_network_acls(
            Filters=[{"Name": "association.subnet-id", "Values": [subnet["SubnetId"] for subnet in self.subnets]}]
        )
        return {
            association["SubnetId"]: acl for acl in answer["NetworkAcls"] for association in acl.get("Associations", [])
        }

    @cached_property
    def endpoints(self) -> list[Described]:
        """The VPC endpoints that work."""
        answer = self.ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [self.vpc_id]}])
        return [endpoint for endpoint in answer["VpcEndpoints"] if str(endpoint.get("State")).lower() == "available"]

    def ways_out(self) -> dict[str, str]:
        """Where the default route of each subnet leads, for those that have one that works."""
        return {name: way for name, table in self.route_tables.items() if (way := way_out(table["Routes"]))}


def table_of(subnet: Described, tables: Iterable[Described]) -> Described | None:
    """The route table that a subnet uses."""
    main = None
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet["SubnetId"]:
                return table
            if association.get("Main") and table["VpcId"] == subnet["VpcId"]:
                main = table
    return main


def is_public(route: Described) -> bool:
    """Whether a route leads to an internet gateway."""
    return str(route.get("GatewayId") or "").startswith("igw-")


def way_out(routes: Iterable[Described]) -> str:
    """The target of the default route, "" where there is none that works and keeps a subnet private."""
    for route in routes:
        if route.get("DestinationCidrBlock") != EVERYWHERE or route.get("State") == "blackhole" or is_public(route):
            continue
        return next((str(route[target]) for target in TARGETS if route.get(target)), "")
    return ""


def check_subnets(subject: Subject) -> Finding:
    """Whether the spec's subnets are two, there, of one VPC and in two Availability Zones."""
    network = subject.shared(Network)
    do = "MWAA wants exactly two private subnets in two Availability Zones of one VPC; they cannot be changed later"
    there = {subnet["SubnetId"] for subnet in network.subnets}
    missing = [name for name in network.subnet_ids if name not in there]
    if missing:
        return Finding(False, f"not there: {', '.join(missing)}", do)
    zones = sorted({subnet["AvailabilityZone"] for subnet in network.subnets})
    vpcs = sorted({subnet["VpcId"] for subnet in network.subnets})
    found = f"{len(network.subnets)} subnets in {', '.join(zones)} of {', '.join(vpcs)}"
    return Finding(True, found) if (len(there), len(zones), len(vpcs)) == (2, 2, 1) else Finding(False, found, do)


def check_routes(subject: Subject) -> Finding:
    """Whether the subnets are private and no route of theirs leads nowhere."""
    network = subject.shared(Network)
    faults = []
    for subnet_id in network.subnet_ids:
        table = network.route_tables.get(subnet_id)
        if table is None:
            faults.append(f"{subnet_id} has no route table")
            continue
        for route in table["Routes"]:
            destination = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock") or "a prefix list"
            if is_public(route):
                faults.append(f"{subnet_id} is public: {destination} goes to {route['GatewayId']}")
            if route.get("State") == "blackhole":
                faults.append(f"{subnet_id}: what {destination} went to is gone (blackhole)")
    if faults:
        do = "give the subnets a route table without routes to an internet gateway and without blackholes"
        return Finding(False, listed(faults), do)
    return Finding(True, "no route to an internet gateway, no blackhole")


def check_way_out(subject: Subject) -> Finding:
    """Whether what MWAA needs of AWS is reached: by a default route, or by VPC endpoints."""
    network = subject.shared(Network)
    ways = network.ways_out()
    if len(ways) == len(network.subnet_ids):
        return Finding(True, f"by {' and '.join(sorted(set(ways.values())))}")
    closed = [name for name in network.subnet_ids if name not in ways]
    faults = missing_endpoints(network)
    if faults:
        found = f"{', '.join(closed)} have no default route, and VPC endpoints are missing: {listed(faults)}"
        return Finding(False, found, "route them to a NAT gateway, or make these endpoints, with private DNS names")
    return Finding(True, "by VPC endpoints")


def missing_endpoints(network: Network) -> list[str]:
    """The services whose endpoint is missing, or is there and does not serve these subnets."""
    services = [name for name in INTERFACE_ENDPOINTS if network.partition != "aws-cn" or name != NOT_IN_CHINA]
    missing = [name for name in services if not has_interface(network, name)]
    tables = {table["RouteTableId"] for table in network.route_tables.values()}
    for name in GATEWAY_ENDPOINTS:
        gateways = [set(found.get("RouteTableIds", [])) for found in of_service(network, name, "Gateway")]
        if not any(tables <= routed for routed in gateways) and not has_interface(network, name):
            missing.append(name)
    return missing


def has_interface(network: Network, service: str) -> bool:
    """Whether a service answers under its usual name inside the VPC."""
    return any(found.get("PrivateDnsEnabled") for found in of_service(network, service, "Interface"))


def of_service(network: Network, service: str, kind: str) -> list[Described]:
    """The endpoints of a service. In the China Regions most names have a prefix of their own."""
    ending = f"com.amazonaws.{network.region}.{service}"
    return [
        endpoint
        for endpoint in network.endpoints
        if endpoint["ServiceName"].removeprefix("cn.") == ending and endpoint.get("VpcEndpointType", "Gateway") == kind
    ]


def check_addresses(subject: Subject) -> Finding:
    """Whether each subnet has room for its half of the environment at its full size."""
    network, environment = subject.shared(Network), subject.environment
    document = subject.document
    tasks = sum(int(document.get(member, 0)) for member in ("Schedulers", "MaxWorkers", "MaxWebservers"))
    needed = ENDPOINTS_PER_SUBNET + math.ceil(tasks / 2)
    free = {subnet["SubnetId"]: int(subnet["AvailableIpAddressCount"]) for subnet in network.subnets}
    found = f"{', '.join(f'{count} free in {name}' for name, count in free.items())}; {needed} needed in each"
    if environment is not None and set(environment["NetworkConfiguration"]["SubnetIds"]) == set(network.subnet_ids):
        return Finding(True, f"{found}, of which the environment has its own now")
    if len(free) == len(network.subnet_ids) and min(free.values()) >= needed:
        return Finding(True, found)
    return Finding(False, found, "free addresses in these subnets, use larger ones, or lower max_workers")
