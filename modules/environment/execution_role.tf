# The role DAGs run with: what MWAA documents for it, bound to this environment, and what the caller adds.

locals {
  # Where Airflow looks for secrets, if the secrets backend is one of AWS's: the role may read there and nowhere else.
  secrets_kwargs = jsondecode(lookup(local.options, "secrets.backend_kwargs", "{}"))
  secrets_backends = {
    "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend" = {
      action   = "secretsmanager:GetSecretValue"
      arn      = "arn:${local.partition}:secretsmanager:${local.region}:${local.account_id}:secret:"
      prefixes = { connections_prefix = "airflow/connections", variables_prefix = "airflow/variables", config_prefix = "airflow/config" }
    }
    "airflow.providers.amazon.aws.secrets.systems_manager.SystemsManagerParameterStoreBackend" = {
      action   = "ssm:GetParameter"
      arn      = "arn:${local.partition}:ssm:${local.region}:${local.account_id}:parameter/"
      prefixes = { connections_prefix = "/airflow/connections", variables_prefix = "/airflow/variables", config_prefix = "/airflow/config" }
    }
  }
  secrets_backend = lookup(local.secrets_backends, lookup(local.options, "secrets.backend", ""), null)
  # A prefix set to null switches that kind of look-up off.
  secrets_prefixes = local.secrets_backend == null ? [] : [
    for prefix in values(merge(
      local.secrets_backend.prefixes,
      { for kwarg, value in local.secrets_kwargs : kwarg => value if contains(keys(local.secrets_backend.prefixes), kwarg) },
    )) : trim(prefix, "/") if prefix != null
  ]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["airflow.amazonaws.com", "airflow-env.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

data "aws_iam_policy_document" "mwaa" {
  statement {
    sid       = "PublishMetrics"
    actions   = ["airflow:PublishMetrics"]
    resources = [local.environment_arn]
  }

  statement {
    sid = "ReadBucket"
    actions = [
      "s3:GetBucketLocation",
      "s3:GetBucketPublicAccessBlock",
      "s3:GetBucketVersioning",
      "s3:GetEncryptionConfiguration",
      "s3:ListBucket",
      "s3:ListBucketVersions",
    ]
    resources = [var.dag_bucket.arn]
  }

  statement {
    sid       = "ReadObjects"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${var.dag_bucket.arn}/*"]
  }

  statement {
    sid = "WriteAndReadLogs"
    actions = [
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:GetLogEvents",
      "logs:GetLogGroupFields",
      "logs:GetLogRecord",
      "logs:GetQueryResults",
      "logs:PutLogEvents",
    ]
    resources = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:airflow-${var.name}-*"]
  }

  # None of these actions knows a finer resource than all.
  statement {
    sid       = "LookAround"
    actions   = ["logs:DescribeLogGroups", "s3:GetAccountPublicAccessBlock"]
    resources = ["*"]
  }

  # Metrics have no resource either; the namespace bounds them.
  statement {
    sid       = "PutMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = ["AmazonMWAA"]
    }
  }

  # The Celery queue lives in an account of AWS that is not published.
  statement {
    sid = "UseCeleryQueue"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
      "sqs:SendMessage",
    ]
    resources = ["arn:${local.partition}:sqs:${local.region}:*:airflow-celery-*"]
  }

  statement {
    sid       = "UseKey"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"]
    resources = distinct(compact([var.key_arn, var.environment.aws_owned_key ? null : var.environment_key_arn]))

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.${local.dns_suffix}", "sqs.${local.region}.${local.dns_suffix}"]
    }
  }

  dynamic "statement" {
    for_each = var.environment.aws_owned_key ? [1] : []

    # The key AWS owns is in no account of ours and has no ARN to name: whatever key the Celery queue uses, but none of this account.
    content {
      sid           = "UseAwsOwnedKeyOfTheQueue"
      actions       = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"]
      not_resources = ["arn:${local.partition}:kms:*:${local.account_id}:key/*"]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["sqs.${local.region}.${local.dns_suffix}"]
      }
    }
  }

  dynamic "statement" {
    for_each = length(local.secrets_prefixes) == 0 ? [] : [1]

    content {
      sid       = "ReadSecretsBackend"
      actions   = [local.secrets_backend.action]
      resources = [for prefix in local.secrets_prefixes : "${local.secrets_backend.arn}${prefix}/*"]
    }
  }
}

resource "aws_iam_role" "execution" {
  count = local.create_role ? 1 : 0

  name                 = local.execution_role_name
  path                 = var.execution_role.path
  description          = "Execution role of MWAA environment ${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.execution_role.permissions_boundary

  tags = var.tags
}

resource "aws_iam_role_policy" "mwaa" {
  count = local.create_role ? 1 : 0

  name   = "mwaa"
  role   = aws_iam_role.execution[0].name
  policy = data.aws_iam_policy_document.mwaa.json
}

resource "aws_iam_role_policy" "additional" {
  for_each = local.create_role ? var.execution_role.policy_documents : {}

  name   = each.key
  role   = aws_iam_role.execution[0].name
  policy = each.value
}
