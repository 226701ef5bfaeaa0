# Replication from the primary to the secondary. The secondary replicates nothing: its peer's buckets may be gone for good.

locals {
  replicate = var.role == "primary"

  # Prefixes that are replicated, per bucket. Deletions of DAGs follow; a snapshot deleted here stays there.
  own_rules = {
    dag = [
      { id = "continuity-dags", priority = 1, prefix = "", delete_markers = true },
    ]
    snapshot = [
      { id = "continuity-snapshots", priority = 1, prefix = "snapshots/", delete_markers = false },
      { id = "continuity-spec", priority = 2, prefix = "spec/", delete_markers = false },
    ]
  }

  peer_bucket_arns = local.replicate ? { dag = var.peer.dag_bucket_arn, snapshot = var.peer.snapshot_bucket_arn } : {}

  replication_rules = {
    for kind, rules in local.own_rules : kind => concat(
      [for rule in rules : {
        id             = rule.id
        priority       = rule.priority
        prefix         = rule.prefix
        delete_markers = rule.delete_markers
        bucket_arn     = local.peer_bucket_arns[kind]
        key_arn        = var.peer.key_arn
        region         = var.peer.region
        storage_class  = "STANDARD"
      }],
      [for rule in var.additional_replication_rules[kind] : {
        id             = rule.id
        priority       = rule.priority
        prefix         = rule.prefix
        delete_markers = rule.delete_marker_replication
        bucket_arn     = rule.destination_bucket_arn
        key_arn        = rule.destination_key_arn
        region         = rule.destination_region
        storage_class  = rule.storage_class
      }],
    ) if local.replicate
  }

  # The same as the ReplicationConfiguration document of S3, for buckets of the caller's own.
  replication_documents = {
    for kind, rules in local.replication_rules : kind => {
      Role = aws_iam_role.replication[0].arn
      Rules = [for rule in rules : {
        ID                      = rule.id
        Priority                = rule.priority
        Status                  = "Enabled"
        Filter                  = { Prefix = rule.prefix }
        DeleteMarkerReplication = { Status = rule.delete_markers ? "Enabled" : "Disabled" }
        SourceSelectionCriteria = { SseKmsEncryptedObjects = { Status = "Enabled" } }
        Destination = {
          Bucket                  = rule.bucket_arn
          StorageClass            = rule.storage_class
          EncryptionConfiguration = { ReplicaKmsKeyID = rule.key_arn }
          ReplicationTime         = { Status = "Enabled", Time = { Minutes = 15 } }
          Metrics                 = { Status = "Enabled", EventThreshold = { Minutes = 15 } }
        }
      }]
    } if !contains(keys(local.created_buckets), kind)
  }

  # Every place this Region's objects go to, by Region: a role grants the use of a key only through S3 of the Region it is in.
  destinations = flatten([for kind, rules in local.replication_rules : rules])
  destination_regions = {
    for region in distinct(local.destinations[*].region) : region => {
      bucket_arns = distinct([for destination in local.destinations : destination.bucket_arn if destination.region == region])
      key_arns    = distinct([for destination in local.destinations : destination.key_arn if destination.region == region])
    }
  }
}

data "aws_iam_policy_document" "replication_trust" {
  count = local.replicate ? 1 : 0

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "replication" {
  count = local.replicate ? 1 : 0

  statement {
    sid       = "ReadConfiguration"
    actions   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
    resources = values(local.bucket_arns)
  }

  statement {
    sid     = "ReadVersions"
    actions = ["s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"]
    resources = distinct(flatten([
      for kind, rules in local.replication_rules : [for rule in rules : "${local.bucket_arns[kind]}/${rule.prefix}*"]
    ]))
  }

  statement {
    sid       = "WriteReplicas"
    actions   = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"]
    resources = distinct([for destination in local.destinations : "${destination.bucket_arn}/${destination.prefix}*"])
  }

  statement {
    sid       = "Decrypt"
    actions   = ["kms:Decrypt"]
    resources = [local.key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.${local.dns_suffix}"]
    }

    # With a bucket key the context is the bucket, without one it is the object.
    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:aws:s3:arn"
      values   = flatten([for arn in values(local.bucket_arns) : [arn, "${arn}/*"]])
    }
  }

  dynamic "statement" {
    for_each = local.destination_regions

    content {
      sid       = "Encrypt${replace(title(replace(statement.key, "-", " ")), " ", "")}"
      actions   = ["kms:Encrypt", "kms:GenerateDataKey"]
      resources = statement.value.key_arns

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${statement.key}.${local.dns_suffix}"]
      }

      condition {
        test     = "StringLike"
        variable = "kms:EncryptionContext:aws:s3:arn"
        values   = flatten([for arn in statement.value.bucket_arns : [arn, "${arn}/*"]])
      }
    }
  }
}

resource "aws_iam_role" "replication" {
  count = local.replicate ? 1 : 0

  name               = "${var.prefix}-replication"
  description        = "Replicates DAGs, snapshots and specs of environment ${var.name} to ${var.peer.region}"
  assume_role_policy = data.aws_iam_policy_document.replication_trust[0].json

  tags = var.tags
}

resource "aws_iam_role_policy" "replication" {
  count = local.replicate ? 1 : 0

  name   = "replicate"
  role   = aws_iam_role.replication[0].name
  policy = data.aws_iam_policy_document.replication[0].json
}

resource "aws_s3_bucket_replication_configuration" "this" {
  for_each = local.replicate ? local.created_buckets : {}

  bucket = aws_s3_bucket.this[each.key].id
  role   = aws_iam_role.replication[0].arn

  dynamic "rule" {
    for_each = local.replication_rules[each.key]

    content {
      id       = rule.value.id
      priority = rule.value.priority
      status   = "Enabled"

      filter {
        prefix = rule.value.prefix
      }

      delete_marker_replication {
        status = rule.value.delete_markers ? "Enabled" : "Disabled"
      }

      # Without this, S3 silently skips every object that is encrypted with KMS, which is all of them.
      source_selection_criteria {
        sse_kms_encrypted_objects {
          status = "Enabled"
        }
      }

      destination {
        bucket        = rule.value.bucket_arn
        storage_class = rule.value.storage_class

        encryption_configuration {
          replica_kms_key_id = rule.value.key_arn
        }

        replication_time {
          status = "Enabled"

          time {
            minutes = 15
          }
        }

        metrics {
          status = "Enabled"

          event_threshold {
            minutes = 15
          }
        }
      }
    }
  }

  depends_on = [
    aws_iam_role_policy.replication,
    aws_s3_bucket_versioning.this,
  ]
}
