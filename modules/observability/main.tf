# Who is told what: a topic, a notice for every failed state machine and every completed failover, and alarms for what
# no single execution can know.

data "aws_partition" "this" {}

data "aws_region" "this" {}

data "aws_caller_identity" "this" {}

locals {
  partition  = data.aws_partition.this.partition
  region     = data.aws_region.this.id
  account_id = data.aws_caller_identity.this.account_id

  owns_topic = coalesce(var.notifications.create, var.notifications.topic_arn == null)
  topic_name = "${var.prefix}-notices"
  # By way of its policy: nothing can be published before that.
  topic_arn = local.owns_topic ? aws_sns_topic_policy.this[0].arn : var.notifications.topic_arn
}

resource "aws_sns_topic" "this" {
  count = local.owns_topic ? 1 : 0

  name              = local.topic_name
  display_name      = "MWAA ${var.name}"
  kms_master_key_id = var.key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "this" {
  count = local.owns_topic ? 1 : 0

  arn = aws_sns_topic.this[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "NoticesOfStateMachines"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[0].arn
        Condition = { ArnEquals = { "aws:SourceArn" = values(local.rule_arns) } }
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[0].arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
          ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:${var.prefix}-*" }
        }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[0].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.notifications.emails)

  topic_arn = local.topic_arn
  protocol  = "email"
  endpoint  = each.value
}
