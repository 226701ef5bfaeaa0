# Events -> rules of EventBridge -> queue -> function -> dataset events and DAG runs. One Region; the environment may be
# anybody's, and need not be there yet.

data "aws_partition" "this" {}

data "aws_region" "this" {}

data "aws_caller_identity" "this" {}

locals {
  partition  = data.aws_partition.this.partition
  dns_suffix = data.aws_partition.this.dns_suffix
  region     = data.aws_region.this.id
  account_id = data.aws_caller_identity.this.account_id

  function_name = "${var.prefix}-event_trigger"
  queue_name    = "${var.prefix}-events"
  queue_arns = {
    for queue in ["events", "events-dead-letters"] : queue => "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${var.prefix}-${queue}"
  }
  rules = { for rule in var.rules : rule.name => rule }

  # What EventBridge looks for: new objects by bucket, prefix and suffix, or whatever pattern the caller gives.
  patterns = {
    for name, rule in local.rules : name => rule.pattern != null ? rule.pattern : jsonencode({
      source      = ["aws.s3"]
      detail-type = ["Object Created"]
      detail = merge(
        { bucket = { name = rule.buckets } },
        { for field, pattern in { object = "${rule.prefix}*${rule.suffix}" } : field => { key = [{ wildcard = pattern }] } if pattern != "*" },
      )
    })
  }
  rule_names = { for name in keys(local.rules) : name => "${var.prefix}-event-${name}" }
  rule_arns  = { for name, rule in local.rule_names : name => "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${rule}" }
  buckets    = distinct(flatten([for rule in var.rules : rule.buckets]))

  # What the function reads. Lambda takes 4 KB of variables in all.
  rules_json = jsonencode([for rule in var.rules : { for field, value in {
    name    = rule.name
    buckets = rule.buckets
    prefix  = rule.prefix
    suffix  = rule.suffix
    dataset = rule.dataset
    dag_id  = rule.dag_id
  } : field => value if value != null && value != "" && try(length(value) > 0, true) }])
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name          = local.rule_names[each.key]
  description   = "Events for ${each.value.dag_id == null ? "dataset ${each.value.dataset}" : "DAG ${each.value.dag_id}"} of ${var.name}"
  event_pattern = local.patterns[each.key]
  tags          = var.tags
}

# The message names the rule: two that take the same event each send their own.
resource "aws_cloudwatch_event_target" "this" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "queue"
  arn       = aws_sqs_queue.events.arn

  input_transformer {
    # Written out, because jsonencode would escape the angle brackets that EventBridge looks for.
    input_template = "{\"rule\":\"${each.key}\",\"event\":<aws.events.event.json>}"
  }

  # The function last: the first events of a new rule must find one that knows the rule.
  depends_on = [aws_sqs_queue_policy.events, aws_lambda_function.this]
}

resource "aws_sqs_queue" "events" {
  name                       = local.queue_name
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 720 # six times the function's timeout, as AWS advises
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  tags                       = var.tags

  # The function itself sends bad events to the dead-letter queue, with the reason. By count only what it cannot even
  # answer for gets there: waiting for an environment that is away must not.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 1000
  })
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${local.queue_name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.queue_arns["events"]]
  })
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "EventsByRule"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arns["events"]
        Condition = { ArnEquals = { "aws:SourceArn" = values(local.rule_arns) } }
      }],
      [for arns in [[for bucket in local.buckets : "arn:${local.partition}:s3:::${bucket}"]] : {
        Sid       = "NotificationsOfBuckets"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arns["events"]
        Condition = {
          ArnEquals    = { "aws:SourceArn" = arns }
          StringEquals = { "aws:SourceAccount" = local.account_id }
        }
      } if length(arns) > 0],
      [for arns in [var.topic_arns] : {
        Sid       = "NotificationsByTopic"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arns["events"]
        Condition = { ArnEquals = { "aws:SourceArn" = arns } }
      } if length(arns) > 0],
      [local.tls_only["events"]],
    )
  })
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.tls_only["events-dead-letters"]]
  })
}

locals {
  tls_only = {
    for queue, arn in local.queue_arns : queue => {
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
  }
}
