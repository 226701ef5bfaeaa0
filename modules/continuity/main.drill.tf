# Restoring the newest snapshot while the other Region is active, to show that it can be done: what a secondary has for it.

locals {
  drill_statements = [
    local.get_environment,
    local.read_lease,
    local.lease_table_key,
    local.publish_metrics,
    local.bucket_key,
    {
      Sid      = "SeeWhichDrillCameFirst"
      Effect   = "Allow"
      Action   = ["states:ListExecutions"]
      Resource = [for machine in ["drill", "refresh"] : local.machine_arns[machine] if contains(keys(local.machine_arns), machine)]
    },
    {
      Sid      = "StoreReports"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = "${var.snapshot_bucket.arn}/drills/${var.name}/*"
    },
  ]
}
