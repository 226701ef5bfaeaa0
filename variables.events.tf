# Which events lead to dataset events and DAG runs.

variable "event_trigger" {
  type = object({
    rules = list(object({
      name    = string
      buckets = optional(list(string), [])
      prefix  = optional(string, "")
      suffix  = optional(string, "")
      pattern = optional(string)
      dataset = optional(string)
      dag_id  = optional(string)
    }))
    wake             = optional(bool, false)
    calls_per_second = optional(number, 6)
    max_concurrency  = optional(number, 2)
    max_age_minutes  = optional(number, 60)
    topic_arns       = optional(list(string), [])
  })
  description = <<-EOT
    Deliver events to the environment, each good one once, however long the environment is away; null, the default, delivers none.
    - `rules`: which events lead to what, each with a `name` of its own and
      - `buckets`, `prefix`, `suffix`: new objects in any of these buckets whose keys begin and end so. The buckets must send their events to EventBridge, or notify the queue (output `event_queue`), or
      - `pattern`: an event pattern of EventBridge as JSON, for any source;
      - `dataset`: URI of the dataset (Airflow 3: asset) that gets an event, as Airflow shows it (from Airflow 2.9), or `dag_id`: the DAG of which a run is started, at most 50 characters,
    - `wake`: whether an event that waits brings a sleeping environment back (`hibernation`),
    - `calls_per_second`, `max_concurrency`: how many calls of the REST API all invocations make together, and how many run at once; AWS allows 10 calls a second for an environment,
    - `max_age_minutes`: how long an event may wait for an environment that is not asleep before an alarm tells,
    - `topic_arns`: SNS topics that may send notifications of S3 to the queue.
    With two Regions it is given in both, each with the buckets of its own Region: the one that holds the lease delivers.
  EOT
  default     = null

  validation {
    condition     = !try(var.event_trigger.wake, false) || var.hibernation != null
    error_message = "`event_trigger.wake` needs `hibernation`: nothing else puts the environment to sleep."
  }

  validation {
    condition     = !anytrue([for rule in try(var.event_trigger.rules, []) : rule.dataset != null]) || can(regex("^(2[.](9|[1-9][0-9])|[3-9])[.]", var.environment.airflow_version))
    error_message = "`event_trigger.rules` with `dataset` need `environment.airflow_version` 2.9 or newer: older ones take no dataset events. A rule may start a DAG by `dag_id` instead."
  }
}
