"""One question per patch of moto, for its own interpreter: `python -m tests.integration.local_aws.probes [--patched]`.

Prints the answers as JSON. Nothing here asserts: `test_patches.py` knows which answer is moto's and which is AWS's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

os.environ |= {"AWS_ACCESS_KEY_ID": "ak", "AWS_SECRET_ACCESS_KEY": "sk", "AWS_DEFAULT_REGION": "us-east-1"}

import boto3
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from moto.core.config import default_user_config

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"


def client(service: str, region: str = "us-east-1") -> Any:
    """A client inside the mock."""
    return boto3.client(service, region_name=region)


def role() -> str:
    """A role that moto accepts for functions."""
    client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
    return ROLE


def lambda_configuration() -> Any:
    functions = client("lambda")
    functions.create_function(
        FunctionName="f",
        Runtime="python3.11",
        Role=role(),
        Handler="m.h",
        Code={"ZipFile": b"x"},
        DeadLetterConfig={"TargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"},
        LoggingConfig={"LogFormat": "JSON", "LogGroup": "/g"},
    )
    kept = functions.get_function_configuration(FunctionName="f")
    functions.update_function_configuration(FunctionName="f", TracingConfig={"Mode": "Active"})
    traced = functions.get_function_configuration(FunctionName="f")["TracingConfig"]["Mode"]
    return [kept.get("DeadLetterConfig", {}).get("TargetArn"), kept.get("LoggingConfig", {}).get("LogGroup"), traced]


def _alarm(name: str) -> None:
    client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="n",
        MetricName="m",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        Statistic="Sum",
        ComparisonOperator="GreaterThanThreshold",
    )


def composite_alarms() -> Any:
    _alarm("one")
    client("cloudwatch").put_composite_alarm(AlarmName="both", AlarmRule='ALARM("one")')
    found = client("cloudwatch").describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    return [alarm["AlarmName"] for alarm in found]


def initial_state() -> Any:
    _alarm("one")
    return client("cloudwatch").describe_alarms()["MetricAlarms"][0]["StateValue"]


def statistics_periods() -> Any:
    one, two = {"Name": "Environment", "Value": "e"}, {"Name": "Function", "Value": "f"}
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    metrics = client("cloudwatch")
    for dimensions, seconds in (([one, two], 50), ([one, two], 70), ([one], 50)):
        datum = {"MetricName": "m", "Dimensions": dimensions, "Value": 1}
        metrics.put_metric_data(Namespace="n", MetricData=[{**datum, "Timestamp": minute + timedelta(seconds=seconds)}])
    found = metrics.get_metric_statistics(
        Namespace="n",
        MetricName="m",
        Dimensions=[one],
        StartTime=minute,
        EndTime=minute + timedelta(minutes=4),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return [[point["Sum"], point["Timestamp"].second] for point in found]


def global_tables() -> Any:
    home = client("dynamodb")
    home.create_table(
        TableName="t",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    home.update_table(TableName="t", ReplicaUpdates=[{"Create": {"RegionName": "us-west-2"}}])
    home.put_item(TableName="t", Item={"pk": {"S": "x"}})
    other = client("dynamodb", "us-west-2")
    seen = other.describe_table(TableName="t")["Table"]
    item = other.get_item(TableName="t", Key={"pk": {"S": "x"}}).get("Item")
    return [seen["TableArn"].split(":")[3], [r["RegionName"] for r in seen["Replicas"]], item]


def replica_tags() -> Any:
    home, other = client("dynamodb"), client("dynamodb", "us-west-2")
    for one in (home, other):
        one.create_table(
            TableName="t",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    # The same table under both Regions, which is what a replica is to moto.
    from moto.dynamodb.models import dynamodb_backends

    backends = dynamodb_backends[ACCOUNT]
    backends["us-west-2"].tables["t"] = backends["us-east-1"].tables["t"]
    arn = f"arn:aws:dynamodb:us-west-2:{ACCOUNT}:table/t"
    other.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    return other.list_tags_of_resource(ResourceArn=arn)["Tags"]


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


def regional_s3_arns() -> Any:
    role()
    statement = {"Effect": "Allow", "Action": "s3:DescribeJob", "Resource": f"arn:aws:s3:us-east-1:{ACCOUNT}:job/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("iam").put_role_policy(RoleName="any", PolicyName="p", PolicyDocument=document)
    return "accepted"


def multi_region_ciphertext() -> Any:
    kms = client("kms")
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    context = {"environment": "e"}
    blob = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)
    opened = kms.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=context)
    return opened["Plaintext"] == blob["Plaintext"]


def replicate_key() -> Any:
    home, other = client("kms"), client("kms", "us-west-2")
    key = home.create_key(MultiRegion=True, Description="home")["KeyMetadata"]["KeyId"]
    home.replicate_key(
        KeyId=key, ReplicaRegion="us-west-2", Description="other", Tags=[{"TagKey": "a", "TagValue": "b"}]
    )
    replica = other.describe_key(KeyId=key)["KeyMetadata"]
    primary = home.describe_key(KeyId=key)["KeyMetadata"]
    tags = other.list_resource_tags(KeyId=key)["Tags"]
    kinds = [data["MultiRegionConfiguration"]["MultiRegionKeyType"] for data in (primary, replica)]
    return [kinds, replica["Description"], tags]


def unusable_keys() -> Any:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    kms.encrypt(KeyId=key, Plaintext=b"x")
    return "encrypted"


def bucket_policy_conditions() -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    return s3.get_object(Bucket="bucket", Key="k")["Body"].read().decode()


def _replicated_bucket(s3: Any) -> None:
    for name in ("source", "target"):
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "ID": "r",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": "snapshots/"},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {"Bucket": "arn:aws:s3:::target", "EncryptionConfiguration": {"ReplicaKmsKeyID": "k"}},
    }
    s3.put_bucket_replication(Bucket="source", ReplicationConfiguration={"Role": ROLE, "Rules": [rule]})


def delete_markers() -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    s3.delete_object(Bucket="bucket", Key="k")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Suspended"})
    s3.delete_object(Bucket="bucket", Key="k")
    return "deleted"


def replication_configuration() -> Any:
    s3 = client("s3")
    _replicated_bucket(s3)
    rule = s3.get_bucket_replication(Bucket="source")["ReplicationConfiguration"]["Rules"][0]
    return [rule["Filter"], rule["DeleteMarkerReplication"], rule.get("SourceSelectionCriteria")]


def replication_status() -> Any:
    from moto.s3.models import s3_backends

    s3 = client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    s3_backends[ACCOUNT]["aws"].get_object("bucket", "k").replication_status = "COMPLETED"
    return s3.head_object(Bucket="bucket", Key="k").get("ReplicationStatus")


def update_keeps_state() -> Any:
    schedules = client("scheduler")
    shape = {
        "Name": "s",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ScheduleExpression": "rate(1 minute)",
        "Target": {"Arn": "arn:aws:sqs:us-east-1:1:q", "RoleArn": ROLE},
    }
    schedules.create_schedule(**shape)
    schedules.update_schedule(**shape)
    return schedules.get_schedule(Name="s").get("State")


def _machine(states: dict[str, Any], start: str = "A") -> str:
    definition = json.dumps({"StartAt": start, "States": states})
    arn: str = client("stepfunctions").create_state_machine(name="m", definition=definition, roleArn=ROLE)[
        "stateMachineArn"
    ]
    return arn


def _run(states: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Description of an execution when it has ended, or after five seconds."""
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    machines = client("stepfunctions")
    execution = machines.start_execution(stateMachineArn=_machine(states), name="x", **arguments)["executionArn"]
    for _ in range(100):
        described: dict[str, Any] = machines.describe_execution(executionArn=execution)
        if described["status"] != "RUNNING":
            break
        time.sleep(0.05)
    return described


