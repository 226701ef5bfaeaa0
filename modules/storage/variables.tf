variable "name" {
  type        = string
  description = "Name of the environment. The objects of the snapshot bucket are kept below it."
  nullable    = false
}

variable "prefix" {
  type        = string
  description = "What the names of all resources start with. It is unique within the account and carries the Region, because IAM is global."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,39}$", var.prefix))
    error_message = "`prefix` must be 1 to 40 letters, digits and hyphens and start with a letter."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource of this module."
  default     = {}
  nullable    = false
}

variable "role" {
  type        = string
  description = "Role of this Region: `standalone`, `primary` or `secondary`. The multi-Region key is created in the secondary (or standalone); the primary holds its replica."
  nullable    = false

  validation {
    condition     = contains(["standalone", "primary", "secondary"], var.role)
    error_message = "`role` must be \"standalone\", \"primary\" or \"secondary\"."
  }
}

variable "peer" {
  type = object({
    region              = string
    dag_bucket_arn      = optional(string)
    snapshot_bucket_arn = optional(string)
    key_arn             = optional(string)
    lease_table_arn     = optional(string)
  })
  description = <<-EOT
    The other Region; null in a standalone. In the primary it is the output `peer` of the secondary.
    - `region`: its name,
    - `dag_bucket_arn`, `snapshot_bucket_arn`: where the primary replicates to,
    - `key_arn`: the multi-Region key the primary replicates, and its objects are encrypted with over there,
    - `lease_table_arn`: not used here.
  EOT
  default     = null

  validation {
    condition     = var.role == "standalone" ? var.peer == null : var.peer != null
    error_message = "`peer` is required with role \"primary\" and \"secondary\" and must be null with role \"standalone\"."
  }

  validation {
    condition = var.role != "primary" || try(alltrue([
      for arn in [var.peer.dag_bucket_arn, var.peer.snapshot_bucket_arn, var.peer.key_arn] : can(regex("^arn:", arn))
    ]), false)
    error_message = "With role \"primary\", `peer` must carry `dag_bucket_arn`, `snapshot_bucket_arn` and `key_arn`: pass the output `peer` of the secondary, which is applied first."
  }
}

variable "key" {
  type = object({
    arn    = optional(string)
    create = optional(bool)
  })
  description = <<-EOT
    A KMS key of the caller in this Region for buckets, lease table and logs, in place of the one this module creates.
    - `arn`: ARN of the key. Its policy must admit CloudWatch Logs, CloudWatch and EventBridge as README.md shows,
    - `create`: false says that `arn` is given even where its value is known after apply only. By default a key is created unless there is an `arn`.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = var.key.create == null || var.key.create == (var.key.arn == null)
    error_message = "`key.create` must be false with `key.arn`, and true or left out without it."
  }

  validation {
    condition     = var.key.arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$", var.key.arn))
    error_message = "`key.arn` must be the ARN of a key (not of an alias), such as \"arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab\"."
  }

  validation {
    condition     = var.key.arn == null || var.role == "standalone" || can(regex(":key/mrk-", var.key.arn))
    error_message = "`key.arn` must be a multi-Region key (its id starts with \"mrk-\") with role \"primary\" and \"secondary\": what is sealed in one Region must open in the other."
  }

  validation {
    condition     = var.key.arn == null || var.role != "primary" || try(split("key/", var.key.arn)[1] == split("key/", var.peer.key_arn)[1], false)
    error_message = "`key.arn` must be the replica of `peer.key_arn` in this Region, that is, have the same key id: what is sealed in one Region must open in the other."
  }
}

variable "send_events" {
  type        = bool
  description = "Whether the buckets of this module tell EventBridge of their objects. A bucket of the caller's own is left as it is."
  default     = false
  nullable    = false
}

variable "environment_key" {
  type = object({
    arn    = optional(string)
    create = optional(bool)
  })
  description = <<-EOT
    The KMS key MWAA encrypts the environment with: a single-Region key, because MWAA supports neither multi-Region keys nor aliases. Empty creates one; null needs none, because AWS owns it.
    - `arn`: ARN of a key of the caller in this Region. Its policy must admit CloudWatch Logs as README.md shows,
    - `create`: false says that `arn` is given even where its value is known after apply only. By default a key is created unless there is an `arn`.
  EOT
  default     = {}

  validation {
    condition     = try(var.environment_key.create, null) == null || try(var.environment_key.create == (var.environment_key.arn == null), true)
    error_message = "`environment_key.create` must be false with `environment_key.arn`, and true or left out without it."
  }

  validation {
    condition     = try(var.environment_key.arn, null) == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}$", var.environment_key.arn))
    error_message = "`environment_key.arn` must be the ARN of a single-Region key, such as \"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\": MWAA supports neither multi-Region keys (\"mrk-...\") nor aliases."
  }
}

