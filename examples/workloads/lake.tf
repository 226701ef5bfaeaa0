# A small lake: CSV arrives below landing/orders/day=.../, Glue writes Parquet, Athena reads it.

locals {
  jobs = { for job in ["orders_to_parquet", "sales_by_product"] : job => "${local.name}-${replace(job, "_", "-")}" }
}

resource "aws_s3_bucket" "lake" {
  #checkov:skip=CKV_AWS_18:where access logs go is the account's decision
  #checkov:skip=CKV_AWS_21:what is here is made of what lands, and can be made again
  #checkov:skip=CKV_AWS_144:what is here is made of what lands, and can be made again
  #checkov:skip=CKV_AWS_145:keys of S3 need no grant for every reader of an example
  #checkov:skip=CKV2_AWS_61:how long files are kept is the reader's decision
  #checkov:skip=CKV2_AWS_62:nobody waits for its objects
  bucket = local.bucket
}

resource "aws_s3_bucket_public_access_block" "lake" {
  bucket = aws_s3_bucket.lake.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "script" {
  for_each = fileset("${path.module}/scripts", "*.py")

  bucket      = aws_s3_bucket.lake.id
  key         = "scripts/${each.value}"
  source      = "${path.module}/scripts/${each.value}"
  source_hash = filemd5("${path.module}/scripts/${each.value}")
}

resource "aws_glue_catalog_database" "lake" {
  name = local.name
}

resource "aws_athena_workgroup" "lake" {
  name          = local.name
  force_destroy = true

  configuration {
    bytes_scanned_cutoff_per_query     = 10 * 1024 * 1024 * 1024
    publish_cloudwatch_metrics_enabled = true

    result_configuration {
      output_location = "${local.lake}/results/"

      encryption_configuration {
        encryption_option = "SSE_S3"
      }
    }
  }
}

resource "aws_glue_job" "this" {
  #checkov:skip=CKV_AWS_195:the bucket encrypts what it writes; a security configuration would bring keys for logs and bookmarks
  for_each = local.jobs

  name              = each.value
  role_arn          = aws_iam_role.glue.arn
  glue_version      = "5.0"
  worker_type       = "G.1X"
  number_of_workers = 2
  timeout           = 60

  command {
    script_location = "${local.lake}/${aws_s3_object.script["${each.key}.py"].key}"
  }

  default_arguments = { "--job-language" = "python" }
}

resource "aws_iam_role" "glue" {
  name = "${local.name}-glue"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "glue.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "glue" {
  name   = "lake"
  role   = aws_iam_role.glue.name
  policy = data.aws_iam_policy_document.glue.json
}

data "aws_iam_policy_document" "glue" {
  statement {
    actions   = ["s3:GetObject"]
    resources = [for prefix in ["scripts", "landing/orders", "orders", "sales"] : "arn:aws:s3:::${local.bucket}/${prefix}/*"]
  }

  statement {
    actions   = ["s3:DeleteObject", "s3:PutObject"]
    resources = [for prefix in ["orders", "sales"] : "arn:aws:s3:::${local.bucket}/${prefix}/*"]
  }

  statement {
    actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
    resources = ["arn:aws:s3:::${local.bucket}"]
  }

  statement {
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["arn:aws:logs:us-east-1:${data.aws_caller_identity.this.account_id}:log-group:/aws-glue/*"]
  }
}
