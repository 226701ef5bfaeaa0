# How the environment is snapshotted, watched and failed over, and who is told.

variable "snapshot" {
  type = object({
    schedule            = optional(string, "rate(15 minutes)")
    timeout_minutes     = optional(number, 30)
    max_age_minutes     = optional(number)
    base_interval_hours = optional(number, 24)
    tables              = optional(map(string), {})
    local_variables     = optional(list(string), [])
    local_connections   = optional(list(string), [])
  })
  description = <<-EOT
    When snapshots are taken and what they hold.
    - `schedule`: a rate or cron expression of EventBridge Scheduler, in UTC. A snapshot holds what changed since its base, so that even `rate(1 minute)` is affordable,
    - `timeout_minutes`: how long the snapshot DAG may take,
    - `max_age_minutes`: age of the newest snapshot that raises an alarm; by default three times the rate, or 26 hours with a cron expression,
    - `base_interval_hours`: how old a base may get before the next snapshot is one again: one that holds everything, and stands by itself,
    - `tables`: table name to `carry` or `skip`, over the built-in policy,
    - `local_variables`, `local_connections`: name patterns (`*`, `?`) of variables and connections that stay in their Region.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\))$", var.snapshot.schedule))
    error_message = "`snapshot.schedule` must be a rate such as \"rate(15 minutes)\" or \"rate(1 hour)\", or a cron expression of six fields such as \"cron(0 2 * * ? *)\"."
  }

  validation {
    condition     = !startswith(var.snapshot.schedule, "cron(") || can(regex("\\?", var.snapshot.schedule))
    error_message = "`snapshot.schedule`: a cron expression must have \"?\" as day of the month or as day of the week, such as \"cron(0 2 * * ? *)\"."
  }

  validation {
    condition     = floor(var.snapshot.timeout_minutes) == var.snapshot.timeout_minutes && var.snapshot.timeout_minutes >= 1 && var.snapshot.timeout_minutes <= 1440
    error_message = "`snapshot.timeout_minutes` must be a whole number from 1 to 1440."
  }

  validation {
    condition     = var.snapshot.max_age_minutes == null || try(floor(var.snapshot.max_age_minutes) == var.snapshot.max_age_minutes && var.snapshot.max_age_minutes >= 1 && var.snapshot.max_age_minutes <= 10080, false)
    error_message = "`snapshot.max_age_minutes` must be a whole number from 1 to 10080 (seven days)."
  }

  validation {
    condition     = floor(var.snapshot.base_interval_hours) == var.snapshot.base_interval_hours && var.snapshot.base_interval_hours >= 1 && var.snapshot.base_interval_hours <= 168
    error_message = "`snapshot.base_interval_hours` must be a whole number from 1 to 168 (seven days): the hours after which a snapshot holds everything again, not only what changed."
  }

  validation {
    condition     = alltrue([for verdict in values(var.snapshot.tables) : contains(["carry", "skip"], verdict)])
    error_message = "`snapshot.tables` must map table names to \"carry\" or \"skip\", such as { log = \"skip\" }."
  }
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
  description = <<-EOT
    Which snapshots are kept. What is not kept is tagged `continuity=superseded`, and a lifecycle rule of the bucket expires what is tagged, and nothing else.
    Set it alike in both Regions: tags are replicated.
    - `enabled`: false tags nothing any more,
    - `schedule`: when snapshots are looked through: a rate or cron expression of EventBridge Scheduler, in UTC,
    - `all_hours`: every snapshot is kept for so long,
    - `daily`, `weekly`, `monthly`: then the newest good one of each of so many days, weeks and months.
    Time is counted from the newest snapshot that is good in both Regions, so that nothing goes while no new one comes. The newest good one and what deltas build on are always kept.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\))$", var.retention.schedule))
    error_message = "`retention.schedule` must be a rate such as \"rate(1 hour)\", or a cron expression of six fields such as \"cron(0 2 * * ? *)\"."
  }

  validation {
    condition     = floor(var.retention.all_hours) == var.retention.all_hours && var.retention.all_hours >= 24 && var.retention.all_hours <= 8784
    error_message = "`retention.all_hours` must be a whole number from 24 to 8784 (a year): a snapshot may take a day, and is not complete before."
  }

  validation {
    condition     = alltrue([for kept in [var.retention.daily, var.retention.weekly, var.retention.monthly] : floor(kept) == kept && kept >= 0 && kept <= 1000])
    error_message = "`retention.daily`, `.weekly` and `.monthly` must be whole numbers from 0 to 1000."
  }
}

