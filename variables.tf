# Which environment, in which Region, owned by whom.

variable "name" {
  type        = string
  description = "Name of the environment, the same in both Regions."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][0-9a-zA-Z_-]{0,79}$", var.name))
    error_message = "`name` must be 1 to 80 letters, digits, hyphens and underscores and start with a letter."
  }
}

variable "role" {
  type        = string
  description = <<-EOT
    Role of this Region:
    - `standalone`: the only Region; snapshots stay in it,
    - `primary`: where the environment usually runs; replicates DAGs and snapshots to its peer,
    - `secondary`: where it is recreated when the primary is lost. It owns what must outlive the primary, so it is applied first.
  EOT
  nullable    = false

  validation {
    condition     = contains(["standalone", "primary", "secondary"], var.role)
    error_message = "`role` must be \"standalone\", \"primary\" or \"secondary\"."
  }
}

variable "strategy" {
  type        = string
  description = <<-EOT
    What the secondary holds ready:
    - `backup_restore`: nothing runs; the environment is created at failover,
    - `warm_standby`: the environment runs, kept in step with the primary's spec, its DAGs hidden; a failover restores into it,
    - `hot_standby`: the same, and the state of every snapshot that arrives is restored into it, without going live: a failover finds it there.
    Null, the default, means `backup_restore` in a primary or secondary, and none in a standalone. What acts on it is in the secondary; in the primary it is told only.
  EOT
  default     = null

  validation {
    condition     = contains(["none", "backup_restore", "warm_standby", "hot_standby"], coalesce(var.strategy, "none"))
    error_message = "`strategy` must be \"backup_restore\", \"warm_standby\" or \"hot_standby\"."
  }

  validation {
    condition     = var.role != "standalone" || var.strategy == null
    error_message = "`strategy` must be left out with role \"standalone\": there is no other Region to fail over to."
  }
}

variable "environment_owner" {
  type        = string
  description = <<-EOT
    Who creates and deletes the environment:
    - `terraform`: a native resource that always runs,
    - `lifecycle`: the state machines; Terraform publishes the spec only. The only choice in a secondary, where the environment does not exist before a failover. In a primary it is for one that runs already and is handed over (docs/migration.md). In a standalone `hibernation` brings machines that put it away and bring it back, and create the first one.
    It is decided once: a change of mind fails the plan with the steps to take.
  EOT
  nullable    = false

  validation {
    condition     = contains(["terraform", "lifecycle"], var.environment_owner)
    error_message = "`environment_owner` must be \"terraform\" or \"lifecycle\"."
  }

  validation {
    condition     = var.role != "secondary" || var.environment_owner == "lifecycle"
    error_message = "`environment_owner` must be \"lifecycle\" with role \"secondary\": there the environment is created by the state machines, at failover or to stand by, not by Terraform."
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
    The other Region; null when standalone. In the secondary `{ region = "..." }` is enough, unless the primary's snapshot bucket or key is of your own: then
    with its `snapshot_bucket_arn` and `key_arn`, which retention looks into. In the primary it is the secondary's output `peer`, unchanged:
    - `region`: its name,
    - `dag_bucket_arn`, `snapshot_bucket_arn`: where objects are replicated to,
    - `key_arn`: the multi-Region key of which the primary holds a replica,
    - `lease_table_arn`: the table of which the primary holds a replica.
  EOT
  default     = null

  validation {
    condition     = var.role != "standalone" || var.peer == null
    error_message = "`peer` must be left out with role \"standalone\"."
  }

  validation {
    condition     = var.role != "secondary" || var.peer != null
    error_message = "`peer` is required with role \"secondary\": the Region of the primary, such as { region = \"us-east-1\" }."
  }

  validation {
    condition = var.role != "primary" || try(alltrue([
      for arn in [var.peer.dag_bucket_arn, var.peer.snapshot_bucket_arn, var.peer.key_arn, var.peer.lease_table_arn] : can(regex("^arn:", arn))
    ]), false)
    error_message = "`peer` is required with role \"primary\", with `region`, `dag_bucket_arn`, `snapshot_bucket_arn`, `key_arn` and `lease_table_arn`: apply the secondary first and pass its output `peer` (terraform output -json peer)."
  }

  validation {
    condition     = var.peer == null || can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", var.peer.region))
    error_message = "`peer.region` must be the name of a Region, such as \"us-west-2\"."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource, and of the environment itself."
  default     = {}
  nullable    = false
}

variable "force_destroy" {
  type        = bool
  description = "Whether `terraform destroy` may delete buckets that still hold objects, snapshots included. For tests."
  default     = false
  nullable    = false
}
