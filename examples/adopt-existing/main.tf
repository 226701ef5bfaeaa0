# An environment that was made by hand, or by another module, comes under this one without being touched: what it stands on is brought, and
# the environment is imported. `terraform plan` must show it as imported, and neither as created nor as replaced; take over its settings
# (aws mwaa get-environment --name legacy) until it shows no change either.

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

variable "network" {
  type        = object({ vpc_id = string, subnet_ids = list(string) })
  description = "Where it runs: its VPC and its two subnets."
}

variable "security_group_ids" {
  type        = list(string)
  description = "Its security groups."
}

variable "execution_role_arn" {
  type        = string
  description = "Its execution role. Attach what output `execution_role_policies` says."
}

variable "dag_bucket" {
  type        = string
  description = "The bucket that it reads DAGs from."
}

variable "environment_key_arn" {
  type        = string
  description = "The key that it is encrypted with; null if AWS owns it."
  default     = null
}

variable "log_groups" {
  type        = set(string)
  description = "Components whose log groups exist: those that log now, or once did."
  default     = ["DAGProcessing", "Scheduler", "Task", "WebServer", "Worker"]
}

import {
  to = module.mwaa.module.environment.aws_mwaa_environment.this[0]
  id = "legacy"
}

# MWAA made a log group for each component that logs.
import {
  for_each = var.log_groups

  to = module.mwaa.module.environment.aws_cloudwatch_log_group.this[each.key]
  id = "airflow-legacy-${each.key}"
}

module "mwaa" {
  source = "../.."

  name              = "legacy"
  role              = "standalone"
  environment_owner = "terraform"

  network         = merge(var.network, { create = false })
  security_group  = { ids = var.security_group_ids, create = false }
  execution_role  = { arn = var.execution_role_arn, create = false }
  dag_bucket      = { name = var.dag_bucket, create = false }
  environment_key = { arn = var.environment_key_arn, create = var.environment_key_arn == null }

  environment = {
    airflow_version       = "2.10.3"
    environment_class     = "mw1.small"
    webserver_access_mode = "PUBLIC_ONLY"
    aws_owned_key         = var.environment_key_arn == null
  }
}

output "execution_role_policies" {
  description = "What the execution role must be allowed beyond what it is allowed now."
  value       = module.mwaa.execution_role_policies
}
