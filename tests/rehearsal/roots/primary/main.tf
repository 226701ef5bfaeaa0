# The primary of the rehearsal: everything at its defaults, except that minutes are short; snapshots are started by the rehearsal itself.

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
  description = "Region of the primary."
}

variable "peer" {
  type = object({
    region              = string
    dag_bucket_arn      = string
    snapshot_bucket_arn = string
    key_arn             = string
    lease_table_arn     = string
  })
  description = "The secondary's output `peer`."
}

variable "airflow_version" {
  type        = string
  description = "Version of Airflow."
}

variable "airflow_configuration_options" {
  type        = map(string)
  description = "Airflow options, the same in both Regions."
}

variable "strategy" {
  type        = string
  description = "What the secondary holds ready."
  default     = "backup_restore"
}

module "continuity" {
  source = "../../../.."

  name              = var.name
  role              = "primary"
  strategy          = var.strategy
  environment_owner = "terraform"
  peer              = var.peer
  network           = { cidr = "10.0.0.0/16", egress = "nat_single" }
  force_destroy     = true
  notifications     = { emails = ["operators@example.com"] }
  snapshot          = { schedule = "rate(1 day)", timeout_minutes = 10, local_variables = ["local_*"] }
  tags              = { purpose = "rehearsal" }

  failover = {
    poll_seconds           = 5
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
