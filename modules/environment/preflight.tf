# What MWAA would refuse after twenty minutes of creating, told before.

data "aws_subnet" "this" {
  count = 2

  id = var.network.subnet_ids[count.index]
}

resource "terraform_data" "preflight" {
  input = var.network.subnet_ids

  lifecycle {
    precondition {
      condition     = length(distinct(data.aws_subnet.this[*].availability_zone)) == 2
      error_message = "`network.subnet_ids` must be in two different Availability Zones, but both are in ${data.aws_subnet.this[0].availability_zone}."
    }

    precondition {
      condition     = alltrue([for subnet in data.aws_subnet.this : subnet.vpc_id == var.network.vpc_id])
      error_message = "`network.subnet_ids` must be subnets of `network.vpc_id` (${var.network.vpc_id}), but they are in ${join(" and ", distinct(data.aws_subnet.this[*].vpc_id))}."
    }
  }
}
