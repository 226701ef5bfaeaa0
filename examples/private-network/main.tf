# One environment without a way to the internet: AWS services by VPC endpoints, the web server from inside the VPC only.

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

module "mwaa" {
  source = "../.."

  name              = "private"
  role              = "standalone"
  environment_owner = "terraform"
  environment       = { webserver_access_mode = "PRIVATE_ONLY" }

  network = {
    cidr                 = "10.0.0.0/16"
    egress               = "endpoints"
    additional_endpoints = ["secretsmanager"] # what the DAGs call beside what the environment itself needs
  }
}

output "dag_bucket" {
  description = "Where DAGs go: below `dags/`."
  value       = module.mwaa.dag_bucket
}

output "network" {
  description = "The VPC and its private subnets, for whatever opens the web server."
  value       = module.mwaa.network
}
