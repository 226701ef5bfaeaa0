variable "name" {
  type        = string
  description = "Name of the environment that events are delivered to."
  nullable    = false
}

variable "prefix" {
  type        = string
  description = "What names of resources begin with, such as \"analytics-us-east-1\". It should name the Region, because roles are global."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]{1,36}$", var.prefix))
    error_message = "`prefix` must be 1 to 36 letters, digits and hyphens: names of roles and rules are made of it."
  }
}

variable "rules" {
  type = list(object({
    name    = string
    buckets = optional(list(string), [])
    prefix  = optional(string, "")
    suffix  = optional(string, "")
    pattern = optional(string)
    dataset = optional(string)
    dag_id  = optional(string)
  }))
  description = <<-EOT
    Which events lead to what.
    - `name`: of the rule,
    - `buckets`, `prefix`, `suffix`: new objects in any of these buckets whose keys begin and end so; the buckets must send their events to EventBridge, or notify the queue,
    - `pattern`: in the place of these three, an event pattern of EventBridge as JSON, for any source,
    - `dataset`: the URI of the dataset (Airflow 3: asset) that gets an event, as Airflow shows it, or
    - `dag_id`: the DAG of which a run is started.
  EOT
  nullable    = false

  validation {
    condition     = length(var.rules) >= 1 && length(distinct([for rule in var.rules : rule.name])) == length(var.rules) && alltrue([for rule in var.rules : can(regex("^[A-Za-z0-9_-]{1,20}$", rule.name))])
    error_message = "`rules` must be one or more, each with another `name` of 1 to 20 letters, digits, hyphens and underscores."
  }

  validation {
    condition     = alltrue([for rule in var.rules : (rule.dataset == null) != (rule.dag_id == null)])
    error_message = "Each of `rules` must have either `dataset` or `dag_id`."
  }

  validation {
    condition     = alltrue([for rule in var.rules : rule.pattern == null ? length(rule.buckets) > 0 : length(rule.buckets) == 0 && rule.prefix == "" && rule.suffix == ""])
    error_message = "Each of `rules` must have either `buckets`, with `prefix` and `suffix` if wanted, or `pattern`."
  }

  # "/dags/" and "/dagRuns" around it make up the rest of the 64 characters that InvokeRestApi takes as a path.
  validation {
    condition     = alltrue([for rule in var.rules : rule.dag_id == null ? true : can(regex("^[A-Za-z0-9_.-]{1,50}$", rule.dag_id))])
    error_message = "`dag_id` must be 1 to 50 letters, digits, dots, hyphens and underscores: InvokeRestApi takes paths of at most 64 characters, and /dags/<dag_id>/dagRuns would be longer. Such a DAG can be scheduled by a dataset instead: its URI may be longer."
  }

  # A dataset's URI is never part of a path: it goes in the body, and is looked for by a query.
  validation {
    condition     = alltrue([for rule in var.rules : rule.dataset == null ? true : can(regex("^[!-~]+$", rule.dataset)) && length(rule.dataset) <= 1500 && !startswith(rule.dataset, "airflow:")])
    error_message = "`dataset` must be a URI as the DAG names it: 1 to 1500 printable ASCII characters without blanks, not of the scheme \"airflow\", such as \"s3://bucket/orders\"."
  }

  # Airflow stores a URI without what it drops, and knows it by no other writing. Names without a scheme, and schemes
  # that begin with "x-", it leaves as they are.
  validation {
    condition     = alltrue([for rule in var.rules : rule.dataset == null ? true : !can(regex("^[A-Za-z][A-Za-z0-9+.-]*:", rule.dataset)) || startswith(lower(rule.dataset), "x-") || can(regex("^[a-z][a-z0-9+.-]*:(//([^/?#:@]*@)?[^/?#@]*/([^?#]*[^/?#])?|/?[^/?#]([^?#]*[^/?#])?)([?][^#]+)?$", rule.dataset))])
    error_message = "`dataset` must be the URI as Airflow shows it: scheme in small letters, no \"/\" at the end (but \"s3://bucket/\" where there is no path), no \"#\", no credentials, parameters of a query sorted."
  }

  validation {
    condition     = alltrue(flatten([for rule in var.rules : [for part in [rule.prefix, rule.suffix] : !can(regex("[*\\\\]", part))]]))
    error_message = "`prefix` and `suffix` must not hold \"*\" or \"\\\": EventBridge reads them as wildcards."
  }

  validation {
    condition     = alltrue(flatten([for rule in var.rules : [for bucket in rule.buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket))]]))
    error_message = "`buckets` must be names of buckets, such as \"landing-zone\"."
  }

  validation {
    condition     = alltrue([for rule in var.rules : rule.pattern == null ? true : can(keys(jsondecode(rule.pattern)))])
    error_message = "`pattern` must be an event pattern as JSON, such as jsonencode({ source = [\"aws.glue\"] })."
  }
}

