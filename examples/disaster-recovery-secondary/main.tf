# The Region that takes over. Applied first: it owns what must outlive the primary.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region = "us-west-2"
}

variable "strategy" {
  type        = string
  description = "What this Region holds ready: `backup_restore` (nothing), `warm_standby` (the environment, kept in step) or `hot_standby` (that, with the state of the newest snapshot). The same in both Regions."
  default     = "backup_restore"
}

module "mwaa" {
  source = "../.."

  name              = "analytics"
  role              = "secondary"
  strategy          = var.strategy
  environment_owner = "lifecycle"
  peer              = { region = "us-east-1" }
  environment       = { airflow_version = "2.10.3", environment_class = "mw1.small" }
  network           = { cidr = "10.1.0.0/16", egress = "nat_single" }
  notifications     = { emails = ["on-call@example.com"] }
}

output "strategy" {
  description = "The strategy in force."
  value       = module.mwaa.strategy
}

output "peer" {
  description = "What the primary needs to know of this Region."
  value       = module.mwaa.peer
}
