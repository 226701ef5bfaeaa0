# What DAGs run outside of the environment: containers on Fargate, and grants for services of AWS.

data "aws_partition" "this" {}

data "aws_region" "this" {}

data "aws_caller_identity" "this" {}

locals {
  partition  = data.aws_partition.this.partition
  dns_suffix = data.aws_partition.this.dns_suffix
  region     = data.aws_region.this.id
  account_id = data.aws_caller_identity.this.account_id

  # Made of names, so that policies and options read the same before and after the first apply.
  has_containers = length(var.containers) > 0
  cluster        = "${var.prefix}-containers"
  families       = { for name in keys(var.containers) : name => "${var.prefix}-${name}" }
  log_groups     = { for name in keys(var.containers) : name => "/ecs/${var.prefix}-${name}" }
  role_names = {
    task  = { for name in keys(var.containers) : name => "${var.prefix}-${name}-task" }
    start = { for name in keys(var.containers) : name => "${var.prefix}-${name}-start" }
  }
  role_arns = { for kind, names in local.role_names : kind => { for name, role in names : name => "arn:${local.partition}:iam::${local.account_id}:role${var.roles.path}${role}" } }

  # The same name in every Region, without which the registry could not replicate images.
  repository_base  = trimsuffix(replace(lower(var.name), "/[^a-z0-9]+/", "-"), "-")
  registry         = "${local.account_id}.dkr.ecr.${local.region}.${local.dns_suffix}"
  repository_names = { for name, container in var.containers : name => "${local.repository_base}/${replace(name, "_", "-")}" if container.image == null }
  images = {
    for name, container in var.containers : name => container.image == null ? "${local.registry}/${local.repository_names[name]}:${container.tag}" : container.image
  }
  # Repositories of ECR that images come from, whosever they are; other registries ask for no grant.
  image_repositories = { for name, image in local.images : name => try(regex("^([0-9]{12})[.]dkr[.]ecr[.]([a-z0-9-]+)[.]${replace(local.dns_suffix, ".", "[.]")}/([^:@]+)", image), null) }
}

module "access" {
  source = "../access"

  account = { partition = local.partition, dns_suffix = local.dns_suffix, region = local.region, id = local.account_id }
  presets = merge(var.access, {
    ecs = concat(var.access.ecs, [for families in [values(local.families)] : {
      cluster          = local.cluster
      task_definitions = families
      pass_roles       = flatten([for arns in values(local.role_arns) : values(arns)])
      log_groups       = values(local.log_groups)
    } if local.has_containers])
  })
}

resource "aws_iam_policy" "access" {
  for_each = var.execution_role_name == null ? {} : module.access.policy_documents

  name        = "${var.prefix}-${each.key}"
  path        = var.roles.path
  description = "What DAGs of ${var.name} in ${local.region} may do: ${each.key}"
  policy      = each.value
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(each.value) <= 6144
      error_message = "`access.${each.key}` names so much that its policy has ${length(each.value)} characters, and IAM takes 6144: name fewer resources, or give some of them to a role of your own."
    }
  }
}

resource "aws_iam_role_policy_attachment" "access" {
  for_each = aws_iam_policy.access

  role       = var.execution_role_name
  policy_arn = each.value.arn
}

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:they are, unless the caller would rather not pay for them
  count = local.has_containers ? 1 : 0

  name = local.cluster
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = var.container_insights ? "enabled" : "disabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  count = local.has_containers ? 1 : 0

  cluster_name       = aws_ecs_cluster.this[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

# Nobody calls a container: it is only let out.
resource "aws_security_group" "containers" {
  #checkov:skip=CKV2_AWS_5:DAGs attach it to the tasks that they run
  count = local.has_containers ? 1 : 0

  name        = local.cluster
  description = "Containers that DAGs of ${var.name} run"
  vpc_id      = var.network.vpc_id
  tags        = merge(var.tags, { Name = local.cluster })
}

resource "aws_vpc_security_group_egress_rule" "containers" {
  for_each = local.has_containers ? var.egress : {}

  security_group_id = aws_security_group.containers[0].id
  description       = "Containers: ${each.key}"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = merge(var.tags, { Name = each.key })
}
