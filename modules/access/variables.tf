variable "account" {
  type = object({
    partition  = string
    dns_suffix = string
    region     = string
    id         = string
  })
  description = "Where the resources are: `partition`, `dns_suffix`, `region`, and `id` of the account."
  nullable    = false
}

variable "presets" {
  type = object({
    athena = optional(object({
      workgroups    = list(string)
      databases     = list(string)
      read          = optional(list(string), [])
      write         = list(string)
      create_tables = optional(bool, false)
      key_arns      = optional(list(string), [])
    }))
    glue = optional(object({
      jobs = list(string)
    }))
    emr = optional(object({
      cluster_ids  = optional(list(string), [])
      cluster_tags = optional(map(string), {})
      pass_roles   = optional(list(string), [])
    }))
    lambda = optional(object({
      functions = list(string)
    }))
    ecs = optional(list(object({
      cluster          = string
      task_definitions = list(string)
      pass_roles       = list(string)
      log_groups       = optional(list(string), [])
    })))
    secrets_manager_backend = optional(object({
      connections_prefix = optional(string, "airflow/connections")
      variables_prefix   = optional(string, "airflow/variables")
      config_prefix      = optional(string)
      key_arns           = optional(list(string), [])
    }))
  })
  description = <<-EOT
    What DAGs may use; what is left out they may not.
    - `athena`: run queries in `workgroups` over `databases` of the Glue catalog; read below the S3 locations `read`, write results and tables below `write`; `create_tables`: also change tables and partitions of these databases; `key_arns`: keys that the data is encrypted with,
    - `glue`: start and follow `jobs`, which exist,
    - `emr`: add steps to clusters, by `cluster_ids`, or by `cluster_tags` that they all carry; with `pass_roles` (ARNs of the service role and the instance role) also create clusters with these tags, and end them,
    - `lambda`: invoke `functions`,
    - `ecs`: for each `cluster`, run `task_definitions` (families) in it, which take on `pass_roles` (ARNs), and read `log_groups`,
    - `secrets_manager_backend`: Airflow reads connections and variables from Secrets Manager by these prefixes; `key_arns`: keys that the secrets are encrypted with, other than the AWS managed one.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([for location in concat(try(var.presets.athena.read, []), try(var.presets.athena.write, [])) :
      can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([^*?]*/)?$", location))
    ])
    error_message = "`athena.read` and `athena.write` must be locations that end with a slash, such as \"s3://lake/orders/\": without it a neighbour with a longer name would be meant too."
  }

  validation {
    condition     = var.presets.athena == null || alltrue([for names in [try(var.presets.athena.workgroups, []), try(var.presets.athena.databases, []), try(var.presets.athena.write, [])] : length(names) > 0])
    error_message = "`athena` needs at least one of `workgroups`, of `databases` and of `write`, where the results go."
  }

  validation {
    condition     = alltrue([for preset, names in { glue = try(var.presets.glue.jobs, null), lambda = try(var.presets.lambda.functions, null) } : try(length(names) > 0, true)])
    error_message = "`glue.jobs` and `lambda.functions` must name at least one: leave the preset out where DAGs use none."
  }

  # A wildcard in a name would make a policy wider than its reader thinks.
  validation {
    condition = alltrue([for name in concat(
      try(var.presets.athena.workgroups, []), try(var.presets.athena.databases, []), try(var.presets.glue.jobs, []), try(var.presets.lambda.functions, []),
      flatten([for grant in coalesce(var.presets.ecs, []) : concat([grant.cluster], grant.task_definitions)]),
    ) : can(regex("^[A-Za-z0-9][A-Za-z0-9_. -]*$", name))])
    error_message = "Workgroups, databases, jobs, functions, clusters and task definitions must be names, without \"*\", \":\" and \"/\": not ARNs, and not patterns."
  }

  validation {
    condition     = var.presets.emr == null || try(length(var.presets.emr.cluster_ids) > 0 || length(var.presets.emr.cluster_tags) > 0, false)
    error_message = "`emr` needs `cluster_ids` or `cluster_tags`: steps are never added to just any cluster."
  }

  validation {
    condition     = alltrue([for id in try(var.presets.emr.cluster_ids, []) : can(regex("^j-[A-Z0-9]+$", id))])
    error_message = "`emr.cluster_ids` must be ids of clusters, such as \"j-2AXXXXXXGAPLF\"."
  }

  validation {
    condition     = length(try(var.presets.emr.pass_roles, [])) == 0 || length(try(var.presets.emr.cluster_tags, {})) > 0
    error_message = "`emr.pass_roles` needs `cluster_tags`: a cluster that a DAG creates is known by its tags."
  }

  validation {
    condition = alltrue([for arn in concat(try(var.presets.emr.pass_roles, []), flatten([for grant in coalesce(var.presets.ecs, []) : grant.pass_roles])) :
      can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*?]+$", arn))
    ])
    error_message = "`pass_roles` must be ARNs of roles, such as \"arn:aws:iam::111122223333:role/report\", without wildcards."
  }

  validation {
    condition = alltrue([for arn in concat(try(var.presets.athena.key_arns, []), try(var.presets.secrets_manager_backend.key_arns, [])) :
      can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$", arn))
    ])
    error_message = "`key_arns` must be ARNs of KMS keys: IAM knows keys by ARN, not by alias."
  }

  validation {
    condition = alltrue([for prefix in [
      try(var.presets.secrets_manager_backend.connections_prefix, null), try(var.presets.secrets_manager_backend.variables_prefix, null), try(var.presets.secrets_manager_backend.config_prefix, null),
    ] : prefix == null || can(regex("^[A-Za-z0-9_+=.@-]+(/[A-Za-z0-9_+=.@-]+)*$", prefix))])
    error_message = "Prefixes of `secrets_manager_backend` must be names without a slash at either end, such as \"airflow/connections\"."
  }
}
