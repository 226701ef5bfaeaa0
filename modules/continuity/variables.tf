# Who and where

variable "name" {
  type        = string
  description = "Name of the environment, the same in both Regions."
  nullable    = false
}

variable "prefix" {
  type        = string
  description = "Prefix of every name here. Unique in the account, so it carries the Region; at most 36 characters, because the longest role name adds 28."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,35}$", var.prefix))
    error_message = "prefix must start with a letter and have 1 to 36 letters, digits or hyphens."
  }
}

variable "role" {
  type        = string
  description = "Role of this Region: `standalone`, `primary` or `secondary`."
  nullable    = false

  validation {
    condition     = contains(["standalone", "primary", "secondary"], var.role)
    error_message = "role must be standalone, primary or secondary."
  }
}

variable "peer" {
  type = object({
    region          = string
    lease_table_arn = optional(string)
  })
  description = "The other Region; null when standalone. `lease_table_arn` is needed in the primary, which keeps a replica of the secondary's lease table."
  default     = null
}

variable "peer_snapshot_bucket" {
  type = object({
    arn     = string
    key_arn = string
  })
  description = "The snapshot bucket of the other Region and the key of its objects: a snapshot is superseded only by one that is good there as well. Null when standalone."
  default     = null

  validation {
    condition     = (var.role == "standalone") == (var.peer_snapshot_bucket == null)
    error_message = "peer_snapshot_bucket is required unless role is standalone."
  }
}

variable "peer_dag_bucket_arn" {
  type        = string
  description = "ARN of the DAG bucket of the secondary, from which a failback carries over what was changed there. Needed in the primary."
  default     = null

  validation {
    condition     = var.role != "primary" || var.peer_dag_bucket_arn != null
    error_message = "peer_dag_bucket_arn is required where role is primary."
  }
}

