# Containers, Glue, Athena and EMR from DAGs: the pipelines of examples/dags, and all that they need. What Glue, Athena and EMR stand on is
# in lake.tf and emr.tf, and could be made anywhere else.

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

locals {
  name   = "workloads"
  bucket = "${local.name}-lake-${data.aws_caller_identity.this.account_id}"
  lake   = "s3://${local.bucket}"
}

module "mwaa" {
  source = "../.."

  name              = local.name
  role              = "standalone"
  environment_owner = "terraform"

  environment = {
    # How DAGs know what is here: AIRFLOW__LAKE__BUCKET and so on. Options of the Region, because buckets and jobs belong to one.
    regional_airflow_configuration_options = {
      "lake.bucket"               = local.bucket
      "lake.database"             = aws_glue_catalog_database.lake.name
      "lake.workgroup"            = aws_athena_workgroup.lake.name
      "lake.parquet_job"          = aws_glue_job.this["orders_to_parquet"].name
      "lake.sales_job"            = aws_glue_job.this["sales_by_product"].name
      "lake.emr_service_role"     = aws_iam_role.emr["service"].name
      "lake.emr_instance_profile" = aws_iam_instance_profile.emr.name
      "lake.emr_subnet"           = module.mwaa.network.subnet_ids[0]
      "lake.emr_tag"              = local.name
    }
  }

  workloads = {
    containers = {
      report = {
        tag              = "1.0.0"
        environment      = { LAKE = local.lake }
        policy_documents = { lake = data.aws_iam_policy_document.read_sales.json }
      }
    }

    access = {
      glue = { jobs = values(local.jobs) }
      athena = {
        workgroups    = [local.name]
        databases     = [local.name]
        read          = ["${local.lake}/sales/"]
        write         = ["${local.lake}/results/"]
        create_tables = true
        key_arns      = [] # the lake is encrypted with keys of S3
      }
      emr = {
        cluster_tags = { airflow = local.name }
        pass_roles   = [for role in aws_iam_role.emr : role.arn]
      }
    }
  }
}

# What the container may do: read what glue_orders wrote.
data "aws_iam_policy_document" "read_sales" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::${local.bucket}/sales/*"]
  }

  statement {
    actions   = ["s3:ListBucket"]
    resources = ["arn:aws:s3:::${local.bucket}"]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["sales/*"]
    }
  }
}

# The DAGs themselves.
resource "aws_s3_object" "dag" {
  for_each = fileset("${path.module}/../dags", "*.py")

  bucket      = module.mwaa.dag_bucket.name
  key         = "dags/${each.value}"
  source      = "${path.module}/../dags/${each.value}"
  source_hash = filemd5("${path.module}/../dags/${each.value}")
}

output "image_repositories" {
  description = "Where the image of `report` is pushed to, with the tag 1.0.0."
  value       = module.mwaa.image_repositories
}

output "containers" {
  description = "What DAGs know of the container."
  value       = module.mwaa.containers
}

output "policies" {
  description = "What the execution role is allowed."
  value       = keys(module.mwaa.execution_role_policies)
}
