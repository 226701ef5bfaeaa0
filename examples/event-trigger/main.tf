# New objects become dataset events and DAG runs, delivered once, and after a night's sleep.

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

# Where files arrive. Versions make an event known by its object, in whatever Region.
resource "aws_s3_bucket" "landing" {
  #checkov:skip=CKV_AWS_18:where access logs go is the account's decision
  #checkov:skip=CKV_AWS_144:what lands here can be delivered again
  #checkov:skip=CKV2_AWS_61:how long files are kept is the reader's decision
  bucket = "landing-${data.aws_caller_identity.this.account_id}"
}

resource "aws_s3_bucket_versioning" "landing" {
  bucket = aws_s3_bucket.landing.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "landing" {
  bucket = aws_s3_bucket.landing.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "landing" {
  bucket = aws_s3_bucket.landing.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = module.mwaa.key_arn
    }
  }
}

# Without this a bucket tells EventBridge nothing.
resource "aws_s3_bucket_notification" "landing" {
  bucket      = aws_s3_bucket.landing.id
  eventbridge = true
}

module "mwaa" {
  source = "../.."

  name              = "events"
  role              = "standalone"
  environment_owner = "lifecycle"

  hibernation = {
    hibernate = "cron(0 20 ? * MON-FRI *)"
    resume    = "cron(0 6 ? * MON-FRI *)"
  }

  event_trigger = {
    wake = true # what arrives at night does not wait for the morning

    rules = [
      {
        name    = "orders"
        buckets = ["landing-${data.aws_caller_identity.this.account_id}"]
        prefix  = "orders/"
        suffix  = ".csv"
        dataset = "s3://landing/orders" # DAGs are scheduled by it: schedule=[Dataset("s3://landing/orders")]
      },
      {
        name    = "glue"
        pattern = jsonencode({ source = ["aws.glue"], detail-type = ["Glue Job State Change"], detail = { state = ["SUCCEEDED"] } })
        dag_id  = "after_glue"
      },
    ]
  }
}

output "event_queue" {
  description = "The trigger queue, and where events are that could not be delivered."
  value       = module.mwaa.event_queue
}
