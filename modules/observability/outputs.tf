output "topic_arn" {
  description = "ARN of the topic that notices and alarms go to."
  value       = local.topic_arn
}

output "alarm_names" {
  description = "Names of the alarms."
  value = concat(
    aws_cloudwatch_metric_alarm.unknown_health[*].alarm_name,
    [aws_cloudwatch_metric_alarm.snapshot_age.alarm_name],
    aws_cloudwatch_metric_alarm.preflight[*].alarm_name,
    [for alarm in aws_cloudwatch_metric_alarm.function_errors : alarm.alarm_name],
  )
}