variable "preflight" {
  type = object({
    enabled  = optional(bool, true)
    schedule = optional(string, "cron(0 5 * * ? *)")
  })
  description = <<-EOT
    The preflight of a secondary: whether its environment could be created and would start, found out before a failover needs it. What fails is told, and raises the alarm `<prefix>-preflight`.
    - `enabled`: false leaves it to be started by hand,
    - `schedule`: when it runs: a rate or cron expression of EventBridge Scheduler, in UTC.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\))$", var.preflight.schedule))
    error_message = "`preflight.schedule` must be a rate such as \"rate(12 hours)\", or a cron expression of six fields such as \"cron(0 5 * * ? *)\"."
  }
}

variable "standby" {
  type = object({
    schedule         = optional(string, "rate(1 hour)")
    refresh_schedule = optional(string, "rate(10 minutes)")
  })
  description = <<-EOT
    How a standby is kept: only with `strategy` `warm_standby` or `hot_standby`, in the secondary.
    - `schedule`: when it is compared with its spec, and created or updated where it differs: a rate or cron expression of EventBridge Scheduler, in UTC. A spec that arrives
      in a snapshot bucket of this module is looked at at once, whatever the schedule; one in a bucket of your own is, too, if that tells EventBridge of its objects.
    - `refresh_schedule`: with `hot_standby`, when it is looked whether a newer snapshot is to be restored into it, in the same form. A snapshot that arrives is restored at once, as a spec is looked at:
      the schedule is for one that was missed, and for how old the state is told to be, so it should come more often than snapshots may be missing (`snapshot.max_age_minutes`).
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\))$", var.standby.schedule))
    error_message = "`standby.schedule` must be a rate such as \"rate(1 hour)\", or a cron expression of six fields such as \"cron(0 5 * * ? *)\"."
  }

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\))$", var.standby.refresh_schedule))
    error_message = "`standby.refresh_schedule` must be a rate such as \"rate(10 minutes)\", or a cron expression of six fields such as \"cron(0/10 * * * ? *)\"."
  }
}

variable "prune" {
  type = object({
    schedule     = optional(string)
    history_days = optional(number, 90)
  })
  description = <<-EOT
    The DAG `continuity_prune`, which keeps the metadata database small: it deletes what `airflow db clean` would, but only rows that a snapshot which was read back holds as they are.
    - `schedule`: a cron expression of Airflow (five fields, UTC) or a preset such as `@daily`; null, the default, never runs it by itself,
    - `history_days`: what is older may go. It stays in the snapshots for as long as `retention` keeps them.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = var.prune.schedule == null || can(regex("^(@(hourly|daily|weekly|monthly)|([0-9A-Za-z*,/#-]+ ){4}[0-9A-Za-z*,/#-]+)$", var.prune.schedule))
    error_message = "`prune.schedule` must be a cron expression of five fields such as \"0 4 * * *\", \"@hourly\", \"@daily\", \"@weekly\", \"@monthly\", or null."
  }

  validation {
    condition     = floor(var.prune.history_days) == var.prune.history_days && var.prune.history_days >= 1 && var.prune.history_days <= 36500
    error_message = "`prune.history_days` must be a whole number from 1 to 36500."
  }
}

