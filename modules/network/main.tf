# A VPC with exactly two private subnets in two Availability Zones, as MWAA wants it.

data "aws_region" "current" {}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:the first two by name are taken, and a newer zone has a later name
  state = "available"

  # Leaves out Local and Wavelength Zones, which MWAA does not offer.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  region     = data.aws_region.current.id
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  zone_names = var.availability_zones == null ? slice(sort(data.aws_availability_zones.available.names), 0, 2) : var.availability_zones

  # Keyed by position: another zone changes one argument of a subnet, never the address of another one.
  zones = {
    a = { name = local.zone_names[0], private_cidr = cidrsubnet(var.cidr, 2, 0), public_cidr = cidrsubnet(var.cidr, 4, 8) }
    b = { name = local.zone_names[1], private_cidr = cidrsubnet(var.cidr, 2, 1), public_cidr = cidrsubnet(var.cidr, 4, 9) }
  }

  nat          = var.egress != "endpoints"
  public_zones = local.nat ? local.zones : {}
  nat_zones    = { for key, zone in local.public_zones : key => zone if var.egress == "nat_per_az" || key == "a" }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_hostnames = true
  enable_dns_support   = true

  tags = merge(var.tags, { Name = var.prefix })
}

# Nothing may use the default security group: without rules it lets nothing in or out.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id

  tags = merge(var.tags, { Name = "${var.prefix}-closed" })
}

resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id            = aws_vpc.this.id
  availability_zone = each.value.name
  cidr_block        = each.value.private_cidr

  tags = merge(var.tags, { Name = "${var.prefix}-private-${each.key}" })
}

resource "aws_route_table" "private" {
  for_each = local.zones

  vpc_id = aws_vpc.this.id

  tags = merge(var.tags, { Name = "${var.prefix}-private-${each.key}" })
}

resource "aws_route_table_association" "private" {
  for_each = local.zones

  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}
