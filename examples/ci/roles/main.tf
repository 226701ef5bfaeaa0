# The roles of the pipeline in one account. Apply it once by hand; its outputs are the variables that the workflows name.

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

variable "account" {
  type        = string
  description = "The folder below accounts/ that this account is."
  nullable    = false
}

variable "repository" {
  type        = string
  description = "The repository on GitHub, as <owner>/<name>. Only its jobs are admitted."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "`repository` must be <owner>/<name>, without wildcards."
  }
}

variable "state_bucket_arns" {
  type        = set(string)
  description = "Buckets that hold the state of this account's roots, below <account>/."
  nullable    = false
}

variable "plan_bucket_arn" {
  type        = string
  description = "Encrypted bucket for saved plans, whose objects expire after some days."
  nullable    = false
}

variable "key_arns" {
  type        = set(string)
  description = "Keys of the state buckets, the plan bucket and the DAG bucket."
  nullable    = false
}

variable "dag_bucket_arn" {
  type        = string
  description = "The module's DAG bucket."
  nullable    = false
}

variable "image_repository_arn" {
  type        = string
  description = "The ECR repository for images of container tasks."
  nullable    = false
}

variable "read_policy_arns" {
  type        = set(string)
  description = "Policies of your own that let a plan read what the module's resources are. Not AWS's ReadOnlyAccess: that reads what is in the buckets, too."
  nullable    = false
}

variable "apply_policy_arns" {
  type        = set(string)
  description = "Policies of your own that let an apply create, change and delete what the module consists of; best under a permissions boundary."
  nullable    = false
}

locals {
  issuer = "token.actions.githubusercontent.com"

  # Exactly one subject each: whoever opens a pull request gets the first, and nothing more.
  subjects = {
    review = "pull_request"
    plan   = "ref:refs/heads/main"
    apply  = "environment:${var.account}"
    dags   = "environment:dags"
    images = "environment:images"
  }

  read_state = [
    { Sid = "ListState", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [for arn in var.state_bucket_arns : arn] },
    { Sid = "ReadState", Effect = "Allow", Action = ["s3:GetObject"], Resource = [for arn in var.state_bucket_arns : "${arn}/${var.account}/*"] },
    { Sid = "LockState", Effect = "Allow", Action = ["s3:PutObject", "s3:DeleteObject"], Resource = [for arn in var.state_bucket_arns : "${arn}/${var.account}/*.tflock"] },
    { Sid = "OpenState", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [for arn in var.key_arns : arn] },
  ]

  statements = {
    review = local.read_state

    plan = concat(local.read_state, [
      { Sid = "SavePlan", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${var.plan_bucket_arn}/*"] },
    ])

    apply = concat(local.read_state, [
      { Sid = "WriteState", Effect = "Allow", Action = ["s3:PutObject"], Resource = [for arn in var.state_bucket_arns : "${arn}/${var.account}/*"] },
      { Sid = "ReadPlan", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${var.plan_bucket_arn}/*"] },
    ])

    dags = [
      { Sid = "ListDags", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [var.dag_bucket_arn] },
      { Sid = "WriteDags", Effect = "Allow", Action = ["s3:PutObject", "s3:DeleteObject"], Resource = ["${var.dag_bucket_arn}/dags/*"] },
      { Sid = "WriteRequirements", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${var.dag_bucket_arn}/requirements.txt"] },
      { Sid = "EncryptDags", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [for arn in var.key_arns : arn] },
      # The metadata DAGs are Terraform's.
      { Sid = "LeaveMetadataDags", Effect = "Deny", Action = ["s3:PutObject", "s3:DeleteObject"], Resource = ["${var.dag_bucket_arn}/dags/continuity*", "${var.dag_bucket_arn}/dags/.airflowignore"] },
    ]

    images = [
      { Sid = "LogIn", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] }, # it is of no repository
      {
        Sid      = "Push"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]
        Resource = [var.image_repository_arn]
      },
    ]
  }

  attached = merge(
    { for arn in var.read_policy_arns : "review ${arn}" => { role = "review", arn = arn } },
    { for arn in var.read_policy_arns : "plan ${arn}" => { role = "plan", arn = arn } },
    { for arn in var.apply_policy_arns : "apply ${arn}" => { role = "apply", arn = arn } },
  )
}

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "this" {
  for_each = local.subjects

  name                 = "pipeline-${each.key}"
  description          = "Jobs of ${var.repository}: ${each.value}"
  max_session_duration = each.key == "apply" ? 7200 : 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = aws_iam_openid_connect_provider.github.arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = "repo:${var.repository}:${each.value}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.statements

  name   = "pipeline"
  role   = aws_iam_role.this[each.key].name
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.attached

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = each.value.arn
}

output "role_arns" {
  description = "REVIEW_ROLE_<account>, PLAN_ROLE_<account>, APPLY_ROLE_<account>, DAG_ROLE and IMAGE_ROLE of the repository."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}
