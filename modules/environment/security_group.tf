# Schedulers, workers and web server reach each other; the web server is opened to whom the caller names.

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:it is attached to the environment, which the state machines create from the spec
  count = local.create_security_group ? 1 : 0

  name        = "${var.prefix}-environment"
  description = "MWAA environment ${var.name}"
  vpc_id      = var.network.vpc_id

  tags = merge(var.tags, { Name = "${var.prefix}-environment" })
}

resource "aws_vpc_security_group_ingress_rule" "self" {
  count = local.create_security_group ? 1 : 0

  security_group_id            = aws_security_group.this[0].id
  description                  = "Schedulers, workers and web server reach each other"
  referenced_security_group_id = aws_security_group.this[0].id
  ip_protocol                  = "-1"

  tags = merge(var.tags, { Name = "members" })
}

resource "aws_vpc_security_group_ingress_rule" "cidr" {
  for_each = local.create_security_group ? var.security_group.ingress_cidrs : []

  security_group_id = aws_security_group.this[0].id
  description       = "Web server"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "security_group" {
  for_each = local.create_security_group ? var.security_group.ingress_security_group_ids : {}

  security_group_id            = aws_security_group.this[0].id
  description                  = "Web server"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443

  tags = merge(var.tags, { Name = each.key })
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = local.create_security_group ? var.security_group.egress_cidrs : []

  security_group_id = aws_security_group.this[0].id
  description       = "What the environment may reach"
  cidr_ipv4         = each.value
  ip_protocol       = "-1"

  tags = var.tags
}
