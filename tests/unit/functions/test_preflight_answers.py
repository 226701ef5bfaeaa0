"""preflight: checks that cannot be made, what must not be said, and the tables that it knows by heart."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from moto.servicequotas.models import ServiceQuotasBackend

from mwaa_continuity import aws, preflight, preflight_network, preflight_spec
from mwaa_continuity.errors import BadInput
from mwaa_continuity.preflight_filters import passes
from mwaa_continuity.preflight_policies import not_admitted
from tests.unit.functions.conftest import NAME, SECONDARY, SECRET_OPTION, Account, environment, own_client
from tests.unit.functions.preflight_region import BINDING_KEY, ReadyRegion
from tests.unit.functions.test_preflight import SNAPSHOT, call, finding

MODULES = Path(__file__).parents[3] / "modules"

#: Which checks call which service.
ASKED = {
    "ec2": {"subnets", "routes", "way_out", "addresses", "security_groups", "network_acls"},
    "iam": {"execution_role", "service_linked_role"},
    "kms": {"key", "key_policy", "log_groups"},
    "logs": {"log_groups"},
    "mwaa": {"environment", "airflow_version", "environment_quota", "addresses"},
    "s3": {"dag_bucket", "dag_folder", "files", "requirements"},
    "service-quotas": set(),
}


@pytest.fixture
def region(account: Account) -> ReadyRegion:
    """A Region with all that the environment needs."""
    return ReadyRegion(account)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, int], None]:
    """Let a service answer calls with an error, but for reading the spec: `answering("ec2", "Throttling", 400)`."""
    connect = aws.client

    def install(service: str, code: str, status: int) -> None:
        def answer(model: Any, **_event: Any) -> Any:
            if model.name == "GetObject":
                return None
            error = {"Code": code, "Message": "said the service"}
            return AWSResponse("", status, {}, None), {
                "Error": error,
                "ResponseMetadata": {"HTTPStatusCode": status},
            }

        def client(asked: str, *arguments: Any) -> Any:
            if asked != service:
                return connect(asked, *arguments)
            made = own_client(asked)
            made.meta.events.register("before-call", answer)
            return made

        monkeypatch.setattr(aws, "client", client)

    return install


@pytest.mark.parametrize(
    ("code", "status", "do"),
    [("AccessDenied", 403, "let the function's role make this call"), ("Throttling", 400, "start again in a minute")],
)
def test_a_check_that_cannot_be_made_has_failed_and_stops_no_other(
    region: ReadyRegion, answering: Callable[[str, str, int], None], code: str, status: int, do: str
) -> None:
    for service, checks in ASKED.items():
        answering(service, code, status)
        answer = call()
        assert set(answer["failed"]) == checks, service
        for name in checks:
            found = finding(answer, name)
            assert found["found"].startswith("could not be looked at: ")
            assert f"answered {code}: said the service" in found["found"]
            assert found["do"].startswith(do)


def test_a_dead_service_fails_its_checks(region: ReadyRegion, dead: Callable[..., None]) -> None:
    dead(SECONDARY, "ec2")
    answer = call()
    assert set(answer["failed"]) == ASKED["ec2"]
    assert "EndpointConnectionError" in finding(answer, "subnets")["found"]


def test_no_secret_of_the_options_is_told(region: ReadyRegion, capsys: pytest.CaptureFixture[str]) -> None:
    """Failure covered: a value that MWAA would refuse, repeated in answers, executions and logs."""
    for value in (f"{SECRET_OPTION}\nof two lines", SECRET_OPTION):
        region.publish(AirflowConfigurationOptions={"smtp.smtp_password": value}, AirflowVersion="2.6.3")
        answer = call()
        assert not answer["ok"]
        assert SECRET_OPTION not in json.dumps(answer)
    assert SECRET_OPTION not in capsys.readouterr().out


def test_a_spec_that_is_none(region: ReadyRegion) -> None:
    region.account.put_json(BINDING_KEY, ["no object"])
    answer = call()
    assert finding(answer, "spec")["found"] == f"{BINDING_KEY} is a list; accepted: a JSON object"
    region.publish(AirflowConfigurationOptions=["no map"])
    answer = call()
    assert finding(answer, "spec")["found"] == "could not be looked at: AttributeError"
    assert finding(answer, "key")["found"] == "not looked at, because there is no usable spec"
    region.publish(Name="other")
    assert finding(call(), "spec")["ok"], "the binding's Name is laid over"
    region.publish({"Name": "other"})
    assert "Name is of another environment" in finding(call(), "spec")["found"]


def test_an_answer_of_another_shape_is_a_finding(region: ReadyRegion, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(_subject: object) -> None:
        raise KeyError(SECRET_OPTION)

    monkeypatch.setattr(preflight, "CHECKS", {**preflight.CHECKS, "key": stumble})
    answer = call()
    assert answer["failed"] == ["key"]
    assert finding(answer, "key")["found"] == "could not be looked at: KeyError"


@pytest.mark.parametrize("event", [{"action": "look"}, {"action": "check", "snapshot_id": "newest"}])
def test_bad_input(variables: dict[str, str], event: dict[str, str]) -> None:
    assert variables
    with pytest.raises(BadInput):
        preflight.handler({"request_id": "r-1", **event}, None)


def test_a_quota_of_the_account_s_own(region: ReadyRegion, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {preflight_spec.ENVIRONMENTS[0]: 20.0, preflight_spec.WORKERS[0]: 40.0}

    def answer(_self: object, service_code: str, quota_code: str) -> dict[str, float]:
        assert service_code == "airflow"
        return {"Value": values[quota_code]}

    monkeypatch.setattr(ServiceQuotasBackend, "get_service_quota", answer)
    for number in range(19):
        region.account.mwaa.environments[SECONDARY, f"other-{number}"] = environment(SECONDARY)
    region.publish(MaxWorkers=40)
    answer = call()
    assert finding(answer, "environment_quota")["found"] == "19 other environments in us-west-2, 20 allowed"
    assert finding(answer, "worker_quota")["found"] == "MaxWorkers is 40, 40 allowed"
    region.account.mwaa.environments[SECONDARY, "other-19"] = environment(SECONDARY)
    region.account.mwaa.environments[SECONDARY, NAME] = environment(SECONDARY)
    assert finding(call(), "environment_quota")["found"] == "20 other environments in us-west-2, 20 allowed"


def test_what_runs_there_now_needs_no_further_room(region: ReadyRegion) -> None:
    small = [region.make_subnet(f"10.0.100.{16 * place}/28", zone) for place, zone in enumerate("ab")]
    for subnet in small:
        region.ec2.associate_route_table(RouteTableId=region.table, SubnetId=subnet)
    network = {"SubnetIds": small, "SecurityGroupIds": [region.group]}
    region.publish({"NetworkConfiguration": network}, MaxWorkers=25)
    running = environment(SECONDARY) | {"NetworkConfiguration": network}
    region.account.mwaa.environments[SECONDARY, NAME] = running
    assert call()["ok"]


def test_vpc_endpoints_in_the_place_of_a_way_out(region: ReadyRegion) -> None:
    ec2, table = region.ec2, region.table
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    for name in preflight_network.GATEWAY_ENDPOINTS:
        ec2.create_vpc_endpoint(
            VpcId=region.vpc, ServiceName=f"com.amazonaws.{SECONDARY}.{name}", RouteTableIds=[table]
        )
    made = {}
    for name in preflight_network.INTERFACE_ENDPOINTS:
        made[name] = ec2.create_vpc_endpoint(
            VpcId=region.vpc,
            VpcEndpointType="Interface",
            ServiceName=f"com.amazonaws.{SECONDARY}.{name}",
            SubnetIds=region.subnets,
            PrivateDnsEnabled=True,
        )["VpcEndpoint"]["VpcEndpointId"]
    answer = call()
    assert (answer["failed"], finding(answer, "way_out")["found"]) == ([], "by VPC endpoints")
    ec2.delete_vpc_endpoints(VpcEndpointIds=[made["sqs"]])
    assert finding(call(), "way_out")["found"].endswith("VPC endpoints are missing: sqs")


def test_a_snapshot_without_its_objects_or_its_key(region: ReadyRegion) -> None:
    region.account.snapshot(SNAPSHOT)
    region.account.s3.delete_object(Bucket="snapshots-us-west-2", Key=f"snapshots/{NAME}/{SNAPSHOT}/variable.sealed")
    answer = call(snapshot_id=SNAPSHOT)
    assert answer["failed"] == ["snapshot"]
    assert "variable.sealed is missing" in finding(answer, "snapshot")["found"]
    region.account.snapshot(SNAPSHOT)
    region.account.verification(SNAPSHOT, ("variable.sealed", "does not open"))
    assert "damaged when it was read back" in finding(call(snapshot_id=SNAPSHOT), "snapshot")["found"]
    other = {"environment": NAME, "snapshot_id": "20261121T080000Z-ffffffff"}
    key = region.account.kms.generate_data_key(KeyId=region.account.key_id, KeySpec="AES_256", EncryptionContext=other)
    sealed = {"encrypted_data_key": base64.b64encode(key["CiphertextBlob"]).decode()}
    region.account.snapshot(SNAPSHOT, encryption=sealed)
    answer = call(snapshot_id=SNAPSHOT)
    assert answer["failed"] == ["snapshot"]
    assert "does not decrypt its data key" in finding(answer, "snapshot")["found"]


def test_a_newer_version_than_all_known_ones_passes(region: ReadyRegion) -> None:
    region.publish(AirflowVersion="3.9.1")
    answer = call()
    assert answer["ok"]
    assert "3.9.1 is newer than what is known here" in finding(answer, "airflow_version")["found"]


def test_the_module_offers_what_the_check_lets_pass() -> None:
    """Failure covered: two lists of versions that drift apart."""
    text = (MODULES / "environment" / "variables.environment.tf").read_text()
    (listed,) = re.findall(r"offered_versions = \[([^\]]*)\]", text)
    offered = {version for version, end in preflight_spec.VERSIONS.items() if end is None}
    assert set(re.findall(r'"([^"]+)"', listed)) == offered


def test_the_module_makes_the_endpoints_that_the_check_wants() -> None:
    text = (MODULES / "network" / "endpoints.tf").read_text()
    (of_mwaa,) = re.findall(r"mwaa_endpoints = \{(.*?)\n  \}", text, re.DOTALL)
    assert {*re.findall(r'"([^"]+)" *=', of_mwaa), "states"} == set(preflight_network.INTERFACE_ENDPOINTS)


def test_acl_rules_are_read_in_the_order_of_their_numbers() -> None:
    def rule(number: int, action: str, cidr: str = "0.0.0.0/0", **members: Any) -> dict[str, Any]:
        return {
            "RuleNumber": number,
            "RuleAction": action,
            "CidrBlock": cidr,
            "Egress": True,
            "Protocol": "-1",
        } | members

    default = rule(32767, "deny")
    assert passes([rule(100, "allow"), default], True, "10.0.1.1", 443)
    assert not passes([default], True, "10.0.1.1", 443)
    assert not passes([rule(100, "allow"), default], False, "10.0.1.1", 443), "of the other direction"
    assert not passes([rule(90, "deny", "10.0.1.0/24"), rule(100, "allow")], True, "10.0.1.1", 443)
    assert passes([rule(90, "deny", Protocol="17"), rule(100, "allow")], True, "10.0.1.1", 443), "UDP is not asked"
    some = {"Protocol": "6", "PortRange": {"From": 1024, "To": 65535}}
    assert passes([rule(90, "allow", **some), default], True, "10.0.1.1", 5432)
    assert not passes([rule(90, "allow", **some), default], True, "10.0.1.1", 443)


def test_policies_are_read_with_their_wildcards_and_conditions() -> None:
    def admitted(*statements: dict[str, Any]) -> bool:
        context = {"aws:sourceaccount": "1"}
        return not not_admitted({"Statement": list(statements)}, "x.amazonaws.com", ["kms:Decrypt"], context)

    allow = {"Effect": "Allow", "Principal": {"Service": "x.amazonaws.com"}, "Action": "kms:D*"}
    assert admitted(allow)
    assert admitted(allow | {"Principal": "*"})
    assert not admitted(allow | {"Principal": {"Service": ["y.amazonaws.com"]}})
    assert not admitted(allow | {"Action": ["kms:Encrypt"]})
    assert admitted(allow | {"Condition": {"StringEquals": {"AWS:SourceAccount": ["2", "1"]}}})
    assert not admitted(allow | {"Condition": {"StringLike": {"aws:SourceAccount": "2*"}}})
    assert admitted(allow | {"Condition": {"StringEquals": {"aws:SourceOrgID": "o-1"}}}), "cannot be judged"
    assert not admitted(allow, allow | {"Effect": "Deny"})
    assert admitted(allow, allow | {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
