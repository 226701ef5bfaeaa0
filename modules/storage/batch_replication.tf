# What S3 Batch Replication may do, which copies the objects that were there before replication was. S3 makes the list of them itself and
# keeps no report, so the role needs no place to write to.

data "aws_iam_policy_document" "batch_replication_trust" {
  count = local.replicate ? 1 : 0

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["batchoperations.s3.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "batch_replication" {
  count = local.replicate ? 1 : 0

  statement {
    sid     = "Replicate"
    actions = ["s3:InitiateReplication"]
    resources = distinct(flatten([
      for kind, rules in local.replication_rules : [for rule in rules : "${local.bucket_arns[kind]}/${rule.prefix}*"]
    ]))
  }

  statement {
    sid       = "ListWhatIsThere"
    actions   = ["s3:GetReplicationConfiguration", "s3:PutInventoryConfiguration"]
    resources = values(local.bucket_arns)
  }
}

resource "aws_iam_role" "batch_replication" {
  count = local.replicate ? 1 : 0

  name               = "${var.prefix}-batch-replication"
  description        = "Replicates what was in the buckets of environment ${var.name} before replication was set up"
  assume_role_policy = data.aws_iam_policy_document.batch_replication_trust[0].json

  tags = var.tags
}

resource "aws_iam_role_policy" "batch_replication" {
  count = local.replicate ? 1 : 0

  name   = "replicate-existing"
  role   = aws_iam_role.batch_replication[0].name
  policy = data.aws_iam_policy_document.batch_replication[0].json
}
