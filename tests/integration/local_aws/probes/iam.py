"""Probes of the patches of iam."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.local_aws.probes.inside import ACCOUNT, client, role


def regional_s3_arns() -> Any:
    role()
    statement = {"Effect": "Allow", "Action": "s3:DescribeJob", "Resource": f"arn:aws:s3:us-east-1:{ACCOUNT}:job/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("iam").put_role_policy(RoleName="any", PolicyName="p", PolicyDocument=document)
    return "accepted"


def service_linked_role_of_mwaa() -> Any:
    made = client("iam").create_service_linked_role(AWSServiceName="airflow.amazonaws.com")
    return made["Role"]["RoleName"]