variable "dag_bucket" {
  type = object({
    name   = optional(string)
    create = optional(bool)
  })
  description = <<-EOT
    The bucket that holds DAGs, plugins and requirements. Empty creates one.
    - `name`: a bucket of the caller in this Region, which is left as it is; README.md says what it must be like,
    - `create`: false says that `name` is given even where its value is known after apply only.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = var.dag_bucket.name == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.dag_bucket.name))
    error_message = "`dag_bucket.name` must be the name of a bucket (3 to 63 lower-case letters, digits, dots and hyphens), not an ARN or URL."
  }
}

variable "dag_s3_path" {
  type        = string
  description = "Folder of the DAG bucket that holds the DAGs. Superseded versions expire there and nowhere else."
  default     = "dags"
  nullable    = false

  validation {
    condition     = can(regex("^[^/\\s]([^\\s]*[^/\\s])?$", var.dag_s3_path))
    error_message = "`dag_s3_path` must be a folder of the DAG bucket without a slash at either end, such as \"dags\"."
  }
}

variable "snapshot_bucket" {
  type = object({
    name   = optional(string)
    create = optional(bool)
  })
  description = <<-EOT
    The bucket that holds snapshots and specs. Empty creates one.
    - `name`: a bucket of the caller in this Region, which is left as it is; README.md says what it must be like,
    - `create`: false says that `name` is given even where its value is known after apply only.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = var.snapshot_bucket.name == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.snapshot_bucket.name))
    error_message = "`snapshot_bucket.name` must be the name of a bucket (3 to 63 lower-case letters, digits, dots and hyphens), not an ARN or URL."
  }

  validation {
    condition     = var.snapshot_bucket.name == null || var.snapshot_bucket.name != var.dag_bucket.name
    error_message = "`snapshot_bucket.name` must differ from `dag_bucket.name`: whoever may write DAGs must not thereby be able to write snapshots."
  }
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
    Further replication rules of the buckets this module creates, since a bucket has one replication configuration. Only in the primary. Per bucket (`dag`, `snapshot`) a list of:
    - `id`, `priority`: unique within the bucket; priorities below 10 belong to this module,
    - `prefix`: of the keys to replicate; all by default,
    - `destination_bucket_arn`, `destination_key_arn`, `destination_region`: where to, and the key objects are encrypted with there,
    - `storage_class`: there,
    - `delete_marker_replication`: whether deletions follow.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = length(concat(var.additional_replication_rules.dag, var.additional_replication_rules.snapshot)) == 0 || var.role == "primary"
    error_message = "`additional_replication_rules` is accepted only with role \"primary\": the other roles replicate nothing."
  }

  validation {
    condition = (
      (length(var.additional_replication_rules.dag) == 0 || coalesce(var.dag_bucket.create, var.dag_bucket.name == null)) &&
      (length(var.additional_replication_rules.snapshot) == 0 || coalesce(var.snapshot_bucket.create, var.snapshot_bucket.name == null))
    )
    error_message = "`additional_replication_rules` is accepted only for a bucket this module creates: the replication configuration of a bucket of your own stays yours."
  }

  validation {
    condition = alltrue([
      for rules in [var.additional_replication_rules.dag, var.additional_replication_rules.snapshot] :
      alltrue([for rule in rules : rule.priority >= 10]) &&
      length(distinct(rules[*].priority)) == length(rules) &&
      length(setunion(rules[*].id, ["continuity-dags", "continuity-snapshots", "continuity-spec"])) == length(rules) + 3
    ])
    error_message = "`additional_replication_rules`: within a bucket every `id` and `priority` must be unique, priorities must be 10 or more, and no id may be \"continuity-dags\", \"continuity-snapshots\" or \"continuity-spec\"."
  }
}

variable "noncurrent_days" {
  type        = number
  description = "Days after which a superseded version of a file below `dag_s3_path` is deleted. Elsewhere in the DAG bucket all versions are kept, since a spec may name one."
  default     = 90
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 1 && var.noncurrent_days <= 3650 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "`noncurrent_days` must be a whole number of days from 1 to 3650."
  }
}

variable "force_destroy" {
  type        = bool
  description = "Whether `terraform destroy` may delete buckets that still hold objects, all snapshots included. It also shortens the waiting time of the key's deletion from 30 to 7 days."
  default     = false
  nullable    = false
}
