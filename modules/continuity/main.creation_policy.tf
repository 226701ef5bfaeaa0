# What it takes to create an environment: who may call MWAA for it, and what MWAA does on the caller's behalf.

locals {
  creation_statements = [
    {
      Sid      = "CreateEnvironment"
      Effect   = "Allow"
      Action   = ["airflow:CreateEnvironment", "airflow:TagResource"]
      Resource = local.environment_arn
    },
    {
      Sid       = "PassExecutionRole"
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = var.execution_role.arn
      Condition = { StringEquals = { "iam:PassedToService" = ["airflow.amazonaws.com", "airflow-env.amazonaws.com"] } }
    },
    {
      Sid      = "ForwardedNetworkLookup"
      Effect   = "Allow"
      Action   = ["ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
      Resource = "*" # EC2 describes everything or nothing
    },
    {
      Sid    = "ForwardedNetworkEndpoints"
      Effect = "Allow"
      Action = ["ec2:CreateNetworkInterface", "ec2:CreateVpcEndpoint"]
      Resource = concat(
        ["${local.network_arns}:network-interface/*", "${local.network_arns}:security-group/*", "${local.network_arns}:vpc-endpoint/*", "${local.network_arns}:vpc/${var.network.vpc_id}"],
        [for subnet in var.network.subnet_ids : "${local.network_arns}:subnet/${subnet}"],
      )
    },
    {
      Sid      = "ForwardedBucketEncryption"
      Effect   = "Allow"
      Action   = ["s3:GetEncryptionConfiguration"]
      Resource = var.dag_bucket.arn
    },
    {
      # Without conditions, like the policy AWS publishes for creating environments: by which service the calls come is not documented.
      Sid    = "ForwardedEnvironmentKey"
      Effect = "Allow"
      Action = [
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ListGrants",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
        "kms:RevokeGrant",
      ]
      Resource = local.environment_key_arn
    },
    {
      # Exists once MWAA has been used in the account; the first environment creates it.
      Sid       = "ForwardedServiceLinkedRole"
      Effect    = "Allow"
      Action    = ["iam:CreateServiceLinkedRole"]
      Resource  = local.service_linked_role_arn
      Condition = { StringEquals = { "iam:AWSServiceName" = "airflow.amazonaws.com" } }
    },
  ]
}
