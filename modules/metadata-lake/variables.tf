variable "name" {
  type        = string
  description = "Name of the lake: its database and its workgroup are called after it."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_-]{0,79}$", var.name))
    error_message = "`name` must be 1 to 80 letters, digits, hyphens and underscores and start with a letter."
  }
}

variable "prefix" {
  type        = string
  description = "What names of resources begin with, such as \"analytics-us-east-1\". It should name the Region, because roles are global."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]{1,36}$", var.prefix))
    error_message = "`prefix` must be 1 to 36 letters, digits and hyphens: names of roles and of the bucket are made of it."
  }
}

variable "environments" {
  type        = list(string)
  description = "Names of all environments that export to this lake, from whatever Region. Athena looks for no others."
  nullable    = false

  validation {
    condition     = length(var.environments) >= 1 && length(distinct(var.environments)) == length(var.environments) && alltrue([for name in var.environments : can(regex("^[a-zA-Z][0-9a-zA-Z_-]{0,79}$", name))])
    error_message = "`environments` must be names of one or more environments, each once: 1 to 80 letters, digits, hyphens and underscores that start with a letter."
  }
}

variable "bucket" {
  type        = string
  description = "Name of a bucket of your own in this Region that the lake is to be in; null makes one. Encryption, lifecycle and policy of your own bucket stay yours."
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "`bucket` must be the name of a bucket (3 to 63 lower-case letters, digits, dots and hyphens), or null."
  }
}

variable "key_prefix" {
  type        = string
  description = "Prefix of everything the lake has in its bucket."
  default     = "metadata/"
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z0-9_.-]+/)+$", var.key_prefix))
    error_message = "`key_prefix` must be names of letters, digits, dots, hyphens and underscores, each ending in a slash, such as \"metadata/\"."
  }
}

variable "key_arn" {
  type        = string
  description = "ARN of the key that the bucket, results of queries and logs are encrypted with. Its policy must admit the logs service for log groups of this account."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.key_arn))
    error_message = "`key_arn` must be the ARN of a KMS key."
  }
}

variable "first_date" {
  type        = string
  description = "The first day of which there are exports (YYYY-MM-DD): Athena looks for none before it. Changing it moves nothing."
  default     = "2025-01-01"
  nullable    = false

  validation {
    condition     = can(regex("^20[0-9]{2}-[01][0-9]-[0-3][0-9]$", var.first_date)) && can(formatdate("YYYY", "${var.first_date}T00:00:00Z"))
    error_message = "`first_date` must be a day as YYYY-MM-DD, such as \"2025-01-01\"."
  }
}

variable "merge_schedule" {
  type        = string
  description = "When exports are brought into the tables: a rate or cron expression of EventBridge Scheduler, in UTC."
  default     = "rate(6 hours)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 (hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\))$", var.merge_schedule))
    error_message = "`merge_schedule` must be a rate such as \"rate(6 hours)\", or a cron expression of six fields such as \"cron(0 3 * * ? *)\"."
  }
}

variable "tidy_schedule" {
  type        = string
  description = "When the tables' small files are made into larger ones and old ones are deleted, after a merge: in the same form."
  default     = "cron(30 2 ? * SUN *)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 (hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([0-9A-Z*,/?#-]+ ){5}[0-9*,/-]+\\))$", var.tidy_schedule))
    error_message = "`tidy_schedule` must be a rate such as \"rate(7 days)\", or a cron expression of six fields such as \"cron(30 2 ? * SUN *)\"."
  }
}

variable "query_limit_gib" {
  type        = number
  description = "How much one query may read, in GiB; Athena ends one that reads more. It holds for merges as well."
  default     = 100
  nullable    = false

  validation {
    condition     = floor(var.query_limit_gib) == var.query_limit_gib && var.query_limit_gib >= 1 && var.query_limit_gib <= 7168
    error_message = "`query_limit_gib` must be a whole number from 1 to 7168 (7 TiB, the most Athena accepts)."
  }
}

variable "result_days" {
  type        = number
  description = "Days that results of queries are kept, in a bucket that is made here."
  default     = 7
  nullable    = false

  validation {
    condition     = floor(var.result_days) == var.result_days && var.result_days >= 1 && var.result_days <= 3650
    error_message = "`result_days` must be a whole number from 1 to 3650."
  }
}

variable "export_days" {
  type        = number
  description = "Days that exported objects are kept, in a bucket that is made here; null, the default, keeps them for ever. The tables keep what was merged all the same."
  default     = null

  validation {
    condition     = var.export_days == null || try(floor(var.export_days) == var.export_days && var.export_days >= 30 && var.export_days <= 36500, false)
    error_message = "`export_days` must be a whole number from 30 to 36500, or null: merges that fail need the time to be mended."
  }
}

variable "force_destroy" {
  type        = bool
  description = "Whether `terraform destroy` deletes a bucket and a workgroup made here with what is in them."
  default     = false
  nullable    = false
}

variable "alarm_topic_arn" {
  type        = string
  description = "SNS topic that the alarm tells; null for none."
  default     = null
}

variable "machine_roles" {
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  description = "IAM path and permissions boundary (ARN) of the roles of the state machine and its schedules."
  default     = {}
  nullable    = false
}

variable "log_retention_days" {
  type        = number
  description = "Days that the state machine's log is kept."
  default     = 90
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  default     = {}
  nullable    = false
}