variable "heartbeat" {
  type = object({
    schedule = optional(string, "rate(1 minute)")
    periods  = optional(number, 5)
    missing  = optional(number, 3)
  })
  description = <<-EOT
    The heartbeat check, in the secondary.
    - `schedule`: a rate or cron expression of EventBridge Scheduler, in UTC,
    - `periods`: how many of the last minutes are looked at,
    - `missing`: how many of them must be without a sign of life to count as an outage.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\))$", var.heartbeat.schedule))
    error_message = "`heartbeat.schedule` must be a rate such as \"rate(1 minute)\", or a cron expression of six fields such as \"cron(0/2 * * * ? *)\"."
  }

  validation {
    condition = (
      floor(var.heartbeat.periods) == var.heartbeat.periods && floor(var.heartbeat.missing) == var.heartbeat.missing &&
      var.heartbeat.missing >= 1 && var.heartbeat.missing <= var.heartbeat.periods && var.heartbeat.periods <= 60
    )
    error_message = "`heartbeat.missing` and `heartbeat.periods` must be whole numbers with 1 <= missing <= periods <= 60."
  }
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
  description = <<-EOT
    The failover, in the secondary; `on_lease_unreachable` and `lease_stale_minutes` count in the primary.
    - `automatic`: whether an unhealthy verdict starts it; by hand it can always be started,
    - `cooldown_minutes`: how long after one failover no other starts by itself,
    - `poll_seconds`: pause between two looks at the environment,
    - `create_timeout_minutes`: how long its creation may take,
    - `dag_timeout_minutes`: how long the restore may take,
    - `heartbeat_seconds`: a metadata DAG that is not heard of for so long has failed; allow for the start of a worker,
    - `parse_deadline_seconds`: how long go-live waits for DAGs to be parsed,
    - `health_function_arn`: a function of the caller in the place of `heartbeat_check`; it publishes `UnknownHealth`, `Unhealthy` and `Healthy` (0 or 1,
      namespace `MwaaContinuity`, dimension `Environment`) itself, or the alarm of unknown health sees nothing,
    - `approval`: a person is asked by a notice before a failover that would start by itself; null asks nobody. `minutes` is how long an answer is waited for (1 to 1380),
      `without_answer` what then happens, `fail` or `proceed` (if the primary still is unhealthy), `again_minutes` how long nobody is asked again after a refusal, or after no answer,
    - `history_days`: how many days before the cut the history reaches back that is restored, by when runs ended; older history stays in the snapshot. Null restores all,
    - `on_lease_unreachable`: what the primary does when nobody in the secondary has confirmed the lease for `lease_stale_minutes`, so that the secondary may have taken over unnoticed:
      `keep` running, or `pause` every DAG until the lease is confirmed again. With `pause` the primary stops as well where the secondary Region is the one that is lost,
      and it is silent only `lease_stale_minutes` and the output `fence_seconds` after it was cut off, which a standby that goes live earlier does not wait for: hold it against `detection_seconds`,
    - `lease_stale_minutes`: at least twice the interval of `heartbeat.schedule`, by which the lease is confirmed,
    - `in_flight`: what happens to work that was in flight at the cut, by `default` and in `dags` by DAG id: `rerun` or `fail`.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for value in [
        var.failover.poll_seconds, var.failover.create_timeout_minutes, var.failover.dag_timeout_minutes,
        var.failover.heartbeat_seconds, var.failover.parse_deadline_seconds,
      ] : floor(value) == value && value >= 1
    ])
    error_message = "`failover.poll_seconds`, `.create_timeout_minutes`, `.dag_timeout_minutes`, `.heartbeat_seconds` and `.parse_deadline_seconds` must be whole numbers of at least 1."
  }

  validation {
    condition     = floor(var.failover.cooldown_minutes) == var.failover.cooldown_minutes && var.failover.cooldown_minutes >= 0
    error_message = "`failover.cooldown_minutes` must be a whole number of at least 0."
  }

  validation {
    condition     = var.failover.heartbeat_seconds >= 60
    error_message = "`failover.heartbeat_seconds` must be at least 60: metadata DAGs send a heartbeat every 20 seconds once they run."
  }

  validation {
    condition = var.failover.approval == null || try(alltrue([
      floor(var.failover.approval.minutes) == var.failover.approval.minutes && var.failover.approval.minutes >= 1 && var.failover.approval.minutes <= 1380,
      floor(var.failover.approval.again_minutes) == var.failover.approval.again_minutes && var.failover.approval.again_minutes >= 0,
      contains(["fail", "proceed"], var.failover.approval.without_answer),
    ]), false)
    error_message = "`failover.approval` must have `minutes` from 1 to 1380, `again_minutes` of at least 0 (both whole numbers), and `without_answer` \"fail\" or \"proceed\"."
  }

  validation {
    condition     = var.failover.approval == null || var.failover.automatic
    error_message = "`failover.approval` asks before a failover that would start by itself: leave it out with `failover.automatic = false`."
  }

  validation {
    condition     = var.failover.history_days == null || try(floor(var.failover.history_days) == var.failover.history_days && var.failover.history_days >= 1 && var.failover.history_days <= 36500, false)
    error_message = "`failover.history_days` must be a whole number from 1 to 36500, or null for all history."
  }

  validation {
    condition     = contains(["keep", "pause"], var.failover.on_lease_unreachable)
    error_message = "`failover.on_lease_unreachable` must be \"keep\" or \"pause\"."
  }

  validation {
    condition     = floor(var.failover.lease_stale_minutes) == var.failover.lease_stale_minutes && var.failover.lease_stale_minutes >= 2 && var.failover.lease_stale_minutes <= 1440
    error_message = "`failover.lease_stale_minutes` must be a whole number from 2 to 1440: the lease is confirmed every minute at most."
  }

  validation {
    condition = var.failover.on_lease_unreachable != "pause" || try(
      2 * tonumber(regex("^rate\\(([0-9]+) ", var.heartbeat.schedule)[0]) * { minute = 1, hour = 60, day = 1440 }[regex("(minute|hour|day)", var.heartbeat.schedule)[0]] <= var.failover.lease_stale_minutes,
      true,
    )
    error_message = "`failover.lease_stale_minutes` must be at least twice the interval of `heartbeat.schedule` with `failover.on_lease_unreachable = \"pause\"`: each check confirms the lease, and a primary would pause its DAGs between two of them."
  }

  validation {
    condition     = var.failover.health_function_arn == null || can(regex("^arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9_-]+(:[a-zA-Z0-9$_-]+)?$", var.failover.health_function_arn))
    error_message = "`failover.health_function_arn` must be the ARN of a Lambda function, such as \"arn:aws:lambda:us-west-2:111122223333:function:our-detector\"."
  }

  validation {
    condition     = alltrue([for policy in concat([var.failover.in_flight.default], values(var.failover.in_flight.dags)) : contains(["rerun", "fail"], policy)])
    error_message = "`failover.in_flight.default` and the values of `failover.in_flight.dags` must be \"rerun\" or \"fail\"."
  }
}

