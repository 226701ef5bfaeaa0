# How another repository uses a release: by git, at a tag, never at a branch.

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
  #checkov:skip=CKV_TF_1:a release is named by its tag, which is what a reader upgrades by
  source = "git::https://github.com/example/terraform-aws-mwaa-continuity.git?ref=v0.1.0"

  name              = "consumer"
  role              = "standalone"
  environment_owner = "terraform"
}

output "dag_bucket" {
  description = "Where DAGs go: below `dags/`."
  value       = module.mwaa.dag_bucket
}
