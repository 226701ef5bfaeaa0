# Everything that can be your own is: network, keys, buckets, execution role, security group, topic. The module makes the environment and
# what acts on it. README.md of modules/storage says what keys and buckets must have.

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
  description = "A VPC and two private subnets of it, in two Availability Zones."
}

variable "key_arn" {
  type        = string
  description = "Key of buckets, lease table, logs and notices."
}

variable "environment_key_arn" {
  type        = string
  description = "Key of the environment: a single-Region key. It may be the same."
}

variable "dag_bucket" {
  type        = string
  description = "Bucket of DAGs: versioned, encrypted with the key, closed to the public."
}

variable "snapshot_bucket" {
  type        = string
  description = "Bucket of snapshots, likewise. `continuity=superseded` is the tag that a lifecycle rule of yours should expire."
}

variable "execution_role_name" {
  type        = string
  description = "The role DAGs run with, which airflow.amazonaws.com and airflow-env.amazonaws.com may assume."
}

variable "security_group_id" {
  type        = string
  description = "Security group of the environment, whose members reach each other; it admits the functions on port 443."
}

variable "topic_arn" {
  type        = string
  description = "Topic of notices and alarms."
}

data "aws_partition" "this" {}

data "aws_caller_identity" "this" {}

module "mwaa" {
  source = "../.."

  name              = "brought"
  role              = "standalone"
  environment_owner = "terraform"

  network         = merge(var.network, { create = false })
  key             = { arn = var.key_arn, create = false }
  environment_key = { arn = var.environment_key_arn, create = false }
  dag_bucket      = { name = var.dag_bucket, create = false }
  snapshot_bucket = { name = var.snapshot_bucket, create = false }
  security_group  = { ids = [var.security_group_id], create = false }
  notifications   = { topic_arn = var.topic_arn, create = false }

  execution_role = {
    arn    = "arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:role/${var.execution_role_name}"
    create = false
  }

  workloads = { access = { lambda = { functions = ["score"] } } }
}

# A role of your own is left as it is: what it needs is an output.
resource "aws_iam_policy" "execution" {
  for_each = toset(["mwaa", "continuity", "lambda"])

  name   = "brought-${each.key}"
  policy = module.mwaa.execution_role_policies[each.key]
}

resource "aws_iam_role_policy_attachment" "execution" {
  for_each = aws_iam_policy.execution

  role       = var.execution_role_name
  policy_arn = each.value.arn
}

output "environment_arn" {
  description = "ARN of the environment."
  value       = module.mwaa.environment_arn
}

output "policy_names" {
  description = "Which policies the role was given."
  value       = keys(aws_iam_role_policy_attachment.execution)
}
