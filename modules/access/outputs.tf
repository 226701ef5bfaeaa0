output "policy_documents" {
  description = "Policy documents (JSON) of the presets that were asked for, by preset; one that needs no grant of its own has none."
  value = {
    for preset, statements in local.statements : preset => jsonencode({ Version = "2012-10-17", Statement = statements })
    if length(statements) > 0
  }
}

output "airflow_configuration_options" {
  description = "Airflow options that the presets need."
  value       = local.options
}

output "endpoint_services" {
  description = "Services for which a network without a way out needs an interface endpoint."
  value       = toset(flatten([for preset, services in local.endpoints : services if try(var.presets[preset] != null, false) && (preset != "ecs" || length(local.ecs) > 0)]))
}
