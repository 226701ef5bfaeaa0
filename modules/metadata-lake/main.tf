# The lake: a bucket that environments export their run history to, and what makes it tables. One Region; exports may come from any.

data "aws_partition" "this" {}

data "aws_region" "this" {}

data "aws_caller_identity" "this" {}

locals {
  partition  = data.aws_partition.this.partition
  dns_suffix = data.aws_partition.this.dns_suffix
  region     = data.aws_region.this.id
  account_id = data.aws_caller_identity.this.account_id

  owns_bucket   = var.bucket == null
  bucket_name   = coalesce(var.bucket, "${lower(var.prefix)}-${local.account_id}-lake")
  bucket_arn    = "arn:${local.partition}:s3:::${local.bucket_name}"
  database_name = "${lower(replace(var.name, "-", "_"))}_metadata"

  # What environments export, as the export itself knows it: name, key and typed columns of each table.
  tables = {
    for name, table in jsondecode(file("${path.module}/../../dags/continuity/lake_tables.json")) : name => {
      about = table.about
      key   = table.key
      dated = table.day != null
      columns = concat(
        [for column in table.columns : { name = column.name, type = column.type }],
        [for column in [{ name = "row_key", type = "string" }] : column if contains(table.key, "row_key")],
        [for column in [{ name = "run_date", type = "date" }] : column if table.day != null],
        [{ name = "region", type = "string" }, { name = "version", type = "bigint" }],
      )
    }
  }
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:who reads is told by CloudTrail's data events; where access logs go is the account's decision
  #checkov:skip=CKV_AWS_144:a lake that is lost with its Region is exported anew as far as the database goes; it is best made in the secondary
  #checkov:skip=CKV2_AWS_62:nothing waits for exports; they are merged by schedule
  count = local.owns_bucket ? 1 : 0

  bucket        = local.bucket_name
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_ownership_controls" "this" {
  count = local.owns_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  count = local.owns_bucket ? 1 : 0

  bucket                  = aws_s3_bucket.this[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# Versions, because a file that something deleted by mistake takes a whole table with it.
resource "aws_s3_bucket_versioning" "this" {
  count = local.owns_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  count = local.owns_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.key_arn
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  count = local.owns_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyByTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*" # a denial, so the wildcard grants nothing
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses two changes of a bucket's access settings at once.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  #checkov:skip=CKV_AWS_300:the rule abort-incomplete-uploads does it, for every object; its empty prefix is not understood
  count = local.owns_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id

  # Of an export that was killed half-way.
  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {
      prefix = ""
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  rule {
    id     = "deleted-files"
    status = "Enabled"

    filter {
      prefix = var.key_prefix
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  rule {
    id     = "results"
    status = "Enabled"

    filter {
      prefix = "${var.key_prefix}results/"
    }

    expiration {
      days = var.result_days
    }
  }

  dynamic "rule" {
    for_each = var.export_days == null ? [] : [var.export_days]

    content {
      id     = "exports"
      status = "Enabled"

      filter {
        prefix = "${var.key_prefix}exports/"
      }

      expiration {
        days = rule.value
      }
    }
  }

  # Rules on noncurrent versions want versioning first.
  depends_on = [aws_s3_bucket_versioning.this]
}
