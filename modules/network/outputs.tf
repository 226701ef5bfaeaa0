output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "IPv4 range of the VPC."
  value       = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  description = "Ids of the two private subnets, in the order of their Availability Zones. They can be used once their way out exists."
  value       = [aws_subnet.private["a"].id, aws_subnet.private["b"].id]

  depends_on = [
    aws_route.nat,
    aws_route_table_association.private,
    aws_vpc_endpoint.gateway,
    aws_vpc_endpoint.interface,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}

output "private_route_table_ids" {
  description = "Ids of the route tables of the private subnets, in the same order."
  value       = [aws_route_table.private["a"].id, aws_route_table.private["b"].id]
}

output "public_subnet_ids" {
  description = "Ids of the two public subnets, in the same order; empty with `egress = \"endpoints\"`."
  value       = [for key in sort(keys(aws_subnet.public)) : aws_subnet.public[key].id]
}

output "availability_zones" {
  description = "Names of the two Availability Zones, in the same order."
  value       = local.zone_names
}

output "nat_public_ips" {
  description = "Public addresses the private subnets are seen with, for allow-lists; empty with `egress = \"endpoints\"`."
  value       = [for key in sort(keys(aws_eip.nat)) : aws_eip.nat[key].public_ip]
}

output "endpoint_ids" {
  description = "Ids of the VPC endpoints, by service."
  value = merge(
    { for service, endpoint in aws_vpc_endpoint.gateway : service => endpoint.id },
    { for service, endpoint in aws_vpc_endpoint.interface : service => endpoint.id },
  )
}
