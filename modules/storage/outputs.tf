output "key_arn" {
  description = "ARN of the key of this Region."
  value       = local.key_arn
}

output "environment_key_arn" {
  description = "ARN of the single-Region key MWAA encrypts the environment with; null where AWS owns that key."
  value       = local.environment_key_arn
}

output "dag_bucket" {
  description = "Name and ARN of the DAG bucket. Both are known before the bucket exists; it can be used once it is encrypted, versioned and replicated."
  value       = { name = local.bucket_names["dag"], arn = local.bucket_arns["dag"] }

  depends_on = [
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_public_access_block.this,
    aws_s3_bucket_replication_configuration.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}

output "snapshot_bucket" {
  description = "Name and ARN of the snapshot bucket. Both are known before the bucket exists; it can be used once it is encrypted, versioned and replicated."
  value       = { name = local.bucket_names["snapshot"], arn = local.bucket_arns["snapshot"] }

  depends_on = [
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_public_access_block.this,
    aws_s3_bucket_replication_configuration.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}

output "peer_snapshot_bucket" {
  description = "ARN of the other Region's snapshot bucket and of the key of its objects; null in a standalone. Where `peer` does not say, it is the bucket this module names there, and the same multi-Region key."
  value = var.peer == null ? null : {
    arn     = coalesce(var.peer.snapshot_bucket_arn, "arn:${local.partition}:s3:::${lower("${trimsuffix(var.prefix, local.region)}${var.peer.region}")}-${local.account_id}-snapshots")
    key_arn = coalesce(var.peer.key_arn, replace(local.key_arn, ":${local.region}:", ":${var.peer.region}:"))
  }
}

output "replication_role_arn" {
  description = "ARN of the role S3 replicates with; null unless this Region is the primary."
  value       = one(aws_iam_role.replication[*].arn)
}

output "batch_replication_role_arn" {
  description = "ARN of the role S3 Batch Replication runs with; null unless this Region is the primary."
  value       = one(aws_iam_role.batch_replication[*].arn)
}

output "replication_rules" {
  description = "For each bucket of the caller's own (`dag`, `snapshot`) the replication configuration it needs, as the document PutBucketReplication takes. Add its rules to those of the bucket; nothing here writes to it."
  value       = local.replication_documents
}
