# Two keys per Region. What crosses Regions (DAGs, snapshots, the lease table) is under a multi-Region key. The secondary owns it, because
# it must outlive the primary; the primary holds a replica, so that what is sealed in one Region opens in the other. The environment itself
# has a key of its own, because MWAA supports neither multi-Region keys nor aliases.

locals {
  create_key     = coalesce(var.key.create, var.key.arn == null)
  create_primary = local.create_key && var.role != "primary"
  create_replica = local.create_key && var.role == "primary"

  key_arn       = local.create_primary ? aws_kms_key.this[0].arn : local.create_replica ? aws_kms_replica_key.this[0].arn : var.key.arn
  deletion_days = var.force_destroy ? 7 : 30

  create_environment_key = var.environment_key == null ? false : coalesce(var.environment_key.create, var.environment_key.arn == null)
  environment_key_arn    = local.create_environment_key ? aws_kms_key.environment[0].arn : try(var.environment_key.arn, null)

  # What whoever administers keys in the account may do. No wildcard, so that new actions of KMS are not granted unseen.
  key_actions = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
  ]
  log_key_actions = [
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
  ]
}

# In a key policy the resource is always "*": it means this key.
data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_111:in a key policy "*" means this key
  #checkov:skip=CKV_AWS_356:in a key policy "*" means this key
  statement {
    sid       = "DelegateToIam"
    actions   = concat(local.key_actions, ["kms:ReplicateKey", "kms:UpdatePrimaryRegion"])
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
    }
  }

  statement {
    sid       = "CloudWatchLogsOfThisRegion"
    actions   = local.log_key_actions
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.${local.dns_suffix}"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:*"]
    }
  }

  # Alarms and EventBridge rules publish to the encrypted topic. EventBridge sends no aws:SourceAccount here; the topic in the encryption
  # context says whose it is.
  statement {
    sid       = "NoticesToTopicsOfThisAccount"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "events.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:sns:topicArn"
      values   = ["arn:${local.partition}:sns:${local.region}:${local.account_id}:*"]
    }
  }
}

resource "aws_kms_key" "this" {
  count = local.create_primary ? 1 : 0

  description             = "MWAA environment ${var.name}: DAGs, snapshots, lease, logs"
  multi_region            = true
  enable_key_rotation     = true
  deletion_window_in_days = local.deletion_days
  policy                  = data.aws_iam_policy_document.key.json

  tags = var.tags
}

# A replica rotates with its primary.
resource "aws_kms_replica_key" "this" {
  count = local.create_replica ? 1 : 0

  description             = "MWAA environment ${var.name}: DAGs, snapshots, lease, logs"
  primary_key_arn         = var.peer.key_arn
  deletion_window_in_days = local.deletion_days
  policy                  = data.aws_iam_policy_document.key.json

  tags = var.tags
}

# For people: nothing refers to it.
resource "aws_kms_alias" "this" {
  count = local.create_key ? 1 : 0

  name          = "alias/${var.prefix}"
  target_key_id = local.key_arn
}

data "aws_iam_policy_document" "environment_key" {
  #checkov:skip=CKV_AWS_111:in a key policy "*" means this key
  #checkov:skip=CKV_AWS_356:in a key policy "*" means this key
  count = local.create_environment_key ? 1 : 0

  # MWAA itself comes in by grants, which it makes with the permissions of whoever creates the environment.
  statement {
    sid       = "DelegateToIam"
    actions   = local.key_actions
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
    }
  }

  statement {
    sid       = "CloudWatchLogsOfTheEnvironment"
    actions   = local.log_key_actions
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.${local.dns_suffix}"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:airflow-${var.name}-*"]
    }
  }
}

resource "aws_kms_key" "environment" {
  count = local.create_environment_key ? 1 : 0

  description             = "MWAA environment ${var.name}: metadata database, queue, logs"
  multi_region            = false
  enable_key_rotation     = true
  deletion_window_in_days = local.deletion_days
  policy                  = data.aws_iam_policy_document.environment_key[0].json

  tags = var.tags
}

# For people: MWAA is given the ARN of the key.
resource "aws_kms_alias" "environment" {
  count = local.create_environment_key ? 1 : 0

  name          = "alias/${var.prefix}-environment"
  target_key_id = aws_kms_key.environment[0].key_id
}