def execution() -> Any:
    machines = client("stepfunctions")
    arn = _machine({"A": {"Type": "Pass", "Result": 1, "End": True}})
    started = machines.start_execution(stateMachineArn=arn, name="x")["executionArn"]
    for _ in range(40):
        described = machines.describe_execution(executionArn=started)
        if described["status"] != "RUNNING":
            break
        time.sleep(0.05)
    return [described["status"], described.get("output")]


def validate_definition() -> Any:
    machines = client("stepfunctions")
    return [
        machines.validate_state_machine_definition(definition=text)["result"]
        for text in ('{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}', '{"StartAt": "A"')
    ]


def list_versions() -> Any:
    arn = _machine({"A": {"Type": "Succeed"}})
    return client("stepfunctions").list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]


def execution_names() -> Any:
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    arn = _machine({"A": {"Type": "Wait", "Seconds": 60, "End": True}})
    machines = client("stepfunctions")
    started = {machines.start_execution(stateMachineArn=arn)["executionArn"] for _ in range(2)}
    return len(started)


def heartbeat_without_limit() -> Any:
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    queues = client("sqs")
    url = queues.create_queue(QueueName="q")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token"}},
        "TimeoutSeconds": 20,
        "End": True,
    }
    machines = client("stepfunctions")
    machines.start_execution(stateMachineArn=_machine({"A": task}), name="x")
    for _ in range(100):
        messages = queues.receive_message(QueueUrl=url).get("Messages")
        if messages:
            break
        time.sleep(0.05)
    machines.send_task_heartbeat(taskToken=json.loads(messages[0]["Body"])["token"])
    return "accepted"


def starting_executions() -> Any:
    from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

    default_user_config["stepfunctions"]["execute_state_machine"] = True
    start, ExecutionWorker.start = ExecutionWorker.start, lambda _worker: None
    machines = client("stepfunctions")
    try:
        machines.start_execution(stateMachineArn=_machine({"A": {"Type": "Succeed"}}), name="x")
        machines.send_task_heartbeat(taskToken="token")
    finally:
        ExecutionWorker.start = start
    return "accepted"


def early_answers() -> Any:
    from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackEndpoint, CallbackOutcomeSuccess

    endpoint = CallbackEndpoint("token")
    endpoint.notify(CallbackOutcomeSuccess("token", "{}"))
    return endpoint.setup_heartbeat_endpoint(heartbeat_seconds=0.05).clear_and_wait()


