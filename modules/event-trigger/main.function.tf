# The function, what it may do, and the table in which it keeps what was delivered.

locals {
  owns_ledger     = var.ledger_table == null
  ledger_name     = local.owns_ledger ? "${var.prefix}-events" : var.ledger_table.name
  ledger_arn      = "arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/${local.ledger_name}"
  environment_arn = "arn:${local.partition}:airflow:${local.region}:${local.account_id}:environment/${var.name}"
  state_keys      = { lease = ["lease"], hibernation = ["hibernation#${local.region}"], environment = [] }[var.known_by]

  package_path = "${path.module}/../../functions/package.zip"
  network_arns = "arn:${local.partition}:ec2:${local.region}:${local.account_id}"

  statements = concat(
    [
      {
        # Made by Lambda for the event source mapping.
        Sid      = "TakeMessages"
        Effect   = "Allow"
        Action   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        Resource = local.queue_arns["events"]
      },
      {
        Sid      = "PutBackAndRenewMessages"
        Effect   = "Allow"
        Action   = ["sqs:ChangeMessageVisibility", "sqs:SendMessage"]
        Resource = local.queue_arns["events"]
      },
      {
        Sid      = "RefuseBadEvents"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = local.queue_arns["events-dead-letters"]
      },
      {
        Sid       = "KeepWhatWasDelivered"
        Effect    = "Allow"
        Action    = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource  = local.ledger_arn
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["event#*"] } }
      },
      {
        Sid       = "ForwardedTableKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = var.key_arn
        Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${local.region}.${local.dns_suffix}"] } }
      },
      {
        Sid      = "GetEnvironment"
        Effect   = "Allow"
        Action   = ["airflow:GetEnvironment"]
        Resource = local.environment_arn
      },
      {
        # User may create dataset events and DAG runs, and cannot see or change secrets and users.
        Sid      = "CallRestApi"
        Effect   = "Allow"
        Action   = ["airflow:InvokeRestApi"]
        Resource = "arn:${local.partition}:airflow:${local.region}:${local.account_id}:role/${var.name}/User"
      },
      {
        Sid       = "PublishMetrics"
        Effect    = "Allow"
        Action    = ["cloudwatch:PutMetricData"]
        Resource  = "*" # CloudWatch metrics have no ARN; the namespace narrows it
        Condition = { StringEquals = { "cloudwatch:namespace" = "MwaaContinuity" } }
      },
      {
        Sid      = "ForwardedLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/aws/lambda/${local.function_name}:*"
      },
    ],
    [for keys in [local.state_keys] : {
      Sid       = "SeeWhetherItRuns"
      Effect    = "Allow"
      Action    = ["dynamodb:GetItem"]
      Resource  = local.ledger_arn
      Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = keys } }
    } if length(keys) > 0],
    [for arn in [var.resume_machine_arn] : {
      Sid      = "WakeEnvironment"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = arn
    } if arn != null],
    [for statement in local.vpc_statements : statement if var.network != null],
  )

  vpc_statements = [
    {
      Sid    = "ForwardedNetworkInterfaces"
      Effect = "Allow"
      Action = ["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:UnassignPrivateIpAddresses"]
      Resource = concat(
        ["${local.network_arns}:network-interface/*", "${local.network_arns}:security-group/*"],
        [for subnet in try(var.network.subnet_ids, []) : "${local.network_arns}:subnet/${subnet}"],
      )
    },
    {
      Sid      = "ForwardedNetworkInterfaceRemoval"
      Effect   = "Allow"
      Action   = ["ec2:DeleteNetworkInterface"]
      Resource = "${local.network_arns}:*/*" # Lambda refuses the role when this names a resource type
    },
    {
      Sid      = "ForwardedNetworkInterfaceLookup"
      Effect   = "Allow"
      Action   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
      Resource = "*" # EC2 describes everything or nothing
    },
  ]
}

resource "aws_iam_role" "function" {
  name                 = "${local.function_name}-function"
  description          = "Function ${local.function_name}"
  path                 = var.function_roles.path
  permissions_boundary = var.function_roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  name = "event_trigger"
  role = aws_iam_role.function.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.statements
  })
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key_arn
  tags              = var.tags
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:traces would want a grant on every resource; each log line carries the request's id instead
  #checkov:skip=CKV_AWS_115:the event source mapping bounds it (maximum_concurrency)
  #checkov:skip=CKV_AWS_116:it is called for its queue, which has one
  #checkov:skip=CKV_AWS_173:variables hold names and ARNs, no secrets; AWS encrypts them by its own key
  #checkov:skip=CKV_AWS_272:the package is committed and compared with its sources byte by byte; a signing profile would be the caller's
  function_name     = local.function_name
  description       = "Delivers events to the environment ${var.name} in ${local.region}."
  role              = aws_iam_role.function.arn
  runtime           = "python3.12"
  handler           = "mwaa_continuity.event_trigger.handler"
  timeout           = 120
  memory_size       = 256
  filename          = var.function_package == null ? local.package_path : null
  source_code_hash  = var.function_package == null ? filebase64sha256(local.package_path) : null
  s3_bucket         = try(var.function_package.bucket, null)
  s3_key            = try(var.function_package.key, null)
  s3_object_version = try(var.function_package.version, null)
  tags              = var.tags

  environment {
    variables = merge(
      {
        ENVIRONMENT_NAME  = var.name
        RULES             = local.rules_json
        QUEUE_URL         = aws_sqs_queue.events.id
        DEAD_LETTER_URL   = aws_sqs_queue.dead_letters.id
        LEDGER_TABLE      = local.ledger_name
        KNOWN_BY          = var.known_by
        PACE_MILLISECONDS = tostring(ceil(1000 * var.max_concurrency / var.calls_per_second))
        LOG_LEVEL         = "INFO"
      },
      var.known_by == "environment" ? {} : { LEASE_TABLE = local.ledger_name },
      var.resume_machine_arn == null ? {} : { RESUME_ARN = var.resume_machine_arn },
    )
  }

  dynamic "vpc_config" {
    for_each = var.network == null ? [] : [var.network]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.rules_json) <= 3000
      error_message = "`rules` take ${length(local.rules_json)} of the 3000 characters that a function's variables have room for: use fewer or shorter ones."
    }
  }

  # The log group first, or the first invocation makes one without retention and key; the grants first, or Lambda
  # cannot make the network interfaces.
  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function]
}

resource "aws_lambda_event_source_mapping" "this" {
  event_source_arn        = aws_sqs_queue.events.arn
  function_name           = aws_lambda_function.this.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  # With the pace of each invocation this is what bounds the rate of calls.
  scaling_config {
    maximum_concurrency = var.max_concurrency
  }
}

resource "aws_dynamodb_table" "ledger" {
  count = local.owns_ledger ? 1 : 0

  name         = local.ledger_name
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"
  tags         = var.tags

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.key_arn
  }
}
