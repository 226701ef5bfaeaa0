# Flow logs of the VPC, where they are asked for.

locals {
  flow_logs = var.flow_logs == null ? {} : { this = var.flow_logs }
}

resource "aws_cloudwatch_log_group" "flow_logs" {
  for_each = local.flow_logs

  name              = "/aws/vpc/${var.prefix}"
  retention_in_days = each.value.retention_days
  kms_key_id        = each.value.kms_key_arn

  tags = var.tags
}

data "aws_iam_policy_document" "flow_logs_trust" {
  for_each = local.flow_logs

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:vpc-flow-log/*"]
    }
  }
}

data "aws_iam_policy_document" "flow_logs" {
  for_each = local.flow_logs

  statement {
    sid       = "WriteFlowLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = [aws_cloudwatch_log_group.flow_logs[each.key].arn, "${aws_cloudwatch_log_group.flow_logs[each.key].arn}:*"]
  }

  statement {
    sid     = "FindLogGroups"
    actions = ["logs:DescribeLogGroups"]
    # This action lists groups: it has no finer resource than the account's groups in a Region.
    resources = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:*"]
  }
}

resource "aws_iam_role" "flow_logs" {
  for_each = local.flow_logs

  name               = "${var.prefix}-flow-logs"
  description        = "Lets VPC flow logs of environment ${var.name} be written to CloudWatch Logs"
  assume_role_policy = data.aws_iam_policy_document.flow_logs_trust[each.key].json

  tags = var.tags
}

resource "aws_iam_role_policy" "flow_logs" {
  for_each = local.flow_logs

  name   = "write-flow-logs"
  role   = aws_iam_role.flow_logs[each.key].name
  policy = data.aws_iam_policy_document.flow_logs[each.key].json
}

resource "aws_flow_log" "this" {
  for_each = local.flow_logs

  vpc_id          = aws_vpc.this.id
  traffic_type    = "ALL"
  log_destination = aws_cloudwatch_log_group.flow_logs[each.key].arn
  iam_role_arn    = aws_iam_role.flow_logs[each.key].arn

  tags = merge(var.tags, { Name = var.prefix })

  depends_on = [aws_iam_role_policy.flow_logs]
}
