# What the environment itself needs: the metadata DAGs with their settings, and the grants of the execution role.

locals {
  dag_source = "${path.module}/../../dags"
  dag_files  = fileset(local.dag_source, "**/{*.py,lake_tables.json,.airflowignore}")

  settings = {
    environment         = var.name
    region              = local.region
    snapshot_bucket     = var.snapshot_bucket.name
    kms_key             = var.key_arn
    lease_table         = local.lease_table_name
    dag_prefix          = "${local.dag_folder}/"
    base_interval_hours = var.snapshot.base_interval_hours
    tables              = var.snapshot.tables
    local_variables     = var.snapshot.local_variables
    local_connections   = var.snapshot.local_connections
    in_flight           = var.failover.in_flight
    prune               = var.prune
    history_days        = var.failover.history_days
    catchup_after_sleep = try(var.hibernation.catchup_after_sleep, "all")

    # Only a primary has a table that may fall behind: the others are asked where the table is at home.
    on_lease_unreachable = var.role == "primary" ? var.failover.on_lease_unreachable : "keep"
    lease_stale_minutes  = var.failover.lease_stale_minutes

    lake = var.metadata_lake == null ? null : { for name, value in var.metadata_lake : name => value if name != "key_arn" }
  }

  # One environment's part of a lake, which may be in another Region.
  lake_arn = "arn:${local.partition}:s3:::${try(var.metadata_lake.bucket, "")}"
  lake_statements = [for statement in [
    {
      Sid      = "ContinuityLakeExports"
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
      Resource = "${local.lake_arn}/${try(var.metadata_lake.prefix, "")}exports/*/environment=${var.name}/*"
    },
    {
      Sid      = "ContinuityLakeMark"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = "${local.lake_arn}/${try(var.metadata_lake.prefix, "")}marks/${var.name}.json"
    },
    {
      # Listing is what makes S3 answer 404, not 403, before the first export.
      Sid      = "ContinuityLakeBucket"
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = local.lake_arn
    },
    {
      Sid       = "ContinuityLakeKey"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = try(var.metadata_lake.key_arn, "")
      Condition = { StringEquals = { "kms:ViaService" = ["s3.${try(var.metadata_lake.region, "")}.${local.dns_suffix}"] } }
    },
  ] : statement if var.metadata_lake != null]

  dag_policy_json = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ContinuitySnapshots"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = local.snapshot_objects
      },
      {
        # Listing is what makes S3 answer 404, not 403, for an object that is not there; uploads of a killed snapshot are listed to be ended.
        Sid      = "ContinuitySnapshotBucket"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = var.snapshot_bucket.arn
      },
      {
        Sid      = "ContinuityTaskTokens"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject"]
        Resource = local.work_objects
      },
      {
        Sid       = "ContinuitySnapshotKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.key_arn
        Condition = local.own_snapshot_data
      },
      {
        Sid       = "ContinuityBucketKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.key_arn
        Condition = local.via_storage
      },
      {
        Sid       = "ForwardedContinuityLeaseTableKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = var.key_arn
        Condition = local.via_lease_table
      },
      {
        Sid      = "ContinuityAnswers"
        Effect   = "Allow"
        Action   = ["states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"]
        Resource = "*" # answering a task token has no resource: the token itself is the permission
      },
      {
        Sid       = "ContinuityBeat"
        Effect    = "Allow"
        Action    = ["dynamodb:PutItem"]
        Resource  = local.lease_replica_arn
        Condition = local.own_beat_items
      },
      {
        Sid       = "ContinuityGuard"
        Effect    = "Allow"
        Action    = ["dynamodb:GetItem"]
        Resource  = local.lease_replica_arn
        Condition = local.lease_item
      },
      {
        Sid      = "ContinuityWithoutDatabase"
        Effect   = "Allow"
        Action   = ["airflow:InvokeRestApi"]
        Resource = local.task_rest_api_arn
      },
    ], local.lake_statements)
  })
}

resource "aws_iam_role_policy" "execution_role" {
  count = var.execution_role.name == null ? 0 : 1

  name   = "continuity"
  role   = var.execution_role.name
  policy = local.dag_policy_json
}

# The DAG bucket of the primary is replicated onto that of the secondary: what both write must be equal, tags too.
resource "aws_s3_object" "dag" {
  for_each = local.dag_files

  bucket       = var.dag_bucket.name
  key          = "${local.dag_folder}/${each.value}"
  source       = "${local.dag_source}/${each.value}"
  source_hash  = filemd5("${local.dag_source}/${each.value}")
  content_type = endswith(each.value, ".json") ? "application/json" : "text/x-python"

  override_provider {
    default_tags {
      tags = {}
    }
  }
}

resource "aws_s3_object" "settings" {
  bucket       = var.dag_bucket.name
  key          = "${local.dag_folder}/continuity/settings.${local.region}.json"
  content      = jsonencode(local.settings)
  content_type = "application/json"

  override_provider {
    default_tags {
      tags = {}
    }
  }
}