def lambda_parameters() -> Any:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "none", "InvocationType": "Event"},
        "End": True,
    }
    done = _run({"A": task})
    history = client("stepfunctions").get_execution_history(executionArn=done["executionArn"])["events"]
    scheduled = next(event for event in history if event["type"] == "TaskScheduled")
    return json.loads(scheduled["taskScheduledEventDetails"]["parameters"]).get("InvocationType")


def _sdk_task(action: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:{action}", "Parameters": parameters, "End": True}


def sdk_error_names() -> Any:
    return _run({"A": _sdk_task("ssm:getParameter", {"Name": "none"})}).get("error")


def fail_with_any_error() -> Any:
    states = {
        "A": {"Type": "Pass", "Result": {"Error": "States.Timeout", "Cause": "why"}, "Next": "B"},
        "B": {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"},
    }
    return _run(states).get("error")


def request_and_response_shapes() -> Any:
    client("s3").create_bucket(Bucket="bucket")
    body = {"Bucket": "bucket", "Key": "k", "Body": {"a": 1}}
    states = {
        "A": {**_sdk_task("s3:putObject", body), "End": False, "Next": "B", "ResultPath": None},
        "B": _sdk_task("s3:getObject", {"Bucket": "bucket", "Key": "k"}),
    }
    del states["A"]["End"]
    done = _run(states)
    output = json.loads(done.get("output", "{}"))
    return [done["status"], output.get("Body"), str(output.get("LastModified", ""))[-1:]]


def connection_errors() -> Any:
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk as sdk

    def refuse(**_arguments: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    original, sdk.boto_client_for = sdk.boto_client_for, refuse
    try:
        return _run({"A": _sdk_task("dynamodb:listTables", {})}).get("error")
    finally:
        sdk.boto_client_for = original


def credentials_name_their_machine() -> Any:
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk as sdk

    seen: list[Any] = []
    original = sdk.boto_client_for

    def remember(region: str, service: str, state_credentials: Any = None) -> Any:
        seen.append(getattr(state_credentials, "source_arn", None))
        return original(region=region, service=service)

    sdk.boto_client_for = remember
    try:
        _run({"A": _sdk_task("dynamodb:listTables", {})})
    finally:
        sdk.boto_client_for = original
    return seen


PROBES: dict[str, Callable[[], Any]] = {
    "awslambda.configuration_members": lambda_configuration,
    "cloudwatch.composite_alarms": composite_alarms,
    "cloudwatch.initial_state": initial_state,
    "cloudwatch.statistics_periods": statistics_periods,
    "dynamodb.global_tables": global_tables,
    "dynamodb.replica_tags": replica_tags,
    "ec2.endpoints_without_routes": endpoints_without_routes,
    "ec2.rule_description": rule_description,
    "iam.regional_s3_arns": regional_s3_arns,
    "kms.multi_region_ciphertext": multi_region_ciphertext,
    "kms.replicate_key": replicate_key,
    "kms.unusable_keys": unusable_keys,
    "s3.bucket_policy_conditions": bucket_policy_conditions,
    "s3.replication_configuration": replication_configuration,
    "s3.delete_markers": delete_markers,
    "s3.replication_status": replication_status,
    "scheduler.update_keeps_state": update_keeps_state,
    "stepfunctions.execution": execution,
    "stepfunctions.validate_definition": validate_definition,
    "stepfunctions.list_versions": list_versions,
    "stepfunctions.execution_names": execution_names,
    "stepfunctions.heartbeat_without_limit": heartbeat_without_limit,
    "stepfunctions.starting_executions": starting_executions,
    "stepfunctions.sdk_error_names": sdk_error_names,
    "stepfunctions.early_answers": early_answers,
    "stepfunctions.lambda_parameters": lambda_parameters,
    "stepfunctions.fail_with_any_error": fail_with_any_error,
    "stepfunctions_clients.request_and_response_shapes": request_and_response_shapes,
    "stepfunctions_clients.connection_errors": connection_errors,
    "stepfunctions_clients.credentials_name_their_machine": credentials_name_their_machine,
}


def answer(probe: Callable[[], Any]) -> Any:
    """What the probe saw; of an error its name, as AWS or Python gives it."""
    executing = default_user_config["stepfunctions"]["execute_state_machine"]
    with mock_aws():
        try:
            return probe()
        except ClientError as error:
            return f"error {error.response['Error']['Code']}"
        except Exception as error:  # noqa: BLE001  # moto's gaps show as any exception; its name is the answer
            return f"error {type(error).__name__}"
        finally:
            default_user_config["stepfunctions"]["execute_state_machine"] = executing


def main(arguments: list[str]) -> None:
    """Print every answer."""
    if "--patched" in arguments:
        from tests.local_aws.patches import all_patches

        for patch in all_patches().values():
            patch()
    print(json.dumps({name: answer(probe) for name, probe in PROBES.items()}, default=str))


if __name__ == "__main__":
    main(sys.argv[1:])
