# What each function may do, and nothing more. A statement whose Sid starts with "Forwarded" is evaluated by an AWS
# service on the function's behalf: the function itself never makes that call.

locals {
  snapshot_objects = "${var.snapshot_bucket.arn}/snapshots/${var.name}/*"
  spec_objects     = "${var.snapshot_bucket.arn}/spec/${var.name}/*"
  work_objects     = "${var.snapshot_bucket.arn}/work/${var.name}/*"
  airflowignore    = "${var.dag_bucket.arn}/${local.dag_folder}/.airflowignore"
  network_arns     = "arn:${local.partition}:ec2:${local.region}:${local.account_id}"
  via_storage      = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.${local.dns_suffix}"] } }
  via_lease_table  = { StringEquals = { "kms:ViaService" = ["dynamodb.${local.region}.${local.dns_suffix}"] } }
  own_metrics      = { StringEquals = { "cloudwatch:namespace" = "MwaaContinuity" } }
  lease_item       = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["lease"] } }
  all_beat_items   = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["beat#*"] } }
  own_beat_items   = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["beat#${local.region}"] } }
  # Without one AWS owns the key, and there is nothing to grant.
  environment_key_arn     = coalesce(var.environment_key_arn, "arn:${local.partition}:kms:${local.region}:${local.account_id}:key/none")
  service_linked_role_arn = "arn:${local.partition}:iam::${local.account_id}:role/aws-service-role/airflow.amazonaws.com/AWSServiceRoleForAmazonMWAA"
  own_snapshot_data       = { StringEquals = { "kms:EncryptionContext:environment" = var.name } }

  function_statements = {
    approval = local.approval_statements
    backup = [
      local.read_lease,
      local.get_environment,
      local.call_rest_api,
      local.list_snapshot_bucket,
      local.hand_over_task_token,
      local.publish_metrics,
      local.open_snapshot_key,
      local.lease_table_key,
      local.bucket_key,
      {
        Sid      = "StoreSpec"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = "${var.snapshot_bucket.arn}/snapshots/${var.name}/*/spec.json"
      },
      {
        Sid      = "ReadSnapshots"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = local.snapshot_objects
      },
    ]
    drill           = local.drill_statements
    dry_run         = local.dry_run_statements
    heartbeat_check = concat([local.publish_metrics], local.watch_statements)
    hibernation     = local.hibernation_statements
    failback        = local.failback_statements
    lease = concat([
      local.read_lease_at_home,
      local.lease_home_key,
      local.see_holder,
      {
        Sid       = "WriteLease"
        Effect    = "Allow"
        Action    = ["dynamodb:UpdateItem"]
        Resource  = local.lease_table_arn
        Condition = local.lease_item
      },
      ],
      # Only the secondary is asked whether it may take over.
      [for statement in [local.publish_metrics, local.read_question] : statement if var.role == "secondary"],
    )
    preflight = local.preflight_statements
    recreate = concat([
      local.get_environment,
      local.list_snapshot_bucket,
      local.bucket_key,
      {
        Sid      = "ReadSpecs"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [local.spec_objects, "${var.snapshot_bucket.arn}/snapshots/${var.name}/*/spec.json"]
      },
      {
        Sid      = "RememberRevealed"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = "${var.snapshot_bucket.arn}/spec/${var.name}/revealed.${local.region}.json"
      },
      {
        Sid      = "HideAndRevealDags"
        Effect   = "Allow"
        Action   = local.creates_environment ? ["s3:DeleteObjectVersion", "s3:PutObject"] : ["s3:DeleteObjectVersion"]
        Resource = local.airflowignore
      },
      {
        # The whole bucket, because a spec says where plugins and requirements are.
        Sid      = "FindFilesOfSpec"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = local.creates_environment ? "${var.dag_bucket.arn}/*" : local.airflowignore
      },
      {
        Sid      = "ListDags"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource = var.dag_bucket.arn
      },
      ],
      [for statement in local.creation_statements : statement if local.creates_environment],
      [for statement in [
        {
          Sid      = "GetPrimaryEnvironment"
          Effect   = "Allow"
          Action   = ["airflow:GetEnvironment"]
          Resource = local.primary_environment_arn
        },
        {
          Sid      = "StoreObservedSpec"
          Effect   = "Allow"
          Action   = ["s3:PutObject"]
          Resource = "${var.snapshot_bucket.arn}/spec/${var.name}/observed.${local.primary_region}.json"
        },
      ] : statement if var.role == "secondary"],
      [for statement in local.removal_statements : statement if local.hibernates || var.role == "secondary"],
      [for statement in [local.publish_address] : statement if local.hibernates],
      [for statement in [local.read_lease, local.lease_table_key] : statement if var.role == "secondary"],
      [for statement in local.standby_statements : statement if local.keeps_standby],
    )
    restore = concat([
      local.get_environment,
      local.call_rest_api,
      local.list_snapshot_bucket,
      local.hand_over_task_token,
      local.open_snapshot_key,
      local.bucket_key,
      {
        Sid      = "ReadSnapshots"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = local.snapshot_objects
      },
      ],
      [for statement in local.refresh_statements : statement if local.refreshes],
      [for statement in [local.publish_metrics] : statement if try(var.hibernation.smoke, null) != null],
    )
    retention          = local.retention_statements
    replicate_existing = local.replicate_existing_statements
  }

  vpc_statements = [
    {
      Sid    = "ForwardedNetworkInterfaces"
      Effect = "Allow"
      Action = ["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:UnassignPrivateIpAddresses"]
      Resource = concat(
        ["${local.network_arns}:network-interface/*", "${local.network_arns}:security-group/*"],
        [for subnet in var.network.subnet_ids : "${local.network_arns}:subnet/${subnet}"],
      )
    },
    {
      Sid      = "ForwardedNetworkInterfaceRemoval"
      Effect   = "Allow"
      Action   = ["ec2:DeleteNetworkInterface"]
      Resource = "${local.network_arns}:*/*" # Lambda refuses the role when this names a resource type
    },
    {
      Sid      = "ForwardedNetworkInterfaceLookup"
      Effect   = "Allow"
      Action   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
      Resource = "*" # EC2 describes everything or nothing
    },
  ]
}

resource "aws_iam_role" "function" {
  for_each = local.function_names

  # A function and a machine may share a name; roles may not.
  name                 = "${each.value}-function"
  description          = "Function ${each.value}"
  path                 = var.function_roles.path
  permissions_boundary = var.function_roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.function_names

  name = each.key
  role = aws_iam_role.function[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.function_statements[each.key],
      [{
        Sid      = "ForwardedLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/aws/lambda/${each.value}:*"
      }],
      [for statement in local.vpc_statements : statement if contains(local.functions_in_vpc, each.key)],
    )
  })
}
