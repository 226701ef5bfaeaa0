output "spec" {
  description = "The spec: the whole CreateEnvironment document, as an object. It does not depend on a live environment."
  value       = local.spec

  depends_on = [
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy.additional,
    aws_iam_role_policy.mwaa,
    aws_vpc_security_group_egress_rule.this,
    aws_vpc_security_group_ingress_rule.self,
    terraform_data.ownership,
    terraform_data.preflight,
  ]
}

output "binding" {
  description = "What of the spec belongs to this Region, in the same shape. Laid over another Region's spec, it makes that one materialise here; its AirflowConfigurationOptions replace single options, every other member as a whole."
  value       = local.binding
}

output "environment_arn" {
  description = "ARN of the environment, whether it exists or not."
  value       = local.environment_arn
}

output "execution_role_arn" {
  description = "ARN of the role DAGs run with."
  value       = local.execution_role_arn

  depends_on = [aws_iam_role.execution]
}

output "execution_role_name" {
  description = "Name of the role this module created, to attach policies to; null for a role of the caller's own."
  value       = local.create_role ? local.execution_role_name : null

  depends_on = [aws_iam_role.execution]
}

output "execution_role_policy_json" {
  description = "What MWAA needs of the execution role, for a role of the caller's own. The metadata DAGs need more: see `modules/continuity`."
  value       = data.aws_iam_policy_document.mwaa.json
}

output "security_group_ids" {
  description = "Ids of the security groups of the environment."
  value       = local.security_group_ids
}

output "log_group_names" {
  description = "Names of the five log groups, by component."
  value       = { for component, group in aws_cloudwatch_log_group.this : component => group.name }
}
