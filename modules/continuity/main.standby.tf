# Keeping an environment in the secondary before it is needed: what only a standby has, warm or hot.

locals {
  keeps_standby = var.role == "secondary" && contains(["warm_standby", "hot_standby"], coalesce(var.strategy, "none"))
  refreshes     = local.keeps_standby && var.strategy == "hot_standby"

  # What `recreate` may do beyond creating the environment.
  standby_statements = [
    local.publish_metrics,
    {
      Sid      = "UpdateStandby"
      Effect   = "Allow"
      Action   = ["airflow:UpdateEnvironment"]
      Resource = local.environment_arn
    },
    {
      Sid      = "RememberApplied"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = "${var.snapshot_bucket.arn}/spec/${var.name}/applied.${local.region}.json"
    },
  ]

  # What `restore` may do beyond starting restores, where it restores ahead.
  refresh_statements = [
    local.publish_metrics,
    local.read_lease,
    local.lease_table_key,
    {
      Sid      = "SeeWhatElseUsesTheStandby"
      Effect   = "Allow"
      Action   = ["states:ListExecutions"]
      Resource = [lookup(local.machine_arns, "drill", "none"), lookup(local.machine_arns, "refresh", "none")]
    },
    {
      Sid      = "ReadWhatWasRefreshed"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = "${var.snapshot_bucket.arn}/spec/${var.name}/refreshed.${local.region}.json"
    },
  ]

  # What is looked at as soon as it changes, beside the schedule: a spec, or what lies over the file that hides user DAGs.
  standby_events = {
    for name, event in {
      spec = {
        machine = "standby"
        bucket  = var.snapshot_bucket.name
        kinds   = ["Object Created"]
        keys = [
          "spec/${var.name}/binding.${local.region}.json",
          "spec/${var.name}/observed.${local.primary_region}.json",
          "spec/${var.name}/published.${local.primary_region}.json",
        ]
      }
      hidden = {
        machine = "standby"
        bucket  = var.dag_bucket.name
        kinds   = ["Object Created", "Object Deleted"]
        keys    = ["${local.dag_folder}/.airflowignore"]
      }
      # A snapshot counts when it was read back.
      snapshot = {
        machine = "refresh"
        bucket  = var.snapshot_bucket.name
        kinds   = ["Object Created"]
        keys    = [{ wildcard = "snapshots/${var.name}/*/verification.json" }]
      }
    } : name => event if contains(local.machines, event.machine)
  }
}

resource "aws_cloudwatch_event_rule" "standby" {
  for_each = local.standby_events

  name        = "${local.machine_names["standby"]}-${each.key}"
  description = "Starts the state machine ${local.machine_names[each.value.machine]} when an object changes that it looks at"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = each.value.kinds
    detail      = { bucket = { name = [each.value.bucket] }, object = { key = each.value.keys } }
  })
}

resource "aws_cloudwatch_event_target" "standby" {
  for_each = local.standby_events

  rule      = aws_cloudwatch_event_rule.standby[each.key].name
  target_id = each.value.machine
  arn       = aws_sfn_state_machine.this[each.value.machine].arn
  role_arn  = aws_iam_role.standby_events[0].arn
  input     = jsonencode({})

  depends_on = [aws_iam_role_policy.standby_events]
}

resource "aws_iam_role" "standby_events" {
  count = local.keeps_standby ? 1 : 0

  name                 = "${local.machine_names["standby"]}-events"
  description          = "Rules that start what keeps the standby of ${var.name} in ${local.region}"
  path                 = var.function_roles.path
  permissions_boundary = var.function_roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "events.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${local.machine_names["standby"]}-*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "standby_events" {
  count = local.keeps_standby ? 1 : 0

  name = "standby"
  role = aws_iam_role.standby_events[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "StartStateMachine"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = [for machine in distinct(values(local.standby_events)[*].machine) : local.machine_arns[machine]]
    }]
  })
}
