# Where everything durable of one Region lives: one key, the DAG bucket, the snapshot bucket.

data "aws_region" "current" {}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  region     = data.aws_region.current.id
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  account_id = data.aws_caller_identity.current.account_id

  # Names are made of what is known before anything exists, so that plans, and the policies that carry them, are readable.
  bucket_names = {
    dag      = coalesce(var.dag_bucket.name, "${lower(var.prefix)}-${local.account_id}-dags")
    snapshot = coalesce(var.snapshot_bucket.name, "${lower(var.prefix)}-${local.account_id}-snapshots")
  }
  bucket_arns = { for kind, name in local.bucket_names : kind => "arn:${local.partition}:s3:::${name}" }

  created_buckets = {
    for kind, bucket in { dag = var.dag_bucket, snapshot = var.snapshot_bucket } : kind => local.bucket_names[kind]
    if coalesce(bucket.create, bucket.name == null)
  }
}
