# What the network builds for each way out.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "us-east-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_availability_zones" {
    defaults = { names = ["us-east-1c", "us-east-1a", "us-east-1b"] }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/flow-logs" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:flow-logs" }
  }
}

variables {
  name   = "analytics"
  prefix = "analytics-use1"
  cidr   = "10.1.0.0/16"
}

run "one_nat_gateway_serves_both_subnets" {
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 2
    error_message = "nat_single must build one NAT gateway with a route from each private subnet."
  }

  assert {
    condition     = alltrue([for route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.this["a"].id])
    error_message = "Both routes must lead to the one NAT gateway."
  }

  assert {
    condition     = length(output.private_subnet_ids) == 2 && length(distinct(output.private_subnet_ids)) == 2
    error_message = "There must be exactly two private subnets."
  }

  assert {
    condition     = output.availability_zones == tolist(["us-east-1a", "us-east-1b"])
    error_message = "The first two Availability Zones by name must be taken, in whatever order AWS lists them."
  }

  assert {
    condition     = aws_vpc.this.enable_dns_hostnames && aws_vpc.this.enable_dns_support
    error_message = "Endpoints with private DNS need DNS support and DNS host names."
  }

  assert {
    condition     = aws_default_security_group.closed.vpc_id == aws_vpc.this.id
    error_message = "The default security group of the VPC must be taken over."
  }

  assert {
    condition     = sort(keys(output.endpoint_ids)) == tolist(["dynamodb", "s3"])
    error_message = "With a NAT gateway only the two gateway endpoints, which cost nothing, must be built."
  }

  assert {
    condition     = length(aws_flow_log.this) == 0 && length(aws_iam_role.flow_logs) == 0
    error_message = "Flow logs must be written only where they are asked for."
  }
}

run "subnets_do_not_overlap" {
  assert {
    condition = (
      aws_subnet.private["a"].cidr_block == "10.1.0.0/18" && aws_subnet.private["b"].cidr_block == "10.1.64.0/18" &&
      aws_subnet.public["a"].cidr_block == "10.1.128.0/20" && aws_subnet.public["b"].cidr_block == "10.1.144.0/20"
    )
    error_message = "Subnets must have the ranges README.md names."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "Public subnets must not hand out public addresses."
  }
}

run "smallest_range_still_fits" {
  variables {
    cidr = "10.1.0.0/24"
  }

  assert {
    condition     = aws_subnet.private["b"].cidr_block == "10.1.0.64/26" && aws_subnet.public["b"].cidr_block == "10.1.0.144/28"
    error_message = "A /24 must give private /26 and public /28 subnets, the smallest AWS has."
  }
}

run "a_nat_gateway_per_zone_survives_a_zone" {
  variables {
    egress = "nat_per_az"
  }

  assert {
    condition = (
      aws_route.nat["a"].nat_gateway_id == aws_nat_gateway.this["a"].id && aws_route.nat["b"].nat_gateway_id == aws_nat_gateway.this["b"].id &&
      aws_nat_gateway.this["a"].id != aws_nat_gateway.this["b"].id
    )
    error_message = "Each private subnet must leave through the NAT gateway of its own Availability Zone."
  }

  assert {
    condition     = length(output.nat_public_ips) == 2
    error_message = "Both public addresses must be told."
  }
}

# Failure covered: no private-network example.
run "without_internet_every_service_has_an_endpoint" {
  variables {
    egress = "endpoints"
  }

  assert {
    condition = (
      length(aws_internet_gateway.this) == 0 && length(aws_nat_gateway.this) == 0 && length(aws_eip.nat) == 0 &&
      length(aws_subnet.public) == 0 && length(aws_route.nat) == 0 && length(aws_route.internet) == 0
    )
    error_message = "With egress \"endpoints\" nothing may lead to the internet."
  }

  assert {
    condition = sort(keys(output.endpoint_ids)) == tolist([
      "airflow.api", "airflow.env", "airflow.ops", "dynamodb", "ecr.api", "ecr.dkr", "kms", "logs", "monitoring", "s3", "sqs", "states", "sts",
    ])
    error_message = "Every service MWAA, the metadata DAGs and the functions call must have an endpoint."
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled && length(endpoint.subnet_ids) == 2])
    error_message = "Interface endpoints must have private DNS and be in both subnets."
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.gateway : length(endpoint.route_table_ids) == 2])
    error_message = "Gateway endpoints must be in the route tables of both subnets."
  }

  assert {
    condition     = aws_vpc_endpoint.interface["sqs"].service_name == "com.amazonaws.us-east-1.sqs"
    error_message = "Service names must carry the Region."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == "10.1.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints[0].from_port == 443
    error_message = "Endpoints must be reachable by HTTPS from the whole VPC, and from nowhere else."
  }
}

run "services_the_dags_call_are_added" {
  variables {
    egress               = "endpoints"
    additional_endpoints = ["secretsmanager"]
  }

  assert {
    condition     = contains(keys(output.endpoint_ids), "secretsmanager") && length(output.endpoint_ids) == 14
    error_message = "additional_endpoints must add to the set, not replace it."
  }
}

run "china_has_service_names_of_its_own" {
  variables {
    egress = "endpoints"
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  override_data {
    target = data.aws_region.current
    values = { id = "cn-north-1" }
  }

  assert {
    condition = (
      aws_vpc_endpoint.interface["sqs"].service_name == "cn.com.amazonaws.cn-north-1.sqs" &&
      aws_vpc_endpoint.interface["logs"].service_name == "com.amazonaws.cn-north-1.logs" &&
      !contains(keys(aws_vpc_endpoint.interface), "airflow.ops")
    )
    error_message = "Service names must be those of the partition."
  }
}

run "flow_logs_are_kept_for_as_long_as_asked" {
  variables {
    flow_logs = { retention_days = 14, kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-1" }
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.flow_logs["this"].retention_in_days == 14 &&
      aws_cloudwatch_log_group.flow_logs["this"].kms_key_id == "arn:aws:kms:us-east-1:111122223333:key/mrk-1" &&
      aws_flow_log.this["this"].traffic_type == "ALL"
    )
    error_message = "Flow logs must cover all traffic and be kept and encrypted as asked."
  }
}

run "refuses_a_range_that_is_too_small" {
  command = plan

  variables {
    cidr = "10.1.0.0/25"
  }

  expect_failures = [var.cidr]
}

run "refuses_a_range_that_is_none" {
  command = plan

  variables {
    cidr = "10.1.0.0"
  }

  expect_failures = [var.cidr]
}

run "refuses_one_zone_twice" {
  command = plan

  variables {
    availability_zones = ["us-east-1a", "us-east-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_three_zones" {
  command = plan

  variables {
    availability_zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_an_unknown_egress" {
  command = plan

  variables {
    egress = "nat"
  }

  expect_failures = [var.egress]
}

run "refuses_endpoints_beside_a_nat_gateway" {
  command = plan

  variables {
    additional_endpoints = ["ssm"]
  }

  expect_failures = [var.additional_endpoints]
}

run "refuses_a_whole_service_name" {
  command = plan

  variables {
    egress               = "endpoints"
    additional_endpoints = ["com.amazonaws.us-east-1.ssm/"]
  }

  expect_failures = [var.additional_endpoints]
}

run "refuses_a_retention_cloudwatch_does_not_offer" {
  command = plan

  variables {
    flow_logs = { retention_days = 10 }
  }

  expect_failures = [var.flow_logs]
}

run "refuses_a_prefix_that_makes_no_name" {
  command = plan

  variables {
    prefix = "analytics_use1"
  }

  expect_failures = [var.prefix]
}
