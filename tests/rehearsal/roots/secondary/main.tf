# The secondary of the rehearsal: everything at its defaults, except that minutes are short.

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
  description = "Name of the environment, the same in both Regions."
}

variable "region" {
  type        = string
  description = "Region of the secondary."
}

variable "primary_region" {
  type        = string
  description = "Region of the primary."
}

variable "airflow_version" {
  type        = string
  description = "Version of Airflow."
}

variable "airflow_configuration_options" {
  type        = map(string)
  description = "Airflow options, the same in both Regions."
}

variable "in_flight" {
  type        = map(string)
  description = "In-flight policy by DAG id."
}

variable "strategy" {
  type        = string
  description = "What the secondary holds ready."
  default     = "backup_restore"
}

module "continuity" {
  source = "../../../.."

  name              = var.name
  role              = "secondary"
  strategy          = var.strategy
  environment_owner = "lifecycle"
  peer              = { region = var.primary_region }
  network           = { cidr = "10.1.0.0/16", egress = "nat_single" }
  force_destroy     = true
  notifications     = { emails = ["operators@example.com"] }
  heartbeat         = { schedule = "rate(1 minute)", periods = 3, missing = 2 }
  snapshot          = { schedule = "rate(1 day)", timeout_minutes = 10, local_variables = ["local_*"] }
  tags              = { purpose = "rehearsal" }

  environment = {
    airflow_version               = var.airflow_version
    environment_class             = "mw1.small"
    airflow_configuration_options = var.airflow_configuration_options
  }

  failover = {
    poll_seconds           = 5
    create_timeout_minutes = 10
    dag_timeout_minutes    = 10
    parse_deadline_seconds = 180
    in_flight              = { dags = var.in_flight }
  }
}

output "peer" {
  description = "What the primary needs to know of this Region."
  value       = module.continuity.peer
}

output "state_machine_arns" {
  description = "Name to ARN of the state machines."
  value       = module.continuity.state_machine_arns
}

output "detection_seconds" {
  description = "How long it takes until the loss of the primary is noticed."
  value       = module.continuity.detection_seconds
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
  description = "Name and ARN of the lease table."
  value       = module.continuity.lease_table
}
