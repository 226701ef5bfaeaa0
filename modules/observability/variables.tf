variable "name" {
  type        = string
  description = "Name of the environment."
  nullable    = false
}

variable "prefix" {
  type        = string
  description = "Prefix of every name here."
  nullable    = false
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

variable "tags" {
  type        = map(string)
  description = "Tags of every resource here."
  default     = {}
  nullable    = false
}

variable "key_arn" {
  type        = string
  description = "ARN of the KMS key of the topic. Its policy must let EventBridge and CloudWatch use it for topics of this account."
  nullable    = false
}

variable "state_machine_arns" {
  type        = map(string)
  description = "Machine name to ARN of the state machines whose outcome is told."
  nullable    = false
}

variable "function_arns" {
  type        = map(string)
  description = "Function name to ARN of the functions whose errors are watched."
  nullable    = false
}

variable "notifications" {
  type = object({
    emails    = optional(list(string), [])
    topic_arn = optional(string)
    create    = optional(bool)
  })
  description = <<-DESCRIPTION
    Where notices go.

    - `emails`: addresses that are subscribed; each gets a message to confirm.
    - `topic_arn`: a topic of the caller's own in the place of a new one. Its policy and key must admit `events.amazonaws.com` and `cloudwatch.amazonaws.com`,
    - `create`: false says that `topic_arn` is given even where its value is known after apply only.
  DESCRIPTION
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for email in var.notifications.emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+$", email))])
    error_message = "notifications.emails must be e-mail addresses, such as \"data-platform@example.com\"."
  }

  validation {
    condition     = var.notifications.create == null || var.notifications.create == (var.notifications.topic_arn == null)
    error_message = "notifications.create must be false with notifications.topic_arn, and true or left out without it."
  }

  validation {
    condition     = var.notifications.topic_arn == null || can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.notifications.topic_arn))
    error_message = "notifications.topic_arn must be the ARN of an SNS standard topic, such as \"arn:aws:sns:us-east-1:123456789012:on-call\"."
  }
}

variable "unknown_periods" {
  type        = number
  description = "Minutes in a row with the verdict unknown before the alarm goes off."
  default     = 5
  nullable    = false
}

variable "verdict_every_minute" {
  type        = bool
  description = "Whether the metric `UnknownHealth` is published every minute, so that silence counts as unknown health: the heartbeat check runs every minute, and by the function of this project, not by a detector of the caller's own."
  default     = false
  nullable    = false
}

variable "smokes" {
  type        = bool
  description = "Whether a smoke run follows a resume, so that its outcome is published."
  default     = false
  nullable    = false
}

variable "hibernates" {
  type        = bool
  description = "Whether the environment is away at times: no snapshot is due then."
  default     = false
  nullable    = false
}

variable "takes_events" {
  type        = bool
  description = "Whether events are delivered to the environment."
  default     = false
  nullable    = false
}

variable "keeps_standby" {
  type        = bool
  description = "Whether this Region keeps a standby, which is to be in step with its spec."
  default     = false
  nullable    = false
}

variable "refreshes" {
  type        = bool
  description = "Whether the state of every snapshot is restored into the standby, which is then to be as young as they are."
  default     = false
  nullable    = false
}

variable "snapshot_age_limit_minutes" {
  type        = number
  description = "Age in minutes from which the newest snapshot is too old."
  nullable    = false

  validation {
    condition     = var.snapshot_age_limit_minutes >= 1 && var.snapshot_age_limit_minutes <= 10080
    error_message = "snapshot_age_limit_minutes must be 1 to 10080 (seven days, the longest that CloudWatch looks back)."
  }
}

variable "dashboard" {
  type        = bool
  description = "Whether there is a dashboard."
  default     = true
  nullable    = false
}
