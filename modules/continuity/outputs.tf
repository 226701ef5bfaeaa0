output "state_machine_arns" {
  description = "Machine name to ARN of the state machine."
  value       = { for machine, resource in aws_sfn_state_machine.this : machine => resource.arn }
}

output "function_arns" {
  description = "Function name to ARN of the Lambda function."
  value       = { for function, resource in aws_lambda_function.this : function => resource.arn }
}

output "functions_security_group_id" {
  description = "Id of the security group of the functions that call a private web server; null where the web server is public."
  value       = one(aws_security_group.functions[*].id)
}

output "lease_table" {
  description = "The lease table as it is reached from this Region: name and ARN of its home (the secondary's table)."
  value       = { name = local.lease_table_name, arn = local.lease_table_arn }

  depends_on = [aws_cloudformation_stack.lease, aws_dynamodb_table_replica.lease]
}

output "detection_seconds" {
  description = "How long it takes until the loss of the primary is noticed, to within one period of `heartbeat.schedule`; null where that is a cron expression, the detector is the caller's own, or this Region is no secondary."
  value       = local.detection_seconds
}

output "fence_seconds" {
  description = "How long after this Region's replica of the lease shows another holder tasks may still start here; null in a standalone."
  value       = local.fence_seconds
}

output "webserver_url_parameter" {
  description = "Name of the SSM parameter with the address of the web server; null without hibernation."
  value       = one(aws_ssm_parameter.webserver_url[*].name)
}

output "dag_policy_json" {
  description = "What an execution role needs for the metadata DAGs, as a policy document. Attached already where the module was told the role's name."
  value       = local.dag_policy_json
}

output "code_sha256" {
  description = "SHA-256 (base64) of the functions' package as AWS shows it for each function; null when the package comes from a bucket of the caller's own."
  value       = local.code_sha256
}

output "log_group_names" {
  description = "Log groups of the functions and state machines."
  value = concat(
    [for group in aws_cloudwatch_log_group.function : group.name],
    [for group in aws_cloudwatch_log_group.machine : group.name],
  )
}

output "published_spec" {
  description = "The spec as it is published in the snapshot bucket: JSON, sensitive where the caller passed it so."
  value       = aws_s3_object.spec["published"].content
}
