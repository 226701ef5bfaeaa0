# Coming back to the primary: what it may do in the other Region, whose machines it starts there.

locals {
  # Where Terraform owns the environment, nothing here creates one.
  creates_environment = var.role != "primary" || var.environment_owner == "lifecycle"

  # The lease table and the machines of the secondary begin with the same prefix.
  peer_prefix = trimsuffix(local.lease_table_name, "-lease")
  peer_machine_arns = {
    for machine in ["hand_over", "stand_down"] :
    machine => "arn:${local.partition}:states:${local.peer_region}:${local.account_id}:stateMachine:${local.peer_prefix}-${machine}"
  }
  peer_environment_arn = "arn:${local.partition}:airflow:${local.peer_region}:${local.account_id}:environment/${var.name}"
  peer_dag_bucket_arn  = coalesce(var.peer_dag_bucket_arn, "arn:${local.partition}:s3:::none")

  # How often, and how often at most, the primary asks how far the other Region is: a look writes up to 13 events into the history of its
  # execution, which ends at 25,000.
  follow_polls   = 700
  follow_seconds = max(var.failover.poll_seconds, ceil((var.failback.drain_minutes * 60 + var.snapshot.timeout_minutes * 120 + 1800) / local.follow_polls))

  failback_variables = {
    follow_polls   = local.follow_polls
    follow_seconds = local.follow_seconds
    # Longer than all of its steps and their retries: an execution that is cut off leaves the other Region drained.
    failback_timeout_seconds = local.follow_polls * local.follow_seconds * 3 + var.failover.create_timeout_minutes * 60 + var.failover.dag_timeout_minutes * 1200 + var.failover.parse_deadline_seconds + 86400
  }

  failback_function_variables = {
    PEER_REGION          = local.peer_region
    PEER_SNAPSHOT_BUCKET = local.peer_bucket_name
    PEER_DAG_BUCKET      = element(split(":::", local.peer_dag_bucket_arn), 1)
    DAG_BUCKET           = var.dag_bucket.name
    DAG_S3_PATH          = local.dag_folder
    HAND_OVER_ARN        = local.peer_machine_arns["hand_over"]
    STAND_DOWN_ARN       = local.peer_machine_arns["stand_down"]
    COOLDOWN_SECONDS     = tostring(var.failover.cooldown_minutes * 60)
    LEASE_REGION         = local.lease_region
    ENVIRONMENT_OWNER    = var.environment_owner
  }

  failback_statements = [
    local.read_lease_at_home,
    local.lease_home_key,
    local.bucket_key,
    {
      Sid      = "GetBothEnvironments"
      Effect   = "Allow"
      Action   = ["airflow:GetEnvironment"]
      Resource = [local.environment_arn, local.peer_environment_arn]
    },
    {
      Sid      = "SeeOtherFailbacks"
      Effect   = "Allow"
      Action   = ["states:ListExecutions"]
      Resource = lookup(local.machine_arns, "failback", "none")
    },
    {
      Sid      = "StartMachinesOfPeer"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = values(local.peer_machine_arns)
    },
    {
      Sid      = "FollowMachinesOfPeer"
      Effect   = "Allow"
      Action   = ["states:DescribeExecution"]
      Resource = [for arn in values(local.peer_machine_arns) : "${replace(arn, ":stateMachine:", ":execution:")}:*"]
    },
    {
      Sid      = "ListBucketsOfPeer"
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = [try(var.peer_snapshot_bucket.arn, ""), local.peer_dag_bucket_arn]
    },
    {
      Sid      = "ListDagVersionsOfPeer"
      Effect   = "Allow"
      Action   = ["s3:ListBucketVersions"]
      Resource = local.peer_dag_bucket_arn
    },
    {
      Sid      = "ReadSnapshotsAndDagsOfPeer"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = ["${try(var.peer_snapshot_bucket.arn, "")}/snapshots/${var.name}/*", "${local.peer_dag_bucket_arn}/*"]
    },
    {
      Sid       = "KeyOfPeer"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = try(var.peer_snapshot_bucket.key_arn, "")
      Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.peer_region}.${local.dns_suffix}"] } }
    },
    {
      Sid      = "ListSnapshotBucketAndUploads"
      Effect   = "Allow"
      Action   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
      Resource = var.snapshot_bucket.arn
    },
    {
      Sid      = "StoreCopiesOfSnapshots"
      Effect   = "Allow"
      Action   = ["s3:ListMultipartUploadParts", "s3:PutObject"]
      Resource = local.snapshot_objects
    },
    {
      Sid      = "ListDags"
      Effect   = "Allow"
      Action   = ["s3:ListBucket", "s3:ListBucketVersions"]
      Resource = var.dag_bucket.arn
    },
    {
      # The whole bucket: plugins and requirements are where the spec says.
      Sid      = "CarryOverDags"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
      Resource = "${var.dag_bucket.arn}/*"
    },
  ]
}
