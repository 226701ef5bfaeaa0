output "peer" {
  description = "What the primary needs to know of this Region, for its variable `peer`; null unless this Region is the secondary."
  value = var.role != "secondary" ? null : {
    region              = local.region
    dag_bucket_arn      = module.storage.dag_bucket.arn
    snapshot_bucket_arn = module.storage.snapshot_bucket.arn
    key_arn             = module.storage.key_arn
    lease_table_arn     = module.continuity.lease_table.arn
  }
}

output "spec" {
  description = "The spec: the CreateEnvironment document of this Region. Sensitive, because options may hold what should not be printed; a plan shows its diff as an object of the snapshot bucket."
  value       = module.environment.spec
  sensitive   = true
}

output "strategy" {
  description = "The strategy in force; null in a standalone."
  value       = local.strategy
}

output "environment_arn" {
  description = "ARN of the environment, whether it exists or not."
  value       = module.environment.environment_arn
}

output "dag_bucket" {
  description = "Name and ARN of the DAG bucket."
  value       = module.storage.dag_bucket
}

output "snapshot_bucket" {
  description = "Name and ARN of the snapshot bucket."
  value       = module.storage.snapshot_bucket
}

output "replication_rules" {
  description = "For each bucket of the caller's own (`dag`, `snapshot`) in the primary: the replication configuration it needs."
  value       = module.storage.replication_rules
}

output "key_arn" {
  description = "ARN of the key of this Region for buckets, lease table and logs."
  value       = module.storage.key_arn
}

output "environment_key_arn" {
  description = "ARN of the key MWAA encrypts the environment with; null with `environment.aws_owned_key`."
  value       = module.storage.environment_key_arn
}

output "execution_role_arn" {
  description = "ARN of the role DAGs run with."
  value       = module.environment.execution_role_arn
}

output "execution_role_policies" {
  description = "What the execution role must be allowed, as policy documents by name (`mwaa`, `continuity`, and each of `workloads`): attached already, unless the role is the caller's own."
  value = merge(concat(
    [{ mwaa = module.environment.execution_role_policy_json, continuity = module.continuity.dag_policy_json }],
    [for made in local.workloads : module.workloads[0].policy_documents],
  )...)
}

output "security_group_ids" {
  description = "Ids of the security groups of the environment."
  value       = module.environment.security_group_ids
}

output "network" {
  description = "Ids of the VPC and of the two private subnets."
  value       = local.network
}

output "detection_seconds" {
  description = "Seconds until the loss of the primary is noticed, and the failover starts or is asked for, to within one period of `heartbeat.schedule`. Null where that is a cron expression, with `failover.health_function_arn`, and in any Region but the secondary."
  value       = module.continuity.detection_seconds
}

output "fence_seconds" {
  description = "Seconds from the moment at which this Region's table shows that the other Region holds the lease until no new task starts here any more. Null in a standalone."
  value       = module.continuity.fence_seconds
}

output "state_machine_arns" {
  description = "Name to ARN of the state machines."
  value       = module.continuity.state_machine_arns
}

output "function_arns" {
  description = "Name to ARN of the functions."
  value       = module.continuity.function_arns
}

output "functions_security_group_id" {
  description = "Id of the security group of the functions that call a private web server, which security groups of your own must admit on port 443; null where the web server is public."
  value       = module.continuity.functions_security_group_id
}

output "lease_table" {
  description = "Name and ARN of the lease table; its home is in the secondary."
  value       = module.continuity.lease_table
}

output "webserver_url_parameter" {
  description = "Name of the SSM parameter that holds the address of the web server since the last resume; null without `hibernation`."
  value       = module.continuity.webserver_url_parameter
}

output "topic_arn" {
  description = "ARN of the topic of notices and alarms."
  value       = module.observability.topic_arn
}

output "event_queue" {
  description = "The queue of `event_trigger` and the one for what could not be delivered: ARN and URL of each; null without it."
  value       = var.event_trigger == null ? null : { events = module.event_trigger[0].queue, dead_letters = module.event_trigger[0].dead_letter_queue }
}

output "metadata_lake" {
  description = "The lake of `metadata_lake`: `lake` (what other environments take to export to it), its database, workgroup, the machine that merges (ARN) and a policy document for who queries it, all null but `lake` where it was made elsewhere; null without it."
  value = var.metadata_lake == null ? null : {
    lake              = local.makes_lake ? module.metadata_lake[0].lake : var.metadata_lake.lake
    database          = one(module.metadata_lake[*].database)
    workgroup         = one(module.metadata_lake[*].workgroup)
    state_machine_arn = one(module.metadata_lake[*].state_machine_arn)
    reader_policy     = one(module.metadata_lake[*].reader_policy)
  }
}

output "containers" {
  description = "What a DAG needs to run each container of `workloads`: it finds the same, as JSON, in the environment variable AIRFLOW__WORKLOADS__<CONTAINER>."
  value       = merge(concat([{}], [for made in local.workloads : module.workloads[0].containers])...)
}

output "image_repositories" {
  description = "URLs of the repositories of the containers of `workloads`, by container."
  value       = merge(concat([{}], [for made in local.workloads : module.workloads[0].repositories])...)
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard; null with `dashboard = false`."
  value       = module.observability.dashboard_name
}

output "log_group_names" {
  description = "Names of all log groups: of the environment, the functions, the state machines and the containers."
  value       = concat(values(module.environment.log_group_names), module.continuity.log_group_names, flatten([for made in local.workloads : module.workloads[0].log_group_names]))
}

output "code_sha256" {
  description = "SHA-256 (base64) of the functions' package, as AWS shows it for each function: tells code that was edited outside Terraform. Null with `function_package`."
  value       = module.continuity.code_sha256
}