variable "environment_owner" {
  type        = string
  description = "`terraform` or `lifecycle`: a failback creates no environment that Terraform owns."
  default     = "lifecycle"
  nullable    = false

  validation {
    condition     = contains(["terraform", "lifecycle"], var.environment_owner)
    error_message = "environment_owner must be terraform or lifecycle."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource here."
  default     = {}
  nullable    = false
}

# What the environment is made of

variable "key_arn" {
  type        = string
  description = "ARN of this Region's KMS key: logs, lease table and everything in the buckets."
  nullable    = false
}

variable "environment_key_arn" {
  type        = string
  description = "ARN of the key MWAA encrypts the environment with, for `recreate` to hand over; null where AWS owns that key."
  default     = null
}

variable "dag_bucket" {
  type = object({
    name = string
    arn  = string
  })
  description = "The DAG bucket of this Region."
  nullable    = false
}

variable "dag_s3_path" {
  type        = string
  description = "Folder of the DAGs in the DAG bucket."
  default     = "dags"
  nullable    = false
}

variable "snapshot_bucket" {
  type = object({
    name = string
    arn  = string
  })
  description = "The snapshot bucket of this Region."
  nullable    = false
}

variable "spec_json" {
  type        = string
  description = "The spec: the CreateEnvironment document of this Region as JSON."
  nullable    = false
}

variable "binding_json" {
  type        = string
  description = "What of the spec belongs to this Region, as JSON; laid over the other Region's spec at a failover."
  nullable    = false
}

variable "execution_role" {
  type = object({
    arn  = string
    name = optional(string)
  })
  description = <<-DESCRIPTION
    The execution role of the environment.

    - `arn`: what `recreate` passes to MWAA.
    - `name`: when given, the grants of the metadata DAGs are attached to the role; when null (a role of the caller's own), attach output `dag_policy_json` yourself.
  DESCRIPTION
  nullable    = false
}

variable "network" {
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
  description = "Network of the environment. `backup` and `restore` run in it when the web server is private."
  nullable    = false
}

variable "webserver_access_mode" {
  type        = string
  description = "`PRIVATE_ONLY` or `PUBLIC_ONLY`: how the environment's web server is reached, and with it InvokeRestApi."
  default     = "PRIVATE_ONLY"
  nullable    = false

  validation {
    condition     = contains(["PRIVATE_ONLY", "PUBLIC_ONLY"], var.webserver_access_mode)
    error_message = "webserver_access_mode must be PRIVATE_ONLY or PUBLIC_ONLY."
  }
}

variable "webserver_security_group_ids" {
  type        = map(string)
  description = "Security groups of the environment that this module may open to its functions on port 443, by a name of their own; empty for the caller's groups."
  default     = {}
  nullable    = false
}

variable "batch_replication_role_arn" {
  type        = string
  description = "ARN of the role that S3 Batch Replication works with. Needed in the primary."
  default     = null
}

# How it acts

variable "snapshot" {
  type = object({
    schedule            = optional(string, "rate(15 minutes)")
    timeout_minutes     = optional(number, 30)
    base_interval_hours = optional(number, 24)
    tables              = optional(map(string), {})
    local_variables     = optional(list(string), [])
    local_connections   = optional(list(string), [])
  })
  description = <<-DESCRIPTION
    When snapshots are taken and what they hold.

    - `schedule`: EventBridge Scheduler expression.
    - `timeout_minutes`: how long the snapshot DAG may take.
    - `base_interval_hours`: how old a base may get before the next snapshot is one again.
    - `tables`: table name to `carry` or `skip`, over the built-in policy.
    - `local_variables`, `local_connections`: name patterns of what stays in its Region.
  DESCRIPTION
  default     = {}
  nullable    = false
}

variable "retention" {
  type = object({
    enabled   = optional(bool, true)
    schedule  = optional(string, "rate(1 hour)")
    all_hours = optional(number, 48)
    daily     = optional(number, 7)
    weekly    = optional(number, 5)
    monthly   = optional(number, 12)
  })
  description = "Which snapshots are kept: all of the last `all_hours`, one of each of so many days, weeks and months, counted from the newest that is good in both Regions. The others are tagged `continuity=superseded` by `schedule`, unless it is not `enabled`."
  default     = {}
  nullable    = false
}

variable "drill" {
  type = object({
    schedule    = optional(string)
    rpo_minutes = optional(number)
    rto_minutes = optional(number)
  })
  description = "The drill of a secondary: when it runs (null: by hand), and how old a snapshot and how long a restore may be, in minutes (null: no promise)."
  default     = {}
  nullable    = false
}

variable "preflight" {
  type = object({
    enabled  = optional(bool, true)
    schedule = optional(string, "cron(0 5 * * ? *)")
  })
  description = "When the secondary checks whether the environment could be created and would start here (`schedule`: an expression of EventBridge Scheduler, in UTC), unless that is not `enabled`: then by hand only."
  default     = {}
  nullable    = false
}

variable "prune" {
  type = object({
    schedule     = optional(string)
    history_days = optional(number, 90)
  })
  description = "When `continuity_prune` runs (a schedule of Airflow; null: never by itself), and how many days of history it leaves in the database."
  default     = {}
  nullable    = false
}

variable "metadata_lake" {
  type = object({
    bucket   = string
    region   = string
    prefix   = string
    key_arn  = string
    schedule = optional(string)
  })
  description = "Where `continuity_lake` exports run history to, and when (a schedule of Airflow; null: never by itself); null for nowhere."
  default     = null
}

variable "heartbeat" {
  type = object({
    schedule = optional(string, "rate(1 minute)")
    periods  = optional(number, 5)
    missing  = optional(number, 3)
  })
  description = "The heartbeat check of the secondary: `missing` of the last `periods` minutes without a beat count as an outage."
  default     = {}
  nullable    = false
}

variable "failover" {
  type = object({
    automatic              = optional(bool, true)
    cooldown_minutes       = optional(number, 60)
    poll_seconds           = optional(number, 30)
    create_timeout_minutes = optional(number, 120)
    dag_timeout_minutes    = optional(number, 60)
    heartbeat_seconds      = optional(number, 300)
    parse_deadline_seconds = optional(number, 900)
    health_function_arn    = optional(string)
    approval = optional(object({
      minutes        = optional(number, 60)
      without_answer = optional(string, "fail")
      again_minutes  = optional(number, 60)
    }))
    history_days         = optional(number)
    on_lease_unreachable = optional(string, "keep")
    lease_stale_minutes  = optional(number, 5)
    in_flight = optional(object({
      default = optional(string, "rerun")
      dags    = optional(map(string), {})
    }), {})
  })
  description = <<-DESCRIPTION
    The failover of the secondary.

    - `automatic`: whether an unhealthy verdict starts it; by hand it can always be started.
    - `cooldown_minutes`: how long after one failover no other starts.
    - `poll_seconds`: pause between two looks at the environment.
    - `create_timeout_minutes`, `dag_timeout_minutes`: limits of the creation and of a restore.
    - `heartbeat_seconds`: a metadata DAG that was started and is not heard of for this long has failed.
    - `parse_deadline_seconds`: how long go-live waits for DAGs to be parsed.
    - `health_function_arn`: a function of the caller's own in the place of `heartbeat_check`. It publishes `UnknownHealth`, `Unhealthy` and `Healthy` (0 or 1, namespace `MwaaContinuity`, dimension `Environment`) itself: the alarm of unknown health sees nothing else, and takes its silence for nothing.
    - `approval`: who is asked before a failover that would start by itself has `minutes` to answer; `without_answer` it ends as `fail` or `proceed`; after a refusal or no answer nobody is asked for `again_minutes`. Null asks nobody.
    - `history_days`: how many days before the cut the history reaches back that is restored; null for all.
    - `on_lease_unreachable`, `lease_stale_minutes`: what the guard of a primary does (`keep` or `pause`) where nobody confirmed the lease for so long.
    - `in_flight`: `rerun` or `fail`, by default and per DAG, for what was in flight at the cut.
  DESCRIPTION
  default     = {}
  nullable    = false
}

variable "strategy" {
  type        = string
  description = "What a secondary holds ready: `backup_restore` (nothing), `warm_standby` (the environment, its user DAGs hidden) or `hot_standby` (that, with the state of the newest snapshot in it); null where there is no secondary."
  default     = null

  validation {
    condition     = contains(["none", "backup_restore", "warm_standby", "hot_standby"], coalesce(var.strategy, "none"))
    error_message = "strategy must be backup_restore, warm_standby or hot_standby."
  }
}

variable "standby" {
  type = object({
    schedule         = optional(string, "rate(1 hour)")
    refresh_schedule = optional(string, "rate(10 minutes)")
  })
  description = "When a standby is looked at (`schedule`), and whether a newer snapshot is to be restored into a hot one (`refresh_schedule`): expressions of EventBridge Scheduler, in UTC; beside the moments in which its spec, or a snapshot, arrives."
  default     = {}
  nullable    = false
}

variable "failback" {
  type = object({
    drain_minutes = optional(number, 30)
    when_late     = optional(string, "cancel")
  })
  description = "How the secondary hands over to the primary: it waits `drain_minutes` for what executes, then does `when_late`, `cancel` or `snapshot`."
  default     = {}
  nullable    = false
}

variable "hibernation" {
  type = object({
    hibernate           = optional(string)
    resume              = optional(string)
    timezone            = optional(string, "UTC")
    drain_minutes       = optional(number, 30)
    when_late           = optional(string, "cancel")
    exceptions          = optional(list(string), [])
    accept_portable     = optional(bool, false)
    window_minutes      = optional(number, 120)
    retry_seconds       = optional(number, 300)
    catchup_after_sleep = optional(string, "all")
    smoke = optional(object({
      dag_id          = string
      timeout_minutes = optional(number, 15)
    }))
  })
  description = <<-DESCRIPTION
    When the environment is put away and brought back; null: it stays.

    - `hibernate`, `resume`: EventBridge Scheduler cron expressions, in `timezone`; null for by hand only.
    - `drain_minutes`: how long a hibernation waits for what executes; `when_late`: what it does then, `cancel` or `snapshot`.
    - `exceptions`: days (YYYY-MM-DD) on which no schedule puts it away.
    - `accept_portable`: whether a portable snapshot is good enough to remove the environment.
    - `catchup_after_sleep`: which of the runs that fell due meanwhile run then, `all`, `latest` (of each DAG) or `none`.
    - `smoke`: a DAG of the users' own that a resume runs once when all is live, and how many minutes it waits for that run.
    - `window_minutes`: how long a start is tried again while the environment changes or another execution is at work, every `retry_seconds`.
  DESCRIPTION
  default     = null

  validation {
    condition     = var.hibernation == null || var.role == "standalone"
    error_message = "hibernation is for role standalone."
  }
}

variable "function_package" {
  type = object({
    bucket  = string
    key     = string
    version = optional(string)
  })
  description = "Take the functions' package from this S3 object instead of from the module: for accounts that admit code only from their own bucket."
  default     = null
}

variable "function_roles" {
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  description = "IAM path and permissions boundary (ARN) of the roles of functions, state machines and schedules."
  default     = {}
  nullable    = false
}

variable "log_retention_days" {
  type        = number
  description = "Days that the logs of functions and state machines are kept."
  default     = 90
  nullable    = false
}
