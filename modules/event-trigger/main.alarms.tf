# Who is told that events do not arrive.

locals {
  alarm_actions = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${var.prefix}-events-dead-letters"
  alarm_description   = "Events of ${var.name} in ${local.region} could not be delivered and lie in the queue ${local.queue_name}-dead-letters. Each message says why in its attributes reason and why. Mend that, then send them back: docs/runbooks/events.md."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}

# The function's own metric: SQS leaves what was received three times out of the age that it tells.
resource "aws_cloudwatch_metric_alarm" "waiting" {
  alarm_name          = "${var.prefix}-events-waiting"
  alarm_description   = "An event of ${var.name} in ${local.region} has waited for longer than ${var.max_age_minutes} minutes, though nothing puts the environment to sleep: it is not available, or does not answer. The log of the function event_trigger says why. Nothing is lost: events stay in the queue until they are delivered."
  namespace           = "MwaaContinuity"
  metric_name         = "EventWaitSeconds"
  dimensions          = { Environment = var.name }
  statistic           = "Maximum"
  period              = 900 # what waits is looked at that often
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.max_age_minutes * 60
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}

# What nobody takes out of the queue at all: the function does not run.
resource "aws_cloudwatch_metric_alarm" "age" {
  count = var.known_by == "lease" ? 0 : 1 # where another Region delivers, events wait by nature

  alarm_name          = "${var.prefix}-events-age"
  alarm_description   = "The oldest event in the queue ${local.queue_name} is older than ${max(var.max_age_minutes, 60)} minutes and has hardly been looked at: more events come than are delivered, or the function event_trigger does not run. Its log and its event source mapping say which."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.events.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = max(var.max_age_minutes, 60) * 60
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${var.prefix}-event_trigger-errors"
  alarm_description   = "The function event_trigger of ${var.name} in ${local.region} has failed in each of the last three periods of five minutes. Its log names the cause. Nothing is lost: what it did not deliver stays in the queue."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = local.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  tags                = var.tags
}
