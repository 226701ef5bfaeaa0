# What an environment is (its spec) and what it needs around it: role, security group, log groups.

data "aws_region" "current" {}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  region     = data.aws_region.current.id
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  account_id = data.aws_caller_identity.current.account_id

  environment_arn = "arn:${local.partition}:airflow:${local.region}:${local.account_id}:environment/${var.name}"

  create_role           = coalesce(var.execution_role.create, var.execution_role.arn == null)
  create_security_group = coalesce(var.security_group.create, var.security_group.ids == null)

  # Made of what is known before the role exists, so that a spec reads the same before and after.
  execution_role_name = "${var.prefix}-execution"
  execution_role_arn = (
    local.create_role
    ? "arn:${local.partition}:iam::${local.account_id}:role${var.execution_role.path}${local.execution_role_name}"
    : var.execution_role.arn
  )

  security_group_ids = local.create_security_group ? aws_security_group.this[*].id : var.security_group.ids
}
