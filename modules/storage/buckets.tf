# The buckets this module creates. A bucket of the caller's own is never touched.

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:who reads is told by CloudTrail's data events; where access logs go is the account's decision
  for_each = local.created_buckets

  bucket        = each.value
  force_destroy = var.force_destroy

  tags = var.tags
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.created_buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.created_buckets

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.created_buckets

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.created_buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.key_arn
    }
  }
}

# To EventBridge alone: a rule of the caller's own can be added beside.
resource "aws_s3_bucket_notification" "this" {
  for_each = var.send_events ? local.created_buckets : {}

  bucket      = aws_s3_bucket.this[each.key].id
  eventbridge = true
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.created_buckets

  # A denial, so the wildcards grant nothing.
  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.bucket_arns[each.key], "${local.bucket_arns[each.key]}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.created_buckets

  bucket = aws_s3_bucket.this[each.key].id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  # S3 refuses two changes of a bucket's access settings at once.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

locals {
  abort_uploads = { abort-incomplete-uploads = { prefix = "", tag = null, expire_days = null, noncurrent_days = null } }

  # Plugins, requirements and start-up scripts keep all their versions, because a spec may name any of them; DAG files do not.
  # Below snapshots/ nothing expires by age, only what retention tagged: a year asleep loses nothing. The deletion marker that expiry leaves
  # goes by a rule of its own, because S3 allows that action in no rule with tags.
  lifecycle_rules = {
    dag = merge(local.abort_uploads, {
      superseded-dags = { prefix = "${var.dag_s3_path}/", tag = null, expire_days = null, noncurrent_days = var.noncurrent_days }
    })
    snapshot = merge(local.abort_uploads, {
      superseded-specs     = { prefix = "spec/", tag = null, expire_days = null, noncurrent_days = 7 }
      superseded-snapshots = { prefix = null, tag = "superseded", expire_days = 1, noncurrent_days = 1 }
      deletion-markers     = { prefix = "snapshots/", tag = null, expire_days = null, noncurrent_days = null }
      work                 = { prefix = "work/", tag = null, expire_days = 1, noncurrent_days = 1 }
    })
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  #checkov:skip=CKV_AWS_300:the rule abort-incomplete-uploads does it, by a dynamic block that is not seen
  for_each = local.created_buckets

  bucket = aws_s3_bucket.this[each.key].id

  dynamic "rule" {
    for_each = local.lifecycle_rules[each.key]

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        prefix = rule.value.prefix

        # Not beside a prefix: the provider would add a size there, which leaves out empty objects.
        dynamic "tag" {
          for_each = rule.value.tag == null ? [] : [rule.value.tag]

          content {
            key   = "continuity"
            value = tag.value
          }
        }
      }

      dynamic "abort_incomplete_multipart_upload" {
        for_each = rule.key == "abort-incomplete-uploads" ? [1] : []

        content {
          days_after_initiation = 1
        }
      }

      dynamic "expiration" {
        for_each = rule.value.expire_days == null ? [] : [rule.value.expire_days]

        content {
          days = expiration.value
        }
      }

      dynamic "expiration" {
        for_each = rule.key == "deletion-markers" ? [1] : []

        content {
          expired_object_delete_marker = true
        }
      }

      dynamic "noncurrent_version_expiration" {
        for_each = rule.value.noncurrent_days == null ? [] : [rule.value.noncurrent_days]

        content {
          noncurrent_days = noncurrent_version_expiration.value
        }
      }
    }
  }

  # Rules on noncurrent versions want versioning first.
  depends_on = [aws_s3_bucket_versioning.this]
}