variable "key_arn" {
  type        = string
  description = "ARN of the KMS key of the table and of the log group. Its policy must admit logs.<region>.amazonaws.com. The queues are encrypted by keys of SQS."
  nullable    = false
}

variable "known_by" {
  type        = string
  description = <<-EOT
    How the function knows whether the environment takes events:
    - `environment`: by its status alone,
    - `hibernation`: and by the item of a hibernation,
    - `lease`: and by the lease, where two Regions share an environment.
    The last two need `ledger_table`, which holds these items.
  EOT
  default     = "environment"
  nullable    = false

  validation {
    condition     = contains(["environment", "hibernation", "lease"], var.known_by) && (var.known_by == "environment" || var.ledger_table != null)
    error_message = "`known_by` must be \"environment\", or with `ledger_table` \"hibernation\" or \"lease\"."
  }
}

variable "ledger_table" {
  type        = object({ name = string })
  description = "The table in which it is kept what was delivered: that of the lease, with keys `pk` and `sk` and `expires_at` as its TTL. Null: one of its own."
  default     = null
}

variable "resume_machine_arn" {
  type        = string
  description = "ARN of the state machine that an event starts while the environment sleeps; null: events wait."
  default     = null

  validation {
    condition     = var.resume_machine_arn == null || var.known_by == "hibernation"
    error_message = "`resume_machine_arn` needs `known_by` \"hibernation\"."
  }
}

variable "network" {
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  description = "Where the function runs when the web server is private; its security group must get to the web server and to the endpoints of airflow, dynamodb, monitoring, sqs and states. Null: outside of any VPC."
  default     = null
}

variable "calls_per_second" {
  type        = number
  description = "How many calls of InvokeRestApi a second all invocations make together. AWS allows 10 for an environment, the metadata DAGs' own included."
  default     = 6
  nullable    = false

  validation {
    condition     = var.calls_per_second > 0 && var.calls_per_second <= 10
    error_message = "`calls_per_second` must be above 0 and at most 10, which is what InvokeRestApi allows."
  }
}

variable "max_concurrency" {
  type        = number
  description = "How many invocations run at once."
  default     = 2
  nullable    = false

  validation {
    condition     = floor(var.max_concurrency) == var.max_concurrency && var.max_concurrency >= 2 && var.max_concurrency <= 10
    error_message = "`max_concurrency` must be a whole number from 2, the least that Lambda takes, to 10."
  }

  # With fewer, ten calls that are kept apart would take longer than an invocation has.
  validation {
    condition     = var.max_concurrency / var.calls_per_second <= 5
    error_message = "`max_concurrency` must be at most five times `calls_per_second`."
  }
}

variable "max_age_minutes" {
  type        = number
  description = "How long an event may wait before an alarm tells of it."
  default     = 60
  nullable    = false

  validation {
    condition     = floor(var.max_age_minutes) == var.max_age_minutes && var.max_age_minutes >= 1 && var.max_age_minutes <= 10080
    error_message = "`max_age_minutes` must be a whole number from 1 to 10080 (seven days)."
  }
}

variable "alarm_topic_arn" {
  type        = string
  description = "ARN of the SNS topic that alarms go to; null: to none."
  default     = null
}

variable "topic_arns" {
  type        = list(string)
  description = "ARNs of SNS topics that may send notifications of S3 to the queue."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.topic_arns : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))])
    error_message = "`topic_arns` must be ARNs of SNS topics."
  }
}

variable "function_package" {
  type = object({
    bucket  = string
    key     = string
    version = optional(string)
  })
  description = "Where the function's package is, instead of the one that comes with the module."
  default     = null
}

variable "function_roles" {
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  description = "Path and permissions boundary of the function's role."
  default     = {}
  nullable    = false
}

variable "log_retention_days" {
  type        = number
  description = "How long the function's log is kept."
  default     = 30
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  default     = {}
  nullable    = false
}
