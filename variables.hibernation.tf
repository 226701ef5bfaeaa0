# When the environment is put away, and how.

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
  description = <<-EOT
    Put the environment away for the night and bring it back: a snapshot, verified, then the environment is deleted; a resume creates it again from what Terraform published last, and
    restores the snapshot. For role `standalone` with `environment_owner = "lifecycle"`; null, the default, leaves it alone.
    - `hibernate`, `resume`: cron expressions of EventBridge Scheduler such as "cron(0 20 ? * MON-FRI *)", in `timezone`; left out, the state machine is started by hand only,
    - `timezone`: such as "Europe/Berlin",
    - `drain_minutes`: how long to wait until no task executes, after every DAG was paused,
    - `when_late`: what to do then: `cancel` puts all back and fails, `snapshot` goes on: what still executes has the fate of `failover.in_flight`,
    - `exceptions`: days such as "2026-12-24", in `timezone`, on which no schedule puts it away; a start by hand does,
    - `accept_portable`: whether a portable snapshot (no history, no work in flight) may be all that is left,
    - `catchup_after_sleep`: of the runs that fell due while it slept: `all` run, as Airflow has it (every one of a DAG with `catchup=True`, the last one of any other), `latest` the last one of each DAG, `none` no one,
    - `smoke`: a DAG of your own, `dag_id`, that a resume starts once when all is live, with an empty configuration; it waits `timeout_minutes` for the run to succeed, and fails where it does not, but nothing is undone. Without it a resume has shown that a task runs: it goes live by one,
    - `window_minutes`: while the environment is changing, or another execution is at work, a start is tried again for so long, every `retry_seconds`.
  EOT
  default     = null

  validation {
    condition     = var.hibernation == null || (var.role == "standalone" && var.environment_owner == "lifecycle")
    error_message = "`hibernation` is for role \"standalone\" with environment_owner \"lifecycle\": Terraform would create again what it owns, and with a peer the other Region would take over while this one sleeps."
  }

  validation {
    condition = var.hibernation == null || alltrue([
      for expression in [try(var.hibernation.hibernate, null), try(var.hibernation.resume, null)] :
      expression == null || try(can(regex("^cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\)$", expression)) && strcontains(expression, "?"), false)
    ])
    error_message = "`hibernation.hibernate` and `.resume` must be cron expressions of six fields with \"?\" as day of the month or as day of the week, such as \"cron(0 20 ? * MON-FRI *)\"."
  }

  validation {
    condition     = try(var.hibernation.hibernate, null) == null || try(var.hibernation.hibernate != var.hibernation.resume, true)
    error_message = "`hibernation.hibernate` and `.resume` are the same: the environment would be put away and brought back at one time."
  }

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$", try(var.hibernation.timezone, "UTC")))
    error_message = "`hibernation.timezone` must be the name of a time zone, such as \"Europe/Berlin\" or \"UTC\"."
  }

  validation {
    condition     = contains(["cancel", "snapshot"], try(var.hibernation.when_late, "cancel"))
    error_message = "`hibernation.when_late` must be \"cancel\" or \"snapshot\"."
  }

  validation {
    condition     = contains(["all", "latest", "none"], try(var.hibernation.catchup_after_sleep, "all"))
    error_message = "`hibernation.catchup_after_sleep` must be \"all\", \"latest\" or \"none\"."
  }

  # InvokeRestApi takes a path of 64 characters, "/dags/<dag_id>/dagRuns" among them.
  validation {
    condition     = try(var.hibernation.smoke, null) == null || can(regex("^[A-Za-z0-9_.-]{1,50}$", try(var.hibernation.smoke.dag_id, "")))
    error_message = "`hibernation.smoke.dag_id` must be 1 to 50 of the characters A-Z a-z 0-9 _ . -: MWAA's InvokeRestApi takes no longer path."
  }

  validation {
    condition     = try(floor(var.hibernation.smoke.timeout_minutes) == var.hibernation.smoke.timeout_minutes && var.hibernation.smoke.timeout_minutes >= 1 && var.hibernation.smoke.timeout_minutes <= 240, try(var.hibernation.smoke, null) == null)
    error_message = "`hibernation.smoke.timeout_minutes` must be a whole number from 1 to 240."
  }

  validation {
    condition     = try(floor(var.hibernation.drain_minutes) == var.hibernation.drain_minutes && var.hibernation.drain_minutes >= 0 && var.hibernation.drain_minutes <= 720, var.hibernation == null)
    error_message = "`hibernation.drain_minutes` must be a whole number from 0 to 720."
  }

  validation {
    condition     = alltrue([for day in try(var.hibernation.exceptions, []) : can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", day)) && can(formatdate("YYYY", "${day}T00:00:00Z"))])
    error_message = "`hibernation.exceptions` must be days of the calendar, such as \"2026-12-24\"."
  }

  validation {
    condition     = try(floor(var.hibernation.window_minutes) == var.hibernation.window_minutes && var.hibernation.window_minutes >= 0 && var.hibernation.window_minutes <= 720, var.hibernation == null)
    error_message = "`hibernation.window_minutes` must be a whole number from 0 to 720 (half a day)."
  }

  validation {
    condition     = try(floor(var.hibernation.retry_seconds) == var.hibernation.retry_seconds && var.hibernation.retry_seconds >= 1 && var.hibernation.window_minutes * 60 / var.hibernation.retry_seconds <= 500, var.hibernation == null)
    error_message = "`hibernation.retry_seconds` must be a whole number of at least 1, and make at most 500 attempts within `window_minutes`: the history of an execution has a limit."
  }

  # A look at the environment writes 13 events into the history of its execution, which ends at 25,000; one at the DAGs writes 9.
  validation {
    condition     = var.hibernation == null || (var.failover.create_timeout_minutes * 60 * 13 + var.failover.parse_deadline_seconds * 9) / var.failover.poll_seconds <= 20000
    error_message = "`failover.poll_seconds` is too short for `failover.create_timeout_minutes` and `.parse_deadline_seconds`: a resume that takes as long as they allow would end at the limit of its history, 25,000 events."
  }

  validation {
    condition     = var.hibernation == null || !can(regex("^(?i:aws|ssm)", var.name))
    error_message = "`name` must not start with \"aws\" or \"ssm\" with `hibernation`: Systems Manager takes no such name for the parameter that tells the web address."
  }
}
