# The lease: which Region is active. One item with a fencing token, in a table whose home is the secondary, because it
# must outlive the primary; the primary keeps a replica, to which its canary DAG writes the beats.

locals {
  owns_lease_table  = var.role != "primary"
  lease_table_arn   = local.owns_lease_table ? "arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/${var.prefix}-lease" : var.peer.lease_table_arn
  lease_table_name  = local.owns_lease_table ? "${var.prefix}-lease" : element(split("/", var.peer.lease_table_arn), 1)
  lease_region      = local.owns_lease_table ? local.region : local.peer_region
  lease_key_arn     = local.owns_lease_table ? var.key_arn : var.peer_snapshot_bucket.key_arn
  lease_replica_arn = "arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/${local.lease_table_name}"
}

# The table as a stack, not as an `aws_dynamodb_table`: reading that resource asks every Region with a replica for its backups, whatever
# `ignore_changes` says, so that no plan of the secondary would end while the primary is gone. A stack is read here alone.
resource "aws_cloudformation_stack" "lease" {
  #checkov:skip=CKV_AWS_124:Terraform makes it and waits for it, so that its failure is that of the apply
  count = local.owns_lease_table ? 1 : 0

  name = local.lease_table_name
  tags = var.tags

  template_body = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "The lease of the MWAA environment ${var.name}: which Region is active"
    Resources = {
      Lease = {
        Type                = "AWS::DynamoDB::Table"
        DeletionPolicy      = "Delete"
        UpdateReplacePolicy = "Retain"
        Properties = {
          TableName            = local.lease_table_name
          BillingMode          = "PAY_PER_REQUEST"
          AttributeDefinitions = [{ AttributeName = "pk", AttributeType = "S" }, { AttributeName = "sk", AttributeType = "S" }]
          KeySchema            = [{ AttributeName = "pk", KeyType = "HASH" }, { AttributeName = "sk", KeyType = "RANGE" }]
          # What a global table replicates by.
          StreamSpecification              = { StreamViewType = "NEW_AND_OLD_IMAGES" }
          TimeToLiveSpecification          = { AttributeName = "expires_at", Enabled = true }
          PointInTimeRecoverySpecification = { PointInTimeRecoveryEnabled = true }
          # A replica must be encrypted by the same kind of key as its home. Here both are customer managed: the multi-Region key in the
          # secondary, its replica in the primary.
          SSESpecification = { SSEEnabled = true, SSEType = "KMS", KMSMasterKeyId = var.key_arn }
        }
      }
    }
  })
}

resource "aws_dynamodb_table_item" "lease" {
  count = local.owns_lease_table ? 1 : 0

  table_name = local.lease_table_name
  hash_key   = "pk"
  range_key  = "sk"

  item = jsonencode({
    pk        = { S = "lease" }
    sk        = { S = "lease" }
    holder    = { S = local.primary_region }
    token     = { N = "1" }
    since     = { N = "0" }
    reason    = { S = "created" }
    live      = { BOOL = true }
    execution = { S = "" }
    locked    = { BOOL = false }
  })

  lifecycle {
    # From here on the lease belongs to the failover, not to Terraform.
    ignore_changes = [item]
  }

  depends_on = [aws_cloudformation_stack.lease]
}

resource "aws_dynamodb_table_replica" "lease" {
  count = local.owns_lease_table ? 0 : 1

  global_table_arn       = local.lease_table_arn
  kms_key_arn            = var.key_arn
  point_in_time_recovery = true
  tags                   = var.tags
}
