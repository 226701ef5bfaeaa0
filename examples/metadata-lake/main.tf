# One metadata lake, to which two environments export their run history, and who may query it.

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

data "aws_caller_identity" "this" {}

# Makes the lake, and exports to it.
module "reporting" {
  source = "../.."

  name              = "reporting"
  role              = "standalone"
  environment_owner = "lifecycle"

  metadata_lake = {
    environments   = ["ingestion"] # whoever else exports
    merge_schedule = "cron(0 5 * * ? *)"
  }

  # What is older than 90 days goes, once a verified snapshot and the lake hold it.
  prune = { schedule = "@daily", history_days = 90 }
}

# Exports to the same lake. An environment of another Region, in a state of its own, is told the same value.
module "ingestion" {
  source = "../.."

  name              = "ingestion"
  role              = "standalone"
  environment_owner = "lifecycle"
  network           = { create = false, vpc_id = module.reporting.network.vpc_id, subnet_ids = module.reporting.network.subnet_ids }

  metadata_lake = { lake = module.reporting.metadata_lake.lake, schedule = "@daily" }
}

resource "aws_iam_role" "analyst" {
  name = "airflow-analyst"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = data.aws_caller_identity.this.account_id }
    }]
  })
}

resource "aws_iam_role_policy" "analyst" {
  name   = "metadata-lake"
  role   = aws_iam_role.analyst.id
  policy = module.reporting.metadata_lake.reader_policy
}

output "workgroup" {
  description = "The Athena workgroup in which the saved queries are."
  value       = module.reporting.metadata_lake.workgroup
}
