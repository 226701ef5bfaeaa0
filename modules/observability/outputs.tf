output "topic_arn" {
  description = "ARN of the topic that notices and alarms go to."
  value       = local.topic_arn
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = local.alarms[*].name
}

output "dashboard_name" {
  description = "Name of the dashboard; null where there is none."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}
