"""A stand-in of its own, and what an environment needs around it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import versions_of
from tests.local_aws.fixtures import RunningStandIn, start_stand_in

REGION = "eu-west-1"
NAME = "under-test"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["airflow.amazonaws.com", "airflow-env.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}


@dataclass(frozen=True)
class Surroundings:
    """Bucket, role and network of one environment."""

    stand_in: RunningStandIn
    bucket: str
    document: dict[str, Any]  #: CreateEnvironment document without Name
    policy: str  #: policy of the execution role, JSON

    @property
    def version(self) -> str:
        """The version of Airflow under test."""
        return str(self.document["AirflowVersion"])

    @property
    def major(self) -> int:
        """Its major."""
        return int(self.version.split(".")[0])

    def client(self, service: str) -> Any:
        """A client of the administrator in the environment's Region."""
        return self.stand_in.client(service, REGION)

    def inside(self) -> dict[str, Any] | None:
        """What the stand-in shows of the environment; None when there is none."""
        return next((found for found in self.stand_in.get("environments") if found["name"] == NAME), None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of an environment on each chosen version of Airflow, or on the oldest where it says so."""
    if "surroundings" in metafunc.fixturenames:
        metafunc.parametrize("surroundings", versions_of(metafunc), indirect=True, scope="module")


@pytest.fixture(scope="module")
def surroundings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    """A stand-in with everything an environment of one version needs, but no environment yet."""
    stand_in = start_stand_in(tmp_path_factory.mktemp("local_mwaa"))
    try:
        yield surround(stand_in, request.param)
    finally:
        stand_in.stop()


def surround(stand_in: RunningStandIn, version: str) -> Surroundings:
    """Bucket, role and network for an environment of this version."""
    bucket = "under-test-dags"
    s3, iam, ec2 = (stand_in.client(service, REGION) for service in ("s3", "iam", "ec2"))
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    flags = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(flags, True))
    for path in sorted(Path(__file__).with_name("workload").glob("*.py")):
        s3.put_object(Bucket=bucket, Key=f"dags/{path.name}", Body=path.read_bytes())
    role = iam.create_role(RoleName="under-test", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="under-test", PolicyName="airflow", PolicyDocument=json.dumps(_policy(bucket)))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]
        for number, zone in enumerate("ab")
    ]
    group = ec2.create_security_group(GroupName="airflow", Description="airflow", VpcId=vpc)["GroupId"]
    network = {"SubnetIds": [subnet["SubnetId"] for subnet in subnets], "SecurityGroupIds": [group]}
    document = {
        "ExecutionRoleArn": role,
        "SourceBucketArn": f"arn:aws:s3:::{bucket}",
        "DagS3Path": "dags",
        "NetworkConfiguration": network,
        "AirflowVersion": version,
        "AirflowConfigurationOptions": {"core.default_task_retries": "2"},
    }
    return Surroundings(stand_in, bucket, document, json.dumps(_policy(bucket)))


def _policy(bucket: str) -> dict[str, Any]:
    grants = [
        ("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
        ("s3:GetObject", f"arn:aws:s3:::{bucket}/*"),
        ("cloudwatch:PutMetricData", "*"),
    ]
    statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in grants]
    return {"Version": "2012-10-17", "Statement": statements}
