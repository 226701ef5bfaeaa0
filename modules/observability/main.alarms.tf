# Alarms over the metrics of the functions (namespace MwaaContinuity) and their errors.

locals {
  # CloudWatch looks back a day by periods of minutes, and a week by periods of an hour.
  age_period  = var.snapshot_age_limit_minutes > 1440 ? 3600 : var.snapshot_age_limit_minutes >= 15 ? 300 : 60
  age_periods = max(1, ceil(var.snapshot_age_limit_minutes * 60 / local.age_period))

  alarms = [
    for alarm in concat(
      aws_cloudwatch_metric_alarm.unknown_health,
      [aws_cloudwatch_metric_alarm.snapshot_age],
      aws_cloudwatch_metric_alarm.standby_age,
      values(aws_cloudwatch_metric_alarm.finding),
      values(aws_cloudwatch_metric_alarm.function_errors),
    ) : { name = alarm.alarm_name, arn = alarm.arn }
  ]

  # What was found last, and lasts until it is looked at again: no data changes nothing.
  findings = {
    for finding, alarm in {
      snapshot-portable = {
        wanted      = true
        metric      = "SnapshotPortable"
        bad_below   = null # any value above 0 is bad
        description = "The newest snapshot of ${var.name} in ${local.region} is portable, because tasks could not reach the metadata database: it holds connections, variables, pools, paused flags and the last run of each schedule, but no history, no work in flight, no users and roles. A failover restores a full snapshot that is at most two hours older, else this one. The log of continuity_snapshot says what kept the task from the database."
      }
      preflight = {
        wanted      = var.role == "secondary"
        metric      = "PreflightFailures"
        bad_below   = null
        description = "The last preflight of ${var.name} in ${local.region} had checks that failed: in a failover its environment might not be created, or not start. The last execution of the state machine preflight names them, the log of its function says what each found."
      }
      drill = {
        wanted      = var.role == "secondary"
        metric      = "DrillsFailed"
        bad_below   = null
        description = "The last drill of ${var.name} in ${local.region} failed, or missed what is promised: a failover might, too. Its report in the snapshot bucket, below drills/, says what was found and how long each part took."
      }
      # While the standby is created or updated nothing is published.
      standby = {
        wanted      = var.keeps_standby
        metric      = "StandbyInStep"
        bad_below   = 1
        description = "The standby of ${var.name} in ${local.region} is not in step with its spec, and nothing under way brings it there: a failover would go live in an environment that is unlike the primary's. The last executions of the state machine standby say what differs and why."
      }
    } : finding => alarm if alarm.wanted
  }
}

resource "aws_cloudwatch_metric_alarm" "unknown_health" {
  count = var.role == "secondary" ? 1 : 0

  alarm_name          = "${var.prefix}-unknown-health"
  alarm_description   = "The heartbeat check of ${var.name} has not been able to say whether the primary is healthy for ${var.unknown_periods} minutes${var.verdict_every_minute ? ", or has not run, or could not publish its verdict" : ""}. Nothing fails over while this lasts. Look at the last executions of the state machine heartbeat_check, and at the signals in the log of the function heartbeat_check."
  namespace           = "MwaaContinuity"
  metric_name         = "UnknownHealth"
  dimensions          = { Environment = var.name }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = var.unknown_periods
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  # Where a verdict is due every minute, silence is no better than not knowing. While this Region is active the lease function publishes 0.
  treat_missing_data = var.verdict_every_minute ? "breaching" : "missing"
  alarm_actions      = [local.topic_arn]
  ok_actions         = [local.topic_arn]
  tags               = var.tags
}

resource "aws_cloudwatch_metric_alarm" "snapshot_age" {
  alarm_name          = "${var.prefix}-snapshot-age"
  alarm_description   = "The newest verified snapshot of ${var.name} in ${local.region} is older than ${var.snapshot_age_limit_minutes} minutes: a failover now would lose more than that. Look at the last executions of the state machine snapshot."
  namespace           = "MwaaContinuity"
  metric_name         = "SnapshotAgeSeconds"
  dimensions          = { Environment = var.name }
  statistic           = "Minimum"
  period              = local.age_period
  evaluation_periods  = local.age_periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.snapshot_age_limit_minutes * 60
  # The age is published with every snapshot, so silence means that none was taken. The secondary is silent by nature
  # until it holds the lease, and an environment that is away has none to take.
  treat_missing_data = var.role == "secondary" || var.hibernates ? "notBreaching" : "breaching"
  alarm_actions      = [local.topic_arn]
  ok_actions         = [local.topic_arn]
  tags               = var.tags
}

resource "aws_cloudwatch_metric_alarm" "finding" {
  for_each = local.findings

  alarm_name          = "${var.prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "MwaaContinuity"
  metric_name         = each.value.metric
  dimensions          = { Environment = var.name }
  statistic           = each.value.bad_below == null ? "Maximum" : "Minimum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = each.value.bad_below == null ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = coalesce(each.value.bad_below, 0)
  treat_missing_data  = "ignore"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
  tags                = var.tags
}

moved {
  from = aws_cloudwatch_metric_alarm.snapshot_portable
  to   = aws_cloudwatch_metric_alarm.finding["snapshot-portable"]
}

moved {
  from = aws_cloudwatch_metric_alarm.preflight[0]
  to   = aws_cloudwatch_metric_alarm.finding["preflight"]
}

moved {
  from = aws_cloudwatch_metric_alarm.drill[0]
  to   = aws_cloudwatch_metric_alarm.finding["drill"]
}

moved {
  from = aws_cloudwatch_metric_alarm.standby[0]
  to   = aws_cloudwatch_metric_alarm.finding["standby"]
}

resource "aws_cloudwatch_metric_alarm" "standby_age" {
  count = var.refreshes ? 1 : 0

  alarm_name          = "${var.prefix}-standby-age"
  alarm_description   = "The state in the standby of ${var.name} in ${local.region} is older than ${var.snapshot_age_limit_minutes} minutes, or there is none: a failover would restore the newest snapshot itself, and take longer. Where the newest snapshot is too old as well, mend that first; else the last executions of the state machine refresh say why it was not restored."
  namespace           = "MwaaContinuity"
  metric_name         = "StandbyAgeSeconds"
  dimensions          = { Environment = var.name }
  statistic           = "Minimum"
  period              = local.age_period
  evaluation_periods  = local.age_periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.snapshot_age_limit_minutes * 60
  # Published whenever it is looked whether there is a newer snapshot, 0 while this Region is active: silence means that nobody looks, or
  # that nothing was restored.
  treat_missing_data = "breaching"
  alarm_actions      = [local.topic_arn]
  ok_actions         = [local.topic_arn]
  tags               = var.tags
}

resource "aws_cloudwatch_metric_alarm" "function_errors" {
  for_each = var.function_arns

  alarm_name          = "${var.prefix}-${each.key}-errors"
  alarm_description   = "The function ${each.key} of ${var.name} in ${local.region} has failed in each of the last three periods of five minutes. Its log names the cause."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = element(split(":", each.value), 6) }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  tags                = var.tags
}
