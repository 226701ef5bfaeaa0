# The endpoints of an environment that waits in PENDING, from a root of its own. What MWAA calls its services is told by
#   aws mwaa get-environment --name shared --query 'Environment.[DatabaseVpcEndpointService,WebserverVpcEndpointService]' 

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

variable "vpc_id" {
  type        = string
  description = "The shared VPC."
}

variable "subnet_ids" {
  type        = list(string)
  description = "The two subnets of the environment."
}

variable "security_group_ids" {
  type        = list(string)
  description = "Security groups of the environment: output `security_group_ids`, which is known before the environment is there."
}

variable "endpoint_services" {
  type        = object({ database = string, webserver = string })
  description = "`DatabaseVpcEndpointService` and `WebserverVpcEndpointService` of GetEnvironment."
}

resource "aws_vpc_endpoint" "this" {
  for_each = var.endpoint_services

  vpc_id             = var.vpc_id
  vpc_endpoint_type  = "Interface"
  service_name       = each.value
  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids
  tags               = { Name = "shared-${each.key}" }
}

output "web_addresses" {
  description = "DNS names of the web server's endpoint, for whatever opens it."
  value       = aws_vpc_endpoint.this["webserver"].dns_entry
}
