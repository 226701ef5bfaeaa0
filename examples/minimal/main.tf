# One environment in one Region, in a network of its own, with a snapshot every fifteen minutes.

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

  name              = "minimal"
  role              = "standalone"
  environment_owner = "terraform"
}

output "dag_bucket" {
  description = "Where DAGs go: below `dags/`."
  value       = module.mwaa.dag_bucket
}