variable "failback" {
  type = object({
    drain_minutes = optional(number, 30)
    when_late     = optional(string, "cancel")
  })
  description = <<-EOT
    The failback: the secondary hands over what it did, and the primary is active again. The state machine `failback` of the primary starts it, by hand only. Set it alike in both Regions.
    - `drain_minutes`: how long the secondary waits until no task executes, after every DAG was paused,
    - `when_late`: what it does then: `cancel` lets it go on as before and fails, `snapshot` goes on: what still executes has the fate of `failover.in_flight`.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = floor(var.failback.drain_minutes) == var.failback.drain_minutes && var.failback.drain_minutes >= 0 && var.failback.drain_minutes <= 720
    error_message = "`failback.drain_minutes` must be a whole number from 0 to 720."
  }

  validation {
    condition     = contains(["cancel", "snapshot"], var.failback.when_late)
    error_message = "`failback.when_late` must be \"cancel\" or \"snapshot\"."
  }
}

variable "notifications" {
  type = object({
    emails    = optional(list(string), [])
    topic_arn = optional(string)
    create    = optional(bool)
  })
  description = <<-EOT
    Where notices go.
    - `emails`: addresses that are subscribed; each gets a message to confirm,
    - `topic_arn`: a topic of the caller in the place of a new one. Its policy and its key must admit `events.amazonaws.com` and `cloudwatch.amazonaws.com`,
    - `create`: false says that `topic_arn` is given even where its value is known after apply only.
  EOT
  default     = {}
  nullable    = false
}

variable "dashboard" {
  type        = bool
  description = "Whether there is a CloudWatch dashboard of this Region: alarms, snapshots, verdicts, hours asleep, state machines and functions."
  default     = true
  nullable    = false
}

variable "function_package" {
  type = object({
    bucket  = string
    key     = string
    version = optional(string)
  })
  description = "Take the functions' package (functions/package.zip of the same release) from this S3 object: for accounts that admit code only from their own bucket. Null takes it from the module."
  default     = null
}

variable "function_roles" {
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  description = "`path` and `permissions_boundary` (ARN) of the roles of functions, state machines and schedules, for accounts that demand them."
  default     = {}
  nullable    = false

  validation {
    condition     = can(regex("^/([\\x21-\\x7e]+/)?$", var.function_roles.path))
    error_message = "`function_roles.path` must start and end with a slash, such as \"/service/\"."
  }

  validation {
    condition     = var.function_roles.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.function_roles.permissions_boundary))
    error_message = "`function_roles.permissions_boundary` must be the ARN of a policy, such as \"arn:aws:iam::111122223333:policy/boundary\"."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days that the logs of functions and state machines are kept. Those of the environment: `environment.logging.retention_days`."
  default     = 90
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "`log_retention_days` must be a period CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}
