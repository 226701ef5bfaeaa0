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

  # What several functions need.
  read_lease = {
    Sid       = "ReadLease"
    Effect    = "Allow"
    Action    = ["dynamodb:GetItem"]
    Resource  = local.lease_replica_arn
    Condition = local.lease_item
  }
  # The lease is written where its table has its home, and read there by who decides something of it.
  read_lease_at_home = {
    Sid       = "ReadLeaseAtHome"
    Effect    = "Allow"
    Action    = ["dynamodb:GetItem"]
    Resource  = local.lease_table_arn
    Condition = local.lease_item
  }
  lease_home_key = {
    Sid       = "ForwardedLeaseHomeKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = local.lease_key_arn
    Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${local.lease_region}.${local.dns_suffix}"] } }
  }
  publish_metrics = {
    Sid       = "PublishMetrics"
    Effect    = "Allow"
    Action    = ["cloudwatch:PutMetricData"]
    Resource  = "*" # CloudWatch metrics have no ARN; the namespace narrows it
    Condition = local.own_metrics
  }
  get_environment = {
    Sid      = "GetEnvironment"
    Effect   = "Allow"
    Action   = ["airflow:GetEnvironment"]
    Resource = local.environment_arn
  }
  call_rest_api = {
    Sid      = "CallRestApi"
    Effect   = "Allow"
    Action   = ["airflow:InvokeRestApi"]
    Resource = local.rest_api_arn
  }
  hand_over_task_token = {
    Sid      = "HandOverTaskToken"
    Effect   = "Allow"
    Action   = ["s3:PutObject"]
    Resource = local.work_objects
  }
  # On the whole bucket, because without it S3 answers 403 in the place of 404 for an object that is not there.
  list_snapshot_bucket = {
    Sid      = "ListSnapshotBucket"
    Effect   = "Allow"
    Action   = ["s3:ListBucket"]
    Resource = var.snapshot_bucket.arn
  }
  open_snapshot_key = {
    Sid       = "OpenSnapshotKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = var.key_arn
    Condition = local.own_snapshot_data
  }
  lease_table_key = {
    Sid       = "ForwardedLeaseTableKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = var.key_arn
    Condition = local.via_lease_table
  }
  bucket_key = {
    Sid       = "BucketKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = var.key_arn
    Condition = local.via_storage
  }

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

  function_statements = {
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
    drill = local.drill_statements
    heartbeat_check = [
      local.publish_metrics,
      local.lease_table_key,
      {
        Sid       = "ReadBeats"
        Effect    = "Allow"
        Action    = ["dynamodb:Query"]
        Resource  = local.lease_replica_arn
        Condition = local.all_beat_items
      },
      {
        Sid      = "GetPrimaryEnvironment"
        Effect   = "Allow"
        Action   = ["airflow:GetEnvironment"]
        Resource = local.primary_environment_arn
      },
      {
        Sid      = "ReadSchedulerHeartbeat"
        Effect   = "Allow"
        Action   = ["cloudwatch:GetMetricStatistics"]
        Resource = "*" # CloudWatch metrics have no ARN
      },
    ]
    hibernation = local.hibernation_statements
    failback    = local.failback_statements
    lease = [
      local.publish_metrics,
      local.read_lease_at_home,
      local.lease_home_key,
      {
        Sid       = "WriteLease"
        Effect    = "Allow"
        Action    = ["dynamodb:UpdateItem"]
        Resource  = local.lease_table_arn
        Condition = local.lease_item
      },
      {
        Sid      = "SeeWhetherHolderStillRuns"
        Effect   = "Allow"
        Action   = ["states:DescribeExecution"]
        Resource = local.activating_execution_arns
      },
    ]
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
    retention = concat([
      local.publish_metrics,
      local.bucket_key,
      {
        Sid      = "ListSnapshots"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource = var.snapshot_bucket.arn
      },
      {
        Sid    = "ReadWhatSnapshotsAre"
        Effect = "Allow"
        Action = ["s3:GetObject"]
        Resource = [
          "${var.snapshot_bucket.arn}/snapshots/${var.name}/*/manifest.json",
          "${var.snapshot_bucket.arn}/snapshots/${var.name}/*/verification.json",
        ]
      },
      {
        Sid      = "ReadTags"
        Effect   = "Allow"
        Action   = ["s3:GetObjectTagging"]
        Resource = "${var.snapshot_bucket.arn}/snapshots/${var.name}/*/manifest.json"
      },
      {
        Sid      = "TagSnapshots"
        Effect   = "Allow"
        Action   = ["s3:DeleteObjectVersionTagging", "s3:PutObjectVersionTagging"]
        Resource = local.snapshot_objects
      },
      {
        Sid      = "KeepFacts"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = "${var.snapshot_bucket.arn}/work/${var.name}/retention/facts.json"
      },
      ],
      [for statement in [
        {
          Sid      = "ListSnapshotsOfPeer"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = try(var.peer_snapshot_bucket.arn, "")
        },
        {
          Sid    = "ReadWhatSnapshotsOfPeerAre"
          Effect = "Allow"
          Action = ["s3:GetObject"]
          Resource = [
            "${try(var.peer_snapshot_bucket.arn, "")}/snapshots/${var.name}/*/manifest.json",
            "${try(var.peer_snapshot_bucket.arn, "")}/snapshots/${var.name}/*/verification.json",
          ]
        },
        {
          Sid       = "KeyOfPeer"
          Effect    = "Allow"
          Action    = ["kms:Decrypt"]
          Resource  = try(var.peer_snapshot_bucket.key_arn, "")
          Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.peer_region}.${local.dns_suffix}"] } }
        },
      ] : statement if var.peer_snapshot_bucket != null],
    )
    replicate_existing = [
      {
        Sid      = "StartReplicationJobs"
        Effect   = "Allow"
        Action   = ["s3:CreateJob"]
        Resource = "*" # a job has no ARN before it exists
      },
      {
        Sid      = "FollowReplicationJobs"
        Effect   = "Allow"
        Action   = ["s3:DescribeJob"]
        Resource = "arn:${local.partition}:s3:${local.region}:${local.account_id}:job/*"
      },
      {
        Sid       = "PassBatchReplicationRole"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = coalesce(var.batch_replication_role_arn, "arn:${local.partition}:iam::${local.account_id}:role/none")
        Condition = { StringEquals = { "iam:PassedToService" = "batchoperations.s3.amazonaws.com" } }
      },
    ]
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
