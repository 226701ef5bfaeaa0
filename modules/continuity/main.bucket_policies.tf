# What works on all the objects of a bucket may do: tagging what is superseded, and replicating what was there before.

locals {
  retention_statements = concat([
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

  replicate_existing_statements = [
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
