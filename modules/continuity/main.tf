# Everything that acts at run time: functions, state machines, their schedules, the lease, and the metadata DAGs that
# they start. Which of them exist depends on the role of the Region.

data "aws_partition" "this" {}

data "aws_region" "this" {}

data "aws_caller_identity" "this" {}

locals {
  partition   = data.aws_partition.this.partition
  dns_suffix  = data.aws_partition.this.dns_suffix
  region      = data.aws_region.this.id
  account_id  = data.aws_caller_identity.this.account_id
  peer_region = var.peer == null ? local.region : var.peer.region

  # Empty in a standalone.
  peer_bucket_name = var.peer_snapshot_bucket == null ? "" : element(split(":::", var.peer_snapshot_bucket.arn), 1)

  # The Region whose environment is watched and, at a failover, replaced.
  primary_region = var.role == "secondary" ? local.peer_region : local.region

  environment_arn         = "arn:${local.partition}:airflow:${local.region}:${local.account_id}:environment/${var.name}"
  primary_environment_arn = "arn:${local.partition}:airflow:${local.primary_region}:${local.account_id}:environment/${var.name}"

  # InvokeRestApi is granted per Airflow role: User may start and read DAG runs, and cannot see or change secrets and users.
  rest_api_arn = "arn:${local.partition}:airflow:${local.region}:${local.account_id}:role/${var.name}/User"
  # Where tasks cannot reach the database, the metadata DAGs list and write connections, variables, pools and paused flags: Op may, and manages no users and roles.
  task_rest_api_arn = "arn:${local.partition}:airflow:${local.region}:${local.account_id}:role/${var.name}/Op"

  dag_folder = trim(var.dag_s3_path, "/")
}
