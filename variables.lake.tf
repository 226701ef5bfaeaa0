# Where run history goes to be analysed.

variable "metadata_lake" {
  type = object({
    schedule = optional(string, "@hourly")
    lake = optional(object({
      bucket  = string
      region  = string
      prefix  = string
      key_arn = string
    }))
    bucket          = optional(string)
    key_arn         = optional(string)
    environments    = optional(list(string), [])
    first_date      = optional(string, "2025-01-01")
    merge_schedule  = optional(string, "rate(6 hours)")
    tidy_schedule   = optional(string, "cron(30 2 ? * SUN *)")
    query_limit_gib = optional(number, 100)
    result_days     = optional(number, 7)
    export_days     = optional(number)
  })
  description = <<-EOT
    Export run history (DAGs, DAG runs, task instances and their attempts, log events, table sizes) to a metadata lake, for queries by Athena; null, the default, exports none.
    - `schedule`: when the DAG `continuity_lake` exports what changed: a cron expression of Airflow (five fields, UTC), a preset such as `@daily`, or null for by hand only,
    - `lake`: the lake to export to, where one was made elsewhere: output `metadata_lake.lake` of another environment, in whatever Region of this account, or `lake` of `modules/metadata-lake`. Without it a lake is made here, and the rest says how:
    - `bucket`: a bucket of your own in this Region that it is to be in; by default one is made,
    - `key_arn`: the key of that bucket; by default the key of this Region,
    - `environments`: names of other environments that export to it,
    - `first_date`: the first day of which there are exports (YYYY-MM-DD),
    - `merge_schedule`, `tidy_schedule`: when exports are brought into the tables, and when the tables' files are put in order: rate or cron expressions of EventBridge Scheduler, in UTC,
    - `query_limit_gib`: how much one query may read,
    - `result_days`, `export_days`: how long results of queries and exported objects are kept, in a bucket that is made here; null, the default of the latter, for ever.
    With two Regions the lake is best made in the secondary, and given to the primary: the Region that holds the lease exports.
  EOT
  default     = null

  validation {
    condition     = try(var.metadata_lake.schedule, null) == null || can(regex("^(@(hourly|daily|weekly|monthly)|([0-9A-Za-z*,/#-]+ ){4}[0-9A-Za-z*,/#-]+)$", var.metadata_lake.schedule))
    error_message = "`metadata_lake.schedule` must be a cron expression of five fields such as \"0 4 * * *\", \"@hourly\", \"@daily\", \"@weekly\", \"@monthly\", or null."
  }

  validation {
    condition     = try(var.metadata_lake.lake, null) == null || try(var.metadata_lake.bucket == null && length(var.metadata_lake.environments) == 0 && var.metadata_lake.export_days == null, true)
    error_message = "`metadata_lake.lake` names a lake that was made elsewhere: `bucket`, `environments` and `export_days` belong there."
  }

  validation {
    condition     = !contains(try(var.metadata_lake.environments, []), var.name)
    error_message = "`metadata_lake.environments` are the others: this environment's own name must not be among them."
  }

  validation {
    condition     = try(var.metadata_lake.lake, null) == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.metadata_lake.lake.region)) && endswith(try(var.metadata_lake.lake.prefix, ""), "/")
    error_message = "`metadata_lake.lake` must be what a lake's output says: `region` such as \"us-east-1\", and a `prefix` that ends in a slash."
  }
}
