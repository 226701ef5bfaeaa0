output "peer" {
  description = "What the primary needs to know of the secondary; null in the primary."
  value       = module.mwaa.peer
}

output "dag_bucket" {
  description = "Where DAGs go. Upload them to the primary's; they are replicated."
  value       = module.mwaa.dag_bucket
}

output "state_machine_arns" {
  description = "Name to ARN of the state machines, to start one by hand."
  value       = module.mwaa.state_machine_arns
}
