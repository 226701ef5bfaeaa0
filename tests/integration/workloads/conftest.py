"""On the stand-in: a role with the policies that modules/access makes of presets, and what DAGs use."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.fixtures import RunningStandIn
from tests.tools import set_up_machine

REGION = "us-west-2"
_ACCESS = Path(__file__).resolve().parents[3] / "modules" / "access"
_BUCKET = f"lake-{ACCOUNT_ID}"
_PREFIX = "analytics-us-west-2"
_CLUSTER = f"{_PREFIX}-containers"
_LOG_GROUP = f"/ecs/{_PREFIX}-report"
_ROLES = {
    f"{_PREFIX}-report-task": "ecs-tasks",
    f"{_PREFIX}-report-start": "ecs-tasks",
    "workloads-emr-service": "elasticmapreduce",
    "workloads-emr-instances": "ec2",
    "workloads-execution": "airflow-env",
}


def _policy_documents(folder: Path, presets: dict[str, Any]) -> dict[str, str]:
    """What the module makes of presets; it has no provider, and asks nobody."""
    set_up_machine.terraform()
    account = {"partition": "aws", "dns_suffix": "amazonaws.com", "region": REGION, "id": ACCOUNT_ID}
    variables, state = folder / "terraform.tfvars.json", f"-state={folder / 'terraform.tfstate'}"
    variables.write_text(json.dumps({"account": account, "presets": presets}), encoding="utf-8")
    environment = {**os.environ, "TF_DATA_DIR": str(folder / "data"), "CHECKPOINT_DISABLE": "1"}

    def terraform(*arguments: str) -> str:
        command = ["terraform", f"-chdir={_ACCESS}", *arguments]
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    terraform("init", "-input=false")
    terraform("apply", "-auto-approve", "-input=false", state, f"-var-file={variables}")
    documents: dict[str, str] = json.loads(terraform("output", "-json", state, "policy_documents"))
    return documents


def _roles(stand_in: RunningStandIn) -> dict[str, str]:
    """Name to ARN of every role."""
    iam, arns = stand_in.client("iam", REGION), {}
    for name, service in _ROLES.items():
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": f"{service}.amazonaws.com"}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arns[name] = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.create_instance_profile(InstanceProfileName="workloads-emr-instances")
    iam.add_role_to_instance_profile(InstanceProfileName="workloads-emr-instances", RoleName="workloads-emr-instances")
    return arns


def _container(stand_in: RunningStandIn, roles: dict[str, str]) -> dict[str, Any]:
    """What a DAG is told of a container, which there is then."""
    ecs, ec2 = stand_in.client("ecs", REGION), stand_in.client("ec2", REGION)
    ecs.create_cluster(clusterName=_CLUSTER)
    ecs.register_task_definition(
        family=f"{_PREFIX}-report",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        taskRoleArn=roles[f"{_PREFIX}-report-task"],
        executionRoleArn=roles[f"{_PREFIX}-report-start"],
        containerDefinitions=[{"name": "report", "image": "report:1.4.0"}],
        tags=[{"key": "team", "value": "analytics"}],
    )
    stand_in.client("logs", REGION).create_log_group(logGroupName=_LOG_GROUP)
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    group = ec2.create_security_group(GroupName="containers", Description="Containers", VpcId=vpc)["GroupId"]
    return {
        "cluster": _CLUSTER,
        "task_definition": f"{_PREFIX}-report",
        "container": "report",
        "subnets": [ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]],
        "security_groups": [group],
        "log_group": _LOG_GROUP,
        "log_stream_prefix": "task/report",
    }


@pytest.fixture(scope="package")
def outputs(stand_in: RunningStandIn, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The policies, the execution role that has them, and the Airflow options of its environment."""
    roles = _roles(stand_in)
    key = stand_in.client("kms", REGION).create_key()["KeyMetadata"]["Arn"]
    emr_roles = [roles["workloads-emr-service"], roles["workloads-emr-instances"]]
    container_roles = [roles[f"{_PREFIX}-report-task"], roles[f"{_PREFIX}-report-start"]]
    presets = {
        "athena": {
            "workgroups": ["reports"],
            "databases": ["sales"],
            "read": [f"s3://{_BUCKET}/sales/"],
            "write": [f"s3://{_BUCKET}/results/"],
            "create_tables": True,
            "key_arns": [key],
        },
        "glue": {"jobs": ["orders-to-parquet", "sales-by-product"]},
        "emr": {"cluster_ids": ["j-1ABC"], "cluster_tags": {"airflow": "analytics"}, "pass_roles": emr_roles},
        "lambda": {"functions": ["score"]},
        "secrets_manager_backend": {"key_arns": [key]},
        "ecs": [
            {
                "cluster": _CLUSTER,
                "task_definitions": [f"{_PREFIX}-report"],
                "pass_roles": container_roles,
                "log_groups": [_LOG_GROUP],
            }
        ],
    }
    documents = _policy_documents(tmp_path_factory.mktemp("access"), presets)
    iam = stand_in.client("iam", REGION)
    for name, document in documents.items():
        policy = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="workloads-execution", PolicyArn=policy)
    made = _container(stand_in, roles)
    options = {
        "workloads.report": json.dumps(made),
        "lake.bucket": _BUCKET,
        "lake.database": "sales",
        "lake.workgroup": "reports",
        "lake.parquet_job": "orders-to-parquet",
        "lake.sales_job": "sales-by-product",
        "lake.emr_service_role": "workloads-emr-service",
        "lake.emr_instance_profile": "workloads-emr-instances",
        "lake.emr_subnet": made["subnets"][0],
        "lake.emr_tag": "analytics",
    }
    return {
        "options": options,
        "execution_role_arn": roles["workloads-execution"],
        "policy_documents": documents,
        "containers": {"report": made},
        "key_arn": key,
    }


@pytest.fixture(scope="package")
def dag_credentials(stand_in: RunningStandIn, outputs: dict[str, Any]) -> dict[str, str]:
    """Environment variables with which a process is the execution role, and nobody else."""
    session = stand_in.client("sts", REGION).assume_role(RoleArn=outputs["execution_role_arn"], RoleSessionName="dag")
    keys = session["Credentials"]
    return {
        **stand_in.env,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "AWS_DEFAULT_REGION": REGION,
    }
