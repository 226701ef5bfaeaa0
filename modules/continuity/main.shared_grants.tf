# Statements that the roles of several functions have.

locals {
  read_lease = {
    Sid       = "ReadLease"
    Effect    = "Allow"
    Action    = ["dynamodb:GetItem"]
    Resource  = local.lease_replica_arn
    Condition = local.lease_item
  }
  # The lease is written where its table has its home, and read there by who decides something of it.
  read_lease_at_home = {
    Sid       = "ReadLeaseAtHome"
    Effect    = "Allow"
    Action    = ["dynamodb:GetItem"]
    Resource  = local.lease_table_arn
    Condition = local.lease_item
  }
  lease_home_key = {
    Sid       = "ForwardedLeaseHomeKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = local.lease_key_arn
    Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${local.lease_region}.${local.dns_suffix}"] } }
  }
  publish_metrics = {
    Sid       = "PublishMetrics"
    Effect    = "Allow"
    Action    = ["cloudwatch:PutMetricData"]
    Resource  = "*" # CloudWatch metrics have no ARN; the namespace narrows it
    Condition = local.own_metrics
  }
  get_environment = {
    Sid      = "GetEnvironment"
    Effect   = "Allow"
    Action   = ["airflow:GetEnvironment"]
    Resource = local.environment_arn
  }
  call_rest_api = {
    Sid      = "CallRestApi"
    Effect   = "Allow"
    Action   = ["airflow:InvokeRestApi"]
    Resource = local.rest_api_arn
  }
  hand_over_task_token = {
    Sid      = "HandOverTaskToken"
    Effect   = "Allow"
    Action   = ["s3:PutObject"]
    Resource = local.work_objects
  }
  # On the whole bucket, because without it S3 answers 403 in the place of 404 for an object that is not there.
  list_snapshot_bucket = {
    Sid      = "ListSnapshotBucket"
    Effect   = "Allow"
    Action   = ["s3:ListBucket"]
    Resource = var.snapshot_bucket.arn
  }
  open_snapshot_key = {
    Sid       = "OpenSnapshotKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = var.key_arn
    Condition = local.own_snapshot_data
  }
  lease_table_key = {
    Sid       = "ForwardedLeaseTableKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = var.key_arn
    Condition = local.via_lease_table
  }
  bucket_key = {
    Sid       = "BucketKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = var.key_arn
    Condition = local.via_storage
  }

  see_holder = {
    Sid      = "SeeWhetherHolderStillRuns"
    Effect   = "Allow"
    Action   = ["states:DescribeExecution"]
    Resource = local.activating_execution_arns
  }
  # What a verdict of the heartbeat check rests on.
  watch_statements = [
    local.lease_table_key,
    {
      Sid       = "ReadBeats"
      Effect    = "Allow"
      Action    = ["dynamodb:Query"]
      Resource  = local.lease_replica_arn
      Condition = local.all_beat_items
    },
    {
      Sid      = "GetPrimaryEnvironment"
      Effect   = "Allow"
      Action   = ["airflow:GetEnvironment"]
      Resource = local.primary_environment_arn
    },
    {
      Sid      = "ReadSchedulerHeartbeat"
      Effect   = "Allow"
      Action   = ["cloudwatch:GetMetricStatistics"]
      Resource = "*" # CloudWatch metrics have no ARN
    },
  ]
}
