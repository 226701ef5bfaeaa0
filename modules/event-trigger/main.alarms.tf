# Who is told that events do not arrive.

locals {
  alarm_actions = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]

  # What is above its threshold for so many periods alarms.
  alarms = {
    for name, alarm in {
      events-dead-letters = {
        wanted      = true
        description = "Events of ${var.name} in ${local.region} could not be delivered and lie in the queue ${local.queue_name}-dead-letters. Each message says why in its attributes reason and why. Mend that, then send them back: docs/runbooks/events.md."
        metric      = ["AWS/SQS", "ApproximateNumberOfMessagesVisible"]
        dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }
        statistic   = "Maximum"
        period      = 60
        periods     = 1
        threshold   = 0
      }
      # The function's own metric: SQS leaves what was received three times out of the age that it tells.
      events-waiting = {
        wanted      = true
        description = "An event of ${var.name} in ${local.region} has waited for longer than ${var.max_age_minutes} minutes, though nothing puts the environment to sleep: it is not available, or does not answer. The log of the function event_trigger says why. Nothing is lost: events stay in the queue until they are delivered."
        metric      = ["MwaaContinuity", "EventWaitSeconds"]
        dimensions  = { Environment = var.name }
        statistic   = "Maximum"
        period      = 900 # what waits is looked at that often
        periods     = 1
        threshold   = var.max_age_minutes * 60
      }
      # What nobody takes out of the queue at all: the function does not run.
      events-age = {
        wanted      = var.known_by != "lease" # where another Region delivers, events wait by nature
        description = "The oldest event in the queue ${local.queue_name} is older than ${max(var.max_age_minutes, 60)} minutes and has hardly been looked at: more events come than are delivered, or the function event_trigger does not run. Its log and its event source mapping say which."
        metric      = ["AWS/SQS", "ApproximateAgeOfOldestMessage"]
        dimensions  = { QueueName = aws_sqs_queue.events.name }
        statistic   = "Maximum"
        period      = 300
        periods     = 3
        threshold   = max(var.max_age_minutes, 60) * 60
      }
      event_trigger-errors = {
        wanted      = true
        description = "The function event_trigger of ${var.name} in ${local.region} has failed in each of the last three periods of five minutes. Its log names the cause. Nothing is lost: what it did not deliver stays in the queue."
        metric      = ["AWS/Lambda", "Errors"]
        dimensions  = { FunctionName = local.function_name }
        statistic   = "Sum"
        period      = 300
        periods     = 3
        threshold   = 0
      }
    } : name => alarm if alarm.wanted
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.metric[0]
  metric_name         = each.value.metric[1]
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}
