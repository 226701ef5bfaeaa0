# The state machine that brings exports into the tables, what it may do, and what starts it.

locals {
  machine_name = "${var.prefix}-lake-merge"
  machine_arn  = "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${local.machine_name}"
  schedules = {
    merge = { expression = var.merge_schedule, tidy = false }
    tidy  = { expression = var.tidy_schedule, tidy = true }
  }

  # In each of them `{}` is for what the machine finds: the day from which exports are read, and the oldest row's.
  statements = [
    for name, table in local.tables : {
      table     = name
      create    = templatefile("${path.module}/sql/create.sql.tftpl", merge(table, { table = name, location = "s3://${local.bucket_name}/${var.key_prefix}tables/${name}/" }))
      since     = templatefile("${path.module}/sql/since.sql.tftpl", { table = name })
      first_day = templatefile("${path.module}/sql/first_day.sql.tftpl", { table = name, dated = table.dated })
      merge     = templatefile("${path.module}/sql/merge.sql.tftpl", merge(table, { table = name }))
    }
  ]

  # What fails for a moment, two merges at a time among it: the second finds the table changed and begins anew.
  retry = [{
    ErrorEquals     = ["States.TaskFailed", "States.Timeout"]
    IntervalSeconds = 10
    MaxAttempts     = 3
    BackoffRate     = 3
    MaxDelaySeconds = 120
    JitterStrategy  = "FULL"
  }]

  glue_arns = concat(
    ["arn:${local.partition}:glue:${local.region}:${local.account_id}:catalog", "arn:${local.partition}:glue:${local.region}:${local.account_id}:database/${local.database_name}"],
    [for table in concat(keys(local.tables), [for name in keys(local.tables) : "exported_${name}"], ["attempt"]) : "arn:${local.partition}:glue:${local.region}:${local.account_id}:table/${local.database_name}/${table}"],
  )
  objects_arn = "${local.bucket_arn}/${var.key_prefix}"

  machine_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "RunStatements"
        Effect   = "Allow"
        Action   = ["athena:GetQueryExecution", "athena:GetQueryResults", "athena:StartQueryExecution", "athena:StopQueryExecution"]
        Resource = "arn:${local.partition}:athena:${local.region}:${local.account_id}:workgroup/${aws_athena_workgroup.this.name}"
      },
      # From here on, what Athena does in the machine's name.
      {
        Sid      = "ForwardedCatalogue"
        Effect   = "Allow"
        Action   = ["glue:CreateTable", "glue:GetDatabase", "glue:GetPartitions", "glue:GetTable", "glue:UpdateTable"]
        Resource = local.glue_arns
      },
      {
        Sid      = "ForwardedExports"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = "${local.objects_arn}exports/*"
      },
      {
        Sid      = "ForwardedTables"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
        Resource = ["${local.objects_arn}tables/*", "${local.objects_arn}results/*"]
      },
      {
        Sid      = "ForwardedBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = local.bucket_arn
      },
      {
        Sid       = "ForwardedBucketKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.key_arn
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.${local.dns_suffix}"] } }
      },
      {
        Sid    = "ForwardedLogDelivery"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
          "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
        ]
        Resource = "*" # log delivery has no resource of its own
      },
    ]
  }
}

resource "aws_iam_role" "machine" {
  name                 = local.machine_name
  description          = "State machine ${local.machine_name}"
  path                 = var.machine_roles.path
  permissions_boundary = var.machine_roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.machine_arn }
      }
    }]
  })
}

resource "aws_iam_role_policy" "machine" {
  name   = "merge"
  role   = aws_iam_role.machine.id
  policy = jsonencode(local.machine_policy)
}

resource "aws_cloudwatch_log_group" "machine" {
  # Log groups below /aws/vendedlogs/ need no entry each in the account's log resource policy, whose size is limited.
  name              = "/aws/vendedlogs/states/${local.machine_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key_arn
  tags              = var.tags
}

resource "aws_sfn_state_machine" "merge" {
  #checkov:skip=CKV_AWS_284:traces would want a grant on every resource; executions are told by their histories and an alarm
  name     = local.machine_name
  role_arn = aws_iam_role.machine.arn
  tags     = var.tags

  definition = templatefile("${path.module}/merge.asl.json", {
    partition  = local.partition
    database   = aws_glue_catalog_database.this.name
    workgroup  = aws_athena_workgroup.this.name
    statements = jsonencode(local.statements)
    view       = jsonencode(file("${path.module}/sql/attempt.sql"))
    retry      = jsonencode(local.retry)
  })

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.machine.arn}:*"
  }

  depends_on = [aws_iam_role_policy.machine, aws_glue_catalog_table.exported]
}

resource "aws_iam_role" "schedule" {
  name                 = "${local.machine_name}-schedule"
  description          = "Schedules of the state machine ${local.machine_name}"
  path                 = var.machine_roles.path
  permissions_boundary = var.machine_roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.account_id
          "aws:SourceArn"     = "arn:${local.partition}:scheduler:${local.region}:${local.account_id}:schedule-group/default"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  name = "merge"
  role = aws_iam_role.schedule.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "StartStateMachine"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = local.machine_arn
    }]
  })
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:what it holds is a machine's ARN and a flag
  for_each = local.schedules

  name                = "${var.prefix}-lake-${each.key}"
  description         = "Starts the state machine ${local.machine_name}"
  schedule_expression = each.value.expression

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.merge.arn
    role_arn = aws_iam_role.schedule.arn
    input    = jsonencode({ tidy = each.value.tidy })

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 3
    }
  }

  depends_on = [aws_iam_role_policy.schedule]
}

resource "aws_cloudwatch_metric_alarm" "merge" {
  alarm_name          = "${var.prefix}-lake-merge"
  alarm_description   = "Exports were not brought into the tables of ${local.database_name}: an execution of ${local.machine_name} failed. Its cause says why. Nothing is lost: the next one goes on from the last that succeeded."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsFailed"
  dimensions          = { StateMachineArn = aws_sfn_state_machine.merge.arn }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]
  ok_actions          = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]
  tags                = var.tags
}
