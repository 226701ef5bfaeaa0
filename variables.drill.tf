# When the secondary shows that the environment could come back there, and what is promised.

variable "drill" {
  type = object({
    schedule    = optional(string)
    rpo_minutes = optional(number)
    rto_minutes = optional(number)
  })
  description = <<-EOT
    The drill of a secondary: restore the newest snapshot there, let nothing go live, count what is there, report into the snapshot bucket (`drills/`), remove the environment again (a standby stays).
    The primary is not touched. What fails, or misses a promise, is told, and raises the alarm `<prefix>-drill`.
    - `schedule`: when it runs: a rate or cron expression of EventBridge Scheduler, in UTC; null, the default, leaves it to be started by hand. An environment is paid for while it runs,
    - `rpo_minutes`: how old the newest snapshot's cut may be when a drill begins; null promises nothing,
    - `rto_minutes`: how long it may take until the state is restored, creation of the environment included; null promises nothing.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = var.role == "secondary" || (var.drill.schedule == null && var.drill.rpo_minutes == null && var.drill.rto_minutes == null)
    error_message = "`drill` is for role \"secondary\": that is where the environment is restored."
  }

  validation {
    condition     = var.drill.schedule == null || can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\))$", var.drill.schedule))
    error_message = "`drill.schedule` must be a rate such as \"rate(30 days)\", or a cron expression of six fields such as \"cron(0 3 ? * SUN#1 *)\"."
  }

  validation {
    condition     = alltrue([for minutes in [var.drill.rpo_minutes, var.drill.rto_minutes] : minutes == null || try(floor(minutes) == minutes && minutes >= 1 && minutes <= 10080, false)])
    error_message = "`drill.rpo_minutes` and `.rto_minutes` must be whole numbers from 1 to 10080 (seven days), or null."
  }
}
