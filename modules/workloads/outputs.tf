output "containers" {
  description = "What a DAG needs to run each container: `cluster`, `task_definition`, `container`, `subnets`, `security_groups`, `log_group` and `log_stream_prefix`."
  value       = local.runs

  depends_on = [aws_ecs_task_definition.this, aws_ecs_cluster_capacity_providers.this, aws_vpc_security_group_egress_rule.containers]
}

output "repositories" {
  description = "URLs of the repositories that images are pushed to, by container."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}

output "airflow_configuration_options" {
  description = "Airflow options that `access` needs."
  value       = module.access.airflow_configuration_options
}

output "regional_airflow_configuration_options" {
  description = "Airflow options by which DAGs know the containers of this Region: `workloads.<container>`, which a DAG reads as AIRFLOW__WORKLOADS__<CONTAINER>."
  value       = { for name, run in local.runs : "workloads.${name}" => jsonencode(run) }
}

output "policy_documents" {
  description = "What the execution role needs, as policy documents (JSON) by preset."
  value       = module.access.policy_documents
}

output "endpoint_services" {
  description = "Services for which a network without a way out needs an interface endpoint."
  value       = setunion(module.access.endpoint_services, length(flatten([for container in values(var.containers) : values(container.secrets)])) > 0 ? ["secretsmanager", "ssm"] : [])
}

output "log_group_names" {
  description = "Names of the log groups of the containers."
  value       = [for group in aws_cloudwatch_log_group.this : group.name]
}

locals {
  runs = { for name in keys(var.containers) : name => {
    cluster           = local.cluster
    task_definition   = local.families[name]
    container         = name
    subnets           = var.network.subnet_ids
    security_groups   = aws_security_group.containers[*].id
    log_group         = local.log_groups[name]
    log_stream_prefix = "task/${name}"
  } }
}
