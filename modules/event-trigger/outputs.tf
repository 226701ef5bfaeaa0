output "queue" {
  description = "The trigger queue: ARN and URL. A bucket without EventBridge may notify it directly."
  value       = { arn = aws_sqs_queue.events.arn, url = aws_sqs_queue.events.id }

  depends_on = [aws_sqs_queue_policy.events]
}

output "dead_letter_queue" {
  description = "Where events are that could not be delivered: ARN and URL."
  value       = { arn = aws_sqs_queue.dead_letters.arn, url = aws_sqs_queue.dead_letters.id }
}

output "function_arn" {
  description = "ARN of the function."
  value       = aws_lambda_function.this.arn
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name]
}
