# What is there before the plan that is recorded for the tests of examples/ci/plan_review.

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

variable "password" {
  type        = string
  description = "Stands for anything that must not be shown."
  sensitive   = true
}

module "storage" {
  source = "../../../../../modules/storage"

  name   = "reviewed"
  prefix = "reviewed-us-east-1"
  role   = "standalone"
}

resource "aws_dynamodb_table" "ledger" {
  name         = "ledger"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"

  attribute {
    name = "pk"
    type = "S"
  }
}

resource "aws_ssm_parameter" "password" {
  name  = "/reviewed/password"
  type  = "SecureString"
  value = var.password
}

resource "aws_iam_role" "worker" {
  name = "reviewed-worker"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "worker" {
  role = aws_iam_role.worker.name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = "arn:aws:s3:::reviewed/*" }]
  })
}

resource "aws_kms_key" "old" {
  description = "of former times"
}

resource "aws_sns_topic" "old_name" {
  name = "reviewed"
}

resource "aws_cloudwatch_log_group" "kept" {
  name              = "/reviewed/kept"
  retention_in_days = 30
}

resource "aws_cloudwatch_log_group" "let_go" {
  name = "/reviewed/let-go"
}

resource "aws_cloudwatch_log_group" "each" {
  for_each = toset(["a"])

  name = "/reviewed/each/${each.key}"
}

output "table" {
  value = aws_dynamodb_table.ledger.arn
}

output "greeting" {
  value = "before"
}

output "password" {
  value     = var.password
  sensitive = true
}
