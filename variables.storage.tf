# Where DAGs and snapshots are kept, and the key they are encrypted with.

variable "dag_bucket" {
  type = object({
    name   = optional(string)
    create = optional(bool)
  })
  description = <<-EOT
    The bucket of DAGs, plugins and requirements. Empty creates one.
    - `name`: a bucket of the caller in this Region, left as it is; its replication rules are an output,
    - `create`: false says that `name` is given even where its value is known after apply only.
  EOT
  default     = {}
  nullable    = false
}

variable "snapshot_bucket" {
  type = object({
    name   = optional(string)
    create = optional(bool)
  })
  description = <<-EOT
    The bucket of snapshots and specs. Empty creates one.
    - `name`: a bucket of the caller in this Region, left as it is; its replication rules are an output,
    - `create`: false says that `name` is given even where its value is known after apply only.
  EOT
  default     = {}
  nullable    = false
}

variable "key" {
  type = object({
    arn    = optional(string)
    create = optional(bool)
  })
  description = <<-EOT
    A KMS key of the caller in this Region for buckets, lease table and logs. Empty creates one: a multi-Region key, in the primary a replica of the secondary's.
    - `arn`: ARN of the key. Its policy must admit CloudWatch Logs, CloudWatch and EventBridge: see modules/storage/README.md,
    - `create`: false says that `arn` is given even where its value is known after apply only.
  EOT
  default     = {}
  nullable    = false
}

variable "environment_key" {
  type = object({
    arn    = optional(string)
    create = optional(bool)
  })
  description = <<-EOT
    The KMS key MWAA encrypts the environment with, unless `environment.aws_owned_key`: a single-Region key, because MWAA supports neither multi-Region keys nor aliases. Empty creates one.
    - `arn`: ARN of a key of the caller in this Region; in a standalone it may be that of `key`. Its policy must admit CloudWatch Logs: see modules/storage/README.md,
    - `create`: false says that `arn` is given even where its value is known after apply only.
  EOT
  default     = {}
  nullable    = false
}

variable "additional_replication_rules" {
  type = object({
    dag = optional(list(object({
      id                        = string
      priority                  = number
      prefix                    = optional(string, "")
      destination_bucket_arn    = string
      destination_key_arn       = string
      destination_region        = string
      storage_class             = optional(string, "STANDARD")
      delete_marker_replication = optional(bool, false)
    })), [])
    snapshot = optional(list(object({
      id                        = string
      priority                  = number
      prefix                    = optional(string, "")
      destination_bucket_arn    = string
      destination_key_arn       = string
      destination_region        = string
      storage_class             = optional(string, "STANDARD")
      delete_marker_replication = optional(bool, false)
    })), [])
  })
  description = <<-EOT
    Further replication rules of the primary's buckets, since a bucket has one replication configuration. Per bucket (`dag`, `snapshot`) a list of:
    - `id`, `priority`: unique within the bucket; priorities below 10 belong to this module,
    - `prefix`: of the keys to replicate; all by default,
    - `destination_bucket_arn`, `destination_key_arn`, `destination_region`: where to, and the key objects are encrypted with there,
    - `storage_class`: there,
    - `delete_marker_replication`: whether deletions follow.
  EOT
  default     = {}
  nullable    = false
}
