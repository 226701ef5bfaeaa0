# The standalone of the rehearsal, which sleeps: everything at its defaults, except that minutes are short.

terraform {
  required_version = ">= 1.9"

  # Where the state lies is said at `init`: below build/, never here.
  backend "local" {}

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "name" {
  type        = string
  description = "Name of the environment."
}

variable "region" {
  type        = string
  description = "Region of the standalone."
}

variable "airflow_version" {
  type        = string
  description = "Version of Airflow."
}

variable "airflow_configuration_options" {
  type        = map(string)
  description = "Airflow options."
}

variable "event_trigger" {
  type        = any
  description = "Which events lead to what; none by default."
  default     = null
}

module "continuity" {
  source = "../../../.."

  name              = var.name
  role              = "standalone"
  environment_owner = "lifecycle"
  network           = { cidr = "10.0.0.0/16", egress = "nat_single" }
  force_destroy     = true
  notifications     = { emails = ["operators@example.com"] }
  snapshot          = { schedule = "rate(1 day)", timeout_minutes = 10, local_variables = ["local_*"] }
  tags              = { purpose = "rehearsal" }

  # Fired by the rehearsal itself, never by the clock.
  hibernation = {
    hibernate = "cron(0 20 ? * MON-FRI 2199)"
    resume    = "cron(0 6 ? * MON-FRI 2199)"
    timezone  = "Europe/Berlin"
  }

  event_trigger = var.event_trigger

  failover = {
    poll_seconds           = 5
    create_timeout_minutes = 10
    dag_timeout_minutes    = 10
    parse_deadline_seconds = 180
  }

  environment = {
    airflow_version               = var.airflow_version
    environment_class             = "mw1.small"
    airflow_configuration_options = var.airflow_configuration_options
  }
}

output "state_machine_arns" {
  description = "Name to ARN of the state machines."
  value       = module.continuity.state_machine_arns
}

output "dag_bucket" {
  description = "Name and ARN of the DAG bucket."
  value       = module.continuity.dag_bucket
}

output "snapshot_bucket" {
  description = "Name and ARN of the snapshot bucket."
  value       = module.continuity.snapshot_bucket
}

output "topic_arn" {
  description = "ARN of the topic of notices."
  value       = module.continuity.topic_arn
}

output "lease_table" {
  description = "Name and ARN of the table that says who sleeps."
  value       = module.continuity.lease_table
}

output "webserver_url_parameter" {
  description = "Name of the parameter that holds the address of the web server."
  value       = module.continuity.webserver_url_parameter
}

output "event_queue" {
  description = "The queue of events, and the one for what could not be delivered."
  value       = module.continuity.event_queue
}
