"""Checks of what filters packets: security groups and network ACLs."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from mwaa_continuity.preflight_network import Described, Network
from mwaa_continuity.preflight_subject import Finding, Subject, listed

#: Members reach each other, the web server and AWS on the one, the database's endpoint on the other.
PORTS: Final = (443, 5432)
#: Where answers come back to, because network ACLs know no connections: the first and last port that Linux takes.
ANSWER_PORTS: Final = (32768, 60999)
#: Stands for any address outside (TEST-NET-3).
OUTSIDE: Final = "203.0.113.1"
TCP: Final = ("tcp", "6")
ALL_PROTOCOLS: Final = "-1"


def check_security_groups(subject: Subject) -> Finding:
    """Whether the security groups are there, in the VPC of the subnets, and let members reach each other."""
    network = subject.shared(Network)
    there = {group["GroupId"]: group["VpcId"] for group in network.groups}
    faults = [f"{name} is not there" for name in network.group_ids if name not in there]
    faults += [f"{name} is in {vpc}, not in {network.vpc_id}" for name, vpc in there.items() if vpc != network.vpc_id]
    if faults:
        return Finding(False, listed(faults), "name security groups of the VPC of the subnets")
    for direction, member in (("in", "IpPermissions"), ("out", "IpPermissionsEgress")):
        rules = [rule for group in network.groups for rule in group[member]]
        closed = [str(port) for port in PORTS if not any(lets_members(rule, port, network) for rule in rules)]
        if closed:
            faults.append(f"no rule lets members {direction} on port {' and '.join(closed)}")
    if not any(opens(rule, PORTS[0]) for group in network.groups for rule in group["IpPermissionsEgress"]):
        faults.append(f"nothing may go out on port {PORTS[0]}")
    names = ", ".join(network.group_ids)
    if faults:
        do = "add rules that name the group itself, for all traffic in and out, and let 443 out to AWS"
        return Finding(False, f"{names}: {listed(faults)}", do)
    return Finding(True, f"{names} are in {network.vpc_id} and let members reach each other")


def opens(rule: Described, port: int) -> bool:
    """Whether a rule of a security group is about a TCP port."""
    if rule["IpProtocol"] == ALL_PROTOCOLS:
        return True
    return rule["IpProtocol"] in TCP and rule["FromPort"] <= port <= rule["ToPort"]


def lets_members(rule: Described, port: int, network: Network) -> bool:
    """Whether a rule lets members of the groups reach each other on a port: by group, or by all subnets' addresses."""
    if not opens(rule, port):
        return False
    if any(pair.get("GroupId") in network.group_ids for pair in rule.get("UserIdGroupPairs", [])):
        return True
    ranges = [IPv4Network(found["CidrIp"]) for found in rule.get("IpRanges", [])]
    ours = [IPv4Network(subnet["CidrBlock"]) for subnet in network.subnets]
    return bool(ours) and all(any(own.subnet_of(wide) for wide in ranges) for own in ours)


def check_network_acls(subject: Subject) -> Finding:
    """Whether the network ACLs let the subnets reach each other, and the outside where that is the way to AWS."""
    network = subject.shared(Network)
    faults = []
    for subnet in network.subnets:
        acl = network.acls.get(subnet["SubnetId"])
        if acl is None:
            faults.append(f"{subnet['SubnetId']} has no network ACL")
            continue
        closed = closed_ways(acl["Entries"], subnet, network)
        if closed:
            faults.append(f"{acl['NetworkAclId']} of {subnet['SubnetId']} denies {', '.join(closed)}")
    if faults:
        do = "allow TCP 443 and 5432 and the answers' ports 1024-65535 in and out, between the subnets and to AWS"
        return Finding(False, listed(faults), do)
    return Finding(True, "443, 5432 and their answers pass")


def closed_ways(entries: Iterable[Described], subnet: Described, network: Network) -> list[str]:
    """What an ACL denies that its subnet needs, as `out to 10.0.1.0 on 443`. Within a subnet no ACL is asked."""
    rules = sorted(entries, key=lambda entry: int(entry["RuleNumber"]))
    needed = []
    for other in network.subnets:
        if other["SubnetId"] != subnet["SubnetId"]:
            block = IPv4Network(other["CidrBlock"])
            for address in (str(block[0]), str(block[-1])):
                needed += [(egress, address, port) for egress in (True, False) for port in PORTS + ANSWER_PORTS]
    if subnet["SubnetId"] in network.ways_out():
        needed += [(True, OUTSIDE, PORTS[0]), *((False, OUTSIDE, port) for port in ANSWER_PORTS)]
    closed = [way for way in needed if not passes(rules, *way)]
    return [f"{'out to' if egress else 'in from'} {address} on {port}" for egress, address, port in closed]


def passes(rules: Iterable[Described], egress: bool, address: str, port: int) -> bool:
    """Whether the first rule (by its number) that is about a TCP packet allows it. No rule: it is denied."""
    for rule in rules:
        ports = rule.get("PortRange")
        if (
            rule["Egress"] == egress
            and rule["Protocol"] in (ALL_PROTOCOLS, *TCP)
            and (not ports or rule["Protocol"] == ALL_PROTOCOLS or ports["From"] <= port <= ports["To"])
            and rule.get("CidrBlock")
            and IPv4Address(address) in IPv4Network(rule["CidrBlock"])
        ):
            return bool(rule["RuleAction"] == "allow")
    return False
