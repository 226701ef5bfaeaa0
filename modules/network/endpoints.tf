# VPC endpoints. The two gateway endpoints cost nothing and are always there; interface endpoints only where there is no other way out.

locals {
  # Without a way out, an environment does not become AVAILABLE unless all of these answer from inside the VPC.
  mwaa_endpoints = {
    "airflow.api" = "environment management"
    "airflow.env" = "web login tokens and the REST API of the environment"
    "airflow.ops" = "health and metrics of the environment"
    "ecr.api"     = "images of the workers"
    "ecr.dkr"     = "images of the workers"
    "kms"         = "the environment's key"
    "logs"        = "task and component logs"
    "monitoring"  = "metrics"
    "sqs"         = "the Celery queue"
  }

  # What the metadata DAGs, and the functions that run inside the VPC, call beyond that.
  continuity_endpoints = {
    "states" = "answers and heartbeats by task token"
    "sts"    = "AWS connections that assume a role"
  }

  interface_services = toset(local.nat ? [] : concat(
    # The China Regions have no airflow.ops.
    [for service in keys(local.mwaa_endpoints) : service if !(local.china && service == "airflow.ops")],
    keys(local.continuity_endpoints),
    tolist(var.additional_endpoints),
  ))

  gateway_services = toset(["s3", "dynamodb"])

  china = local.partition == "aws-cn"

  # In the China Regions most services carry a prefix of their own, these do not.
  unprefixed_in_china = ["s3", "dynamodb", "kms", "logs"]

  service_names = {
    for service in setunion(local.gateway_services, local.interface_services) :
    service => "${local.china && !contains(local.unprefixed_in_china, service) ? "cn." : ""}com.amazonaws.${local.region}.${service}"
  }
}

# No endpoint policy: the images and queues of MWAA live in accounts of AWS that are not published, so a policy by resource would break the
# environment. What may be called is decided by the roles.
resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateway_services

  vpc_id            = aws_vpc.this.id
  service_name      = local.service_names[each.key]
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for table in aws_route_table.private : table.id]

  tags = merge(var.tags, { Name = "${var.prefix}-${each.key}" })
}

resource "aws_security_group" "endpoints" {
  count = local.nat ? 0 : 1

  name        = "${var.prefix}-endpoints"
  description = "VPC endpoints of the network of environment ${var.name}"
  vpc_id      = aws_vpc.this.id

  tags = merge(var.tags, { Name = "${var.prefix}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = local.nat ? 0 : 1

  security_group_id = aws_security_group.endpoints[0].id
  description       = "HTTPS from inside the VPC"
  cidr_ipv4         = var.cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = var.tags
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_services

  vpc_id              = aws_vpc.this.id
  service_name        = local.service_names[each.key]
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.endpoints[0].id]

  tags = merge(var.tags, { Name = "${var.prefix}-${each.key}" })
}
