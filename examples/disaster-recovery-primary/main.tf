# The Region where the environment usually runs. Applied second, with the secondary's output:
#   printf '{"peer": %s}\n' "$(terraform -chdir=../disaster-recovery-secondary output -json peer)" > peer.auto.tfvars.json

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
  region = "us-east-1"
}

variable "peer" {
  type = object({
    region              = string
    dag_bucket_arn      = string
    snapshot_bucket_arn = string
    key_arn             = string
    lease_table_arn     = string
  })
  description = "Output `peer` of the secondary."
  nullable    = false
}

variable "strategy" {
  type        = string
  description = "What the secondary holds ready: `backup_restore`, `warm_standby` or `hot_standby`. The same in both Regions."
  default     = "backup_restore"
}

module "mwaa" {
  source = "../.."

  name              = "analytics"
  role              = "primary"
  strategy          = var.strategy
  environment_owner = "terraform"
  peer              = var.peer
  environment       = { airflow_version = "2.10.3", environment_class = "mw1.small" }
  network           = { cidr = "10.0.0.0/16", egress = "nat_single" }
  snapshot          = { schedule = "rate(15 minutes)", max_age_minutes = 60 }
  notifications     = { emails = ["on-call@example.com"] }
}

output "dag_bucket" {
  description = "Where DAGs go: below `dags/`. They are replicated to the secondary."
  value       = module.mwaa.dag_bucket
}
