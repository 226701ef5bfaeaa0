# Putting the environment away and bringing it back: what only a standalone with `hibernation` has.

locals {
  hibernates    = var.hibernation != null
  url_parameter = "/${var.prefix}/webserver-url"

  # How often a machine asks before its window is over: once at the start, then every `retry_seconds`.
  retry_seconds = try(var.hibernation.retry_seconds, 60)
  window_asks   = floor(try(var.hibernation.window_minutes, 0) * 60 / local.retry_seconds) + 1
  # EventBridge Scheduler takes a minute to a day.
  window_seconds = max(60, min(86400, try(var.hibernation.window_minutes, 0) * 60))

  hibernation_variables = {
    again_seconds     = local.retry_seconds
    window_minutes    = try(var.hibernation.window_minutes, 0)
    window_asks       = local.window_asks
    drain_minutes     = try(var.hibernation.drain_minutes, var.failback.drain_minutes)
    when_late         = try(var.hibernation.when_late, var.failback.when_late)
    accept_portable   = try(var.hibernation.accept_portable, false)
    snapshot_attempts = 5
    smoke_dag_id      = try(var.hibernation.smoke.dag_id, "")
    smoke_minutes     = try(var.hibernation.smoke.timeout_minutes, 1)
  }

  hibernation_item           = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["hibernation#${local.region}"] } }
  hibernation_execution_arns = [for machine in ["hibernate", "resume"] : "arn:${local.partition}:states:${local.region}:${local.account_id}:execution:${var.prefix}-${machine}:*"]

  hibernation_statements = [
    local.get_environment,
    local.publish_metrics,
    local.lease_table_key,
    {
      Sid       = "KeepState"
      Effect    = "Allow"
      Action    = ["dynamodb:GetItem", "dynamodb:PutItem"]
      Resource  = local.lease_replica_arn
      Condition = local.hibernation_item
    },
    {
      Sid      = "SeeWhetherAnotherStillRuns"
      Effect   = "Allow"
      Action   = ["states:DescribeExecution"]
      Resource = local.hibernation_execution_arns
    },
  ]

  # What `recreate` may do beyond creating the environment: take away what a snapshot was proved to hold.
  removal_statements = [
    local.open_snapshot_key,
    {
      Sid    = "ReadWhatSnapshotsAre"
      Effect = "Allow"
      Action = ["s3:GetObject"]
      Resource = [
        "${var.snapshot_bucket.arn}/snapshots/${var.name}/*/manifest.json",
        "${var.snapshot_bucket.arn}/snapshots/${var.name}/*/verification.json",
      ]
    },
    {
      Sid      = "RemoveEnvironment"
      Effect   = "Allow"
      Action   = ["airflow:DeleteEnvironment"]
      Resource = local.environment_arn
    },
  ]
  publish_address = {
    Sid      = "PublishAddress"
    Effect   = "Allow"
    Action   = ["ssm:PutParameter"]
    Resource = "arn:${local.partition}:ssm:${local.region}:${local.account_id}:parameter${local.url_parameter}"
  }
}

# An environment that was away comes back with another address: who needs it asks here.
resource "aws_ssm_parameter" "webserver_url" {
  #checkov:skip=CKV2_AWS_34:an address is no secret, and who looks it up needs no key for that
  count = local.hibernates ? 1 : 0

  name           = local.url_parameter
  description    = "Address of the web server of the MWAA environment ${var.name}, written by each resume"
  type           = "String"
  insecure_value = "unknown until the first resume"
  tags           = var.tags

  lifecycle {
    # From here on it belongs to the state machine resume, not to Terraform.
    ignore_changes = [insecure_value, value]
  }
}
