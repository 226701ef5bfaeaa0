"""EMR: a cluster for one run, a Spark step on it, and its end, whatever became of the step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.amazon.aws.operators.emr import (
    EmrAddStepsOperator,
    EmrCreateJobFlowOperator,
    EmrTerminateJobFlowOperator,
)
from workload_settings import dag, setting


@dag(
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"day": "2026-01-31"},
    default_args={"execution_timeout": timedelta(hours=2)},
)
def emr_steps() -> None:
    lake = f"s3://{setting('lake.bucket')}"
    create = EmrCreateJobFlowOperator(
        task_id="create",
        emr_conn_id=None,
        job_flow_overrides={
            "Name": "airflow-{{ params.day }}",
            "ReleaseLabel": "emr-7.5.0",
            "Applications": [{"Name": "Spark"}],
            "LogUri": f"{lake}/emr-logs/",
            "ServiceRole": setting("lake.emr_service_role"),
            "JobFlowRole": setting("lake.emr_instance_profile"),
            "VisibleToAllUsers": True,
            "Tags": [{"Key": "airflow", "Value": setting("lake.emr_tag")}],  # without this tag it may not be created
            "Instances": {
                "Ec2SubnetId": setting("lake.emr_subnet"),
                "KeepJobFlowAliveWhenNoSteps": True,
                "InstanceGroups": [
                    {"InstanceRole": "MASTER", "InstanceType": "m7g.xlarge", "InstanceCount": 1},
                    {"InstanceRole": "CORE", "InstanceType": "m7g.xlarge", "InstanceCount": 2},
                ],
            },
            "AutoTerminationPolicy": {"IdleTimeout": 3600},  # should Airflow be gone before it can end the cluster
        },
    )
    cluster = "{{ ti.xcom_pull(task_ids='create') }}"
    statistics = EmrAddStepsOperator(
        task_id="statistics",
        job_flow_id=cluster,
        steps=[
            {
                "Name": "statistics",
                "ActionOnFailure": "CONTINUE",
                "HadoopJarStep": {
                    "Jar": "command-runner.jar",
                    "Args": [
                        "spark-submit",
                        "--deploy-mode",
                        "cluster",
                        f"{lake}/scripts/order_statistics.py",
                        "--source",
                        f"{lake}/orders/day={{{{ params.day }}}}/",
                        "--target",
                        f"{lake}/statistics/day={{{{ params.day }}}}/",
                    ],
                },
            }
        ],
        deferrable=True,
    )
    end = EmrTerminateJobFlowOperator(task_id="end", job_flow_id=cluster, deferrable=True)
    create >> statistics >> end.as_teardown(setups=create)


emr_steps()
