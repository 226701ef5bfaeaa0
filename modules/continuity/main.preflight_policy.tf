# What the preflight may look at: everything that a creation of the environment needs, and nothing that can be changed.

locals {
  preflight_statements = concat([local.publish_metrics], local.look_statements)

  look_statements = [
    local.get_environment,
    local.list_snapshot_bucket,
    local.open_snapshot_key,
    {
      Sid      = "ReadSpecsAndSnapshots"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = concat([local.spec_objects], [for name in ["manifest", "spec", "verification"] : "${var.snapshot_bucket.arn}/snapshots/${var.name}/*/${name}.json"])
    },
    {
      Sid       = "ReadBucketKey"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = var.key_arn
      Condition = local.via_storage
    },
    {
      Sid      = "LookAtDagBucket"
      Effect   = "Allow"
      Action   = ["s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning", "s3:ListBucket"]
      Resource = var.dag_bucket.arn
    },
    {
      # The whole bucket, because the spec says where plugins and requirements are. Of all but the latter only the heads are asked for.
      Sid      = "FindFilesOfSpec"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectVersion"]
      Resource = "${var.dag_bucket.arn}/*"
    },
    {
      Sid      = "LookAtRoles"
      Effect   = "Allow"
      Action   = ["iam:GetRole"]
      Resource = [var.execution_role.arn, local.service_linked_role_arn]
    },
    {
      Sid      = "LookAtKeyOfEnvironment"
      Effect   = "Allow"
      Action   = ["kms:DescribeKey", "kms:GetKeyPolicy"]
      Resource = local.environment_key_arn
    },
    {
      Sid      = "LookAtKeyOfLogGroups"
      Effect   = "Allow"
      Action   = ["kms:DescribeKey"]
      Resource = var.key_arn
    },
    {
      # None of these knows a finer resource than all.
      Sid    = "LookAround"
      Effect = "Allow"
      Action = [
        "airflow:ListEnvironments",
        "ec2:DescribeNetworkAcls",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcEndpoints",
        "logs:DescribeLogGroups",
        "servicequotas:GetServiceQuota",
      ]
      Resource = "*"
    },
  ]
}
