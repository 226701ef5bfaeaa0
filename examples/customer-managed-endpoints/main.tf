# A VPC that another account shares: MWAA may make no endpoints in it, so you do. The environment waits in PENDING, for 72 hours at
# most, until they are there: see endpoints/main.tf, which is applied while this one waits.

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
  description = "Two private subnets of it, in two Availability Zones."
}

module "mwaa" {
  source = "../.."

  name              = "shared"
  role              = "standalone"
  environment_owner = "terraform"
  network           = { vpc_id = var.vpc_id, subnet_ids = var.subnet_ids }

  environment = {
    endpoint_management = "CUSTOMER"
    timeouts            = { create = "4h" } # creation ends after the endpoints are there
  }
}

output "security_group_ids" {
  description = "For variable `security_group_ids` of endpoints/."
  value       = module.mwaa.security_group_ids
}
