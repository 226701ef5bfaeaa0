output "lake" {
  description = "What an environment needs to export here: bucket, its Region, prefix and key. It is what the root's `metadata_lake.lake` takes."
  value       = { bucket = local.bucket_name, region = local.region, prefix = var.key_prefix, key_arn = var.key_arn }
}

output "database" {
  description = "Name of the Glue database."
  value       = aws_glue_catalog_database.this.name
}

output "workgroup" {
  description = "Name of the Athena workgroup."
  value       = aws_athena_workgroup.this.name
}

output "state_machine_arn" {
  description = "ARN of the state machine that merges; started with `{\"tidy\": true}` it also puts files in order."
  value       = aws_sfn_state_machine.merge.arn
}

output "reader_policy" {
  description = "Policy document (JSON) for who queries the lake: its workgroup, its tables, nothing else."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Query"
        Effect = "Allow"
        Action = [
          "athena:GetNamedQuery", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup",
          "athena:ListNamedQueries", "athena:ListQueryExecutions", "athena:StartQueryExecution", "athena:StopQueryExecution",
        ]
        Resource = "arn:${local.partition}:athena:${local.region}:${local.account_id}:workgroup/${aws_athena_workgroup.this.name}"
      },
      {
        Sid      = "SeeTables"
        Effect   = "Allow"
        Action   = ["glue:GetDatabase", "glue:GetPartitions", "glue:GetTable", "glue:GetTables"]
        Resource = local.glue_arns
      },
      {
        Sid      = "ReadTables"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${local.objects_arn}exports/*", "${local.objects_arn}tables/*", "${local.objects_arn}results/*"]
      },
      {
        Sid      = "WriteResults"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"]
        Resource = "${local.objects_arn}results/*"
      },
      {
        Sid      = "FindObjects"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
        Resource = local.bucket_arn
      },
      {
        Sid       = "BucketKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.key_arn
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.${local.dns_suffix}"] } }
      },
    ]
  })
}
