# Athena: the operator talks to Athena; Athena reads the catalog and S3 with the rights of who started the query.

locals {
  athena = coalesce(var.presets.athena, { workgroups = [], databases = [], read = [], write = [], create_tables = false, key_arns = [] })

  athena_locations = [for location in distinct(concat(local.athena.read, local.athena.write)) : {
    bucket = split("/", location)[2]
    prefix = join("/", slice(split("/", location), 3, length(split("/", location))))
  }]
  athena_buckets = distinct([for location in local.athena_locations : location.bucket])
  athena_objects = {
    read  = [for location in local.athena.read : "${local.arn}:s3:::${trimprefix(location, "s3://")}*"]
    write = [for location in local.athena.write : "${local.arn}:s3:::${trimprefix(location, "s3://")}*"]
  }
  athena_tables = concat(
    ["${local.own.glue}:catalog"],
    [for database in local.athena.databases : "${local.own.glue}:database/${database}"],
    [for database in local.athena.databases : "${local.own.glue}:table/${database}/*"],
  )

  athena_statements = [for statement in concat(
    [
      {
        Sid      = "Query"
        Effect   = "Allow"
        Action   = ["athena:GetQueryExecution", "athena:GetQueryResults", "athena:StartQueryExecution", "athena:StopQueryExecution"]
        Resource = [for workgroup in local.athena.workgroups : "${local.own.athena}:workgroup/${workgroup}"]
      },
      {
        Sid    = "ForwardedCatalog"
        Effect = "Allow"
        Action = [
          "glue:BatchGetPartition", "glue:GetDatabase", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable", "glue:GetTables",
        ]
        Resource = local.athena_tables
      },
      {
        # Athena looks it up before any query.
        Sid      = "ForwardedDefaultDatabase"
        Effect   = "Allow"
        Action   = ["glue:GetDatabase"]
        Resource = ["${local.own.glue}:catalog", "${local.own.glue}:database/default"]
      },
      {
        Sid      = "ForwardedBuckets"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
        Resource = [for bucket in local.athena_buckets : "${local.arn}:s3:::${bucket}"]
      },
      {
        Sid    = "ForwardedWrite"
        Effect = "Allow"
        Action = [
          "s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject",
        ]
        Resource = local.athena_objects.write
      },
    ],
    [for bucket in local.athena_buckets : {
      Sid      = "ForwardedList${index(local.athena_buckets, bucket)}"
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = "${local.arn}:s3:::${bucket}"
      Condition = { StringLike = { "s3:prefix" = distinct(flatten([
        for location in local.athena_locations : location.prefix == "" ? ["*"] : ["${location.prefix}*"] if location.bucket == bucket
      ])) } }
    }],
    [for objects in [local.athena_objects.read] : {
      Sid      = "ForwardedRead"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = objects
    } if length(objects) > 0],
    [for tables in [local.athena_tables] : {
      Sid    = "ForwardedTables"
      Effect = "Allow"
      Action = [
        "glue:BatchCreatePartition", "glue:BatchDeletePartition", "glue:CreatePartition", "glue:CreateTable", "glue:DeletePartition", "glue:DeleteTable", "glue:UpdatePartition",
        "glue:UpdateTable",
      ]
      Resource = tables
    } if local.athena.create_tables],
    [for keys in [local.athena.key_arns] : {
      Sid       = "ForwardedDataKeys"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = keys
      Condition = { StringEquals = { "kms:ViaService" = "s3.${var.account.region}.${var.account.dns_suffix}" } }
    } if length(keys) > 0],
  ) : statement if var.presets.athena != null]
}
