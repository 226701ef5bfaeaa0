# The options of the environment itself. The root module passes its `environment` through unchanged.

locals {
  # Versions in which MWAA creates environments. One that is no longer on this list cannot be recreated either.
  offered_versions = ["2.7.2", "2.8.1", "2.9.2", "2.10.1", "2.10.3", "2.11.0", "2.11.2", "3.0.6", "3.2.1", "3.3.1"]

  environment_classes = ["mw1.micro", "mw1.small", "mw1.medium", "mw1.large", "mw1.xlarge", "mw1.2xlarge"]

  # mw1.micro runs scheduler and worker in one container and does not scale. All others have the same limits; how many workers is a quota.
  class_limits = {
    for class in local.environment_classes : class => class == "mw1.micro" ? {
      schedulers = { least = 1, most = 1, default = 1 }
      webservers = { least = 1, most = 1, default = 1 }
      workers    = { most = 1, default = 1 }
      } : {
      schedulers = { least = 2, most = 5, default = 2 }
      webservers = { least = 2, most = 5, default = 2 }
      workers    = { most = 50, default = 10 }
    }
  }

  log_levels = ["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"]

  log_retention_days = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
}

variable "environment" {
  type = object({
    airflow_version                        = optional(string, "2.10.3")
    airflow_configuration_options          = optional(map(string), {})
    regional_airflow_configuration_options = optional(map(string), {})
    environment_class                      = optional(string, "mw1.small")
    min_workers                            = optional(number, 1)
    max_workers                            = optional(number)
    schedulers                             = optional(number)
    min_webservers                         = optional(number)
    max_webservers                         = optional(number)
    dag_s3_path                            = optional(string, "dags")
    plugins_s3_path                        = optional(string)
    plugins_s3_object_version              = optional(string)
    requirements_s3_path                   = optional(string)
    requirements_s3_object_version         = optional(string)
    startup_script_s3_path                 = optional(string)
    startup_script_s3_object_version       = optional(string)
    webserver_access_mode                  = optional(string, "PRIVATE_ONLY")
    endpoint_management                    = optional(string, "SERVICE")
    weekly_maintenance_window_start        = optional(string)
    aws_owned_key                          = optional(bool, false)
    logging = optional(object({
      dag_processing = optional(object({ enabled = optional(bool, true), level = optional(string, "INFO") }), {})
      scheduler      = optional(object({ enabled = optional(bool, true), level = optional(string, "INFO") }), {})
      task           = optional(object({ enabled = optional(bool, true), level = optional(string, "INFO") }), {})
      webserver      = optional(object({ enabled = optional(bool, true), level = optional(string, "INFO") }), {})
      worker         = optional(object({ enabled = optional(bool, true), level = optional(string, "INFO") }), {})
      retention_days = optional(number, 90)
    }), {})
    timeouts = optional(object({
      create = optional(string, "120m")
      update = optional(string, "120m")
      delete = optional(string, "60m")
    }), {})
  })
  description = <<-EOT
    The environment.
    - `airflow_version`: one that MWAA offers,
    - `airflow_configuration_options`: Airflow options, "section.option" = "value". They are published in clear text: keep secrets in a secrets backend,
    - `regional_airflow_configuration_options`: the same, for options that hold in this Region only; they win, and stay behind when another Region's spec is materialised here,
    - `environment_class`: `mw1.micro` to `mw1.2xlarge`,
    - `min_workers`, `max_workers`, `schedulers`, `min_webservers`, `max_webservers`: sizes within the limits of the class; by default 1, 10, 2, 2, 2 (`mw1.micro`: 1 each),
    - `dag_s3_path`: folder of the DAG bucket that holds the DAGs,
    - `plugins_s3_path`, `requirements_s3_path`, `startup_script_s3_path`: keys in the DAG bucket; with `..._s3_object_version` a fixed version, else the newest at each update,
    - `webserver_access_mode`: `PRIVATE_ONLY` or `PUBLIC_ONLY`,
    - `endpoint_management`: `SERVICE`, or `CUSTOMER` in a shared VPC: the environment then waits in PENDING, for 72 hours at most, until you have created its endpoints,
    - `weekly_maintenance_window_start`: in UTC, such as "SUN:03:30"; MWAA chooses by default,
    - `aws_owned_key`: encrypts the environment (not the buckets) with a key AWS owns,
    - `logging`: per component (`dag_processing`, `scheduler`, `task`, `webserver`, `worker`) whether it logs and from which `level`; `retention_days` of the log groups,
    - `timeouts`: how long Terraform waits for its own environment (`create`, `update`, `delete`).
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = contains(local.offered_versions, var.environment.airflow_version)
    error_message = "`environment.airflow_version` must be a version MWAA offers: ${join(", ", local.offered_versions)}."
  }

  validation {
    condition     = contains(local.environment_classes, var.environment.environment_class)
    error_message = "`environment.environment_class` must be one of ${join(", ", local.environment_classes)}."
  }

  validation {
    condition = (
      var.environment.min_workers >= 1 && floor(var.environment.min_workers) == var.environment.min_workers &&
      var.environment.min_workers <= try(coalesce(var.environment.max_workers, local.class_limits[var.environment.environment_class].workers.default), 0)
    )
    error_message = "`environment.min_workers` must be a whole number from 1 to `environment.max_workers` (by default 10; mw1.micro: 1)."
  }

  validation {
    condition = var.environment.max_workers == null || try(
      var.environment.max_workers >= 1 && floor(var.environment.max_workers) == var.environment.max_workers &&
      var.environment.max_workers <= local.class_limits[var.environment.environment_class].workers.most, false
    )
    error_message = "`environment.max_workers` must be a whole number from 1 to 50; above 25 your account's quota must allow it. For mw1.micro, which does not scale, it must be 1."
  }

  validation {
    condition = var.environment.schedulers == null || try(
      floor(var.environment.schedulers) == var.environment.schedulers &&
      var.environment.schedulers >= local.class_limits[var.environment.environment_class].schedulers.least &&
      var.environment.schedulers <= local.class_limits[var.environment.environment_class].schedulers.most, false
    )
    error_message = "`environment.schedulers` must be a whole number from 2 to 5. For mw1.micro it must be 1."
  }

  validation {
    condition = alltrue([
      for count in [var.environment.min_webservers, var.environment.max_webservers] : count == null || try(
        floor(count) == count &&
        count >= local.class_limits[var.environment.environment_class].webservers.least &&
        count <= local.class_limits[var.environment.environment_class].webservers.most, false
      )
    ])
    error_message = "`environment.min_webservers` and `environment.max_webservers` must be whole numbers from 2 to 5. For mw1.micro they must be 1."
  }

  validation {
    condition = try(
      coalesce(var.environment.min_webservers, local.class_limits[var.environment.environment_class].webservers.default) <=
      coalesce(var.environment.max_webservers, var.environment.min_webservers, local.class_limits[var.environment.environment_class].webservers.default), true
    )
    error_message = "`environment.min_webservers` (by default 2) must not be greater than `environment.max_webservers`."
  }

  validation {
    condition     = contains(["PRIVATE_ONLY", "PUBLIC_ONLY"], var.environment.webserver_access_mode)
    error_message = "`environment.webserver_access_mode` must be \"PRIVATE_ONLY\" or \"PUBLIC_ONLY\": MWAA has \"PUBLIC_AND_PRIVATE\" too, but version 5 of the AWS provider, which this module admits, refuses it."
  }

  validation {
    condition     = contains(["SERVICE", "CUSTOMER"], var.environment.endpoint_management)
    error_message = "`environment.endpoint_management` must be \"SERVICE\" or \"CUSTOMER\"."
  }

  validation {
    condition     = var.environment.weekly_maintenance_window_start == null || can(regex("^(MON|TUE|WED|THU|FRI|SAT|SUN):([01][0-9]|2[0-3]):(00|30)$", var.environment.weekly_maintenance_window_start))
    error_message = "`environment.weekly_maintenance_window_start` must be a day and a half hour in UTC, such as \"SUN:03:30\"."
  }

  validation {
    condition     = can(regex("^[^/\\s][^\\s]*[^/\\s]$|^[^/\\s]$", var.environment.dag_s3_path))
    error_message = "`environment.dag_s3_path` must be a folder of the DAG bucket without a slash at either end, such as \"dags\"."
  }

  validation {
    condition = alltrue([
      for path in [var.environment.plugins_s3_path, var.environment.requirements_s3_path, var.environment.startup_script_s3_path] :
      path == null || can(regex("^[^/\\s][^\\s]*$", path)) && !can(regex("^s3://", path))
    ])
    error_message = "`environment.plugins_s3_path`, `.requirements_s3_path` and `.startup_script_s3_path` must be keys in the DAG bucket, such as \"requirements.txt\", not URLs, and without a slash at the start."
  }

  validation {
    condition = alltrue([
      for pair in [
        [var.environment.plugins_s3_path, var.environment.plugins_s3_object_version],
        [var.environment.requirements_s3_path, var.environment.requirements_s3_object_version],
        [var.environment.startup_script_s3_path, var.environment.startup_script_s3_object_version],
      ] : pair[1] == null || pair[0] != null
    ])
    error_message = "`environment.plugins_s3_object_version`, `.requirements_s3_object_version` and `.startup_script_s3_object_version` are accepted only together with the path they are versions of."
  }

  validation {
    condition = alltrue([
      for option, value in merge(var.environment.airflow_configuration_options, var.environment.regional_airflow_configuration_options) :
      can(regex("^[a-z][a-z0-9_]*\\.[a-z0-9._]*[a-z0-9_]$", option)) && length(option) <= 64 && can(regex("^[ -~]+$", value))
    ])
    error_message = "`environment.airflow_configuration_options` and `.regional_airflow_configuration_options` must map \"section.option\" (lower case, at most 64 characters) to values of printable ASCII characters, not empty, such as { \"core.default_task_retries\" = \"3\" }."
  }

  validation {
    condition     = !contains(concat(keys(var.environment.airflow_configuration_options), keys(var.environment.regional_airflow_configuration_options)), "celery.worker_concurrency")
    error_message = "`environment.airflow_configuration_options` may not set \"celery.worker_concurrency\": MWAA overrides it. Set \"celery.worker_autoscale\" to \"most,least\" tasks per worker instead, such as \"10,10\"."
  }

  validation {
    condition     = var.environment.plugins_s3_path == null || contains(keys(merge(var.environment.airflow_configuration_options, var.environment.regional_airflow_configuration_options)), "core.lazy_load_plugins")
    error_message = "`environment.airflow_configuration_options` must set \"core.lazy_load_plugins\" when `environment.plugins_s3_path` is given: \"False\", or Airflow does not load the plugins at start; \"True\" if the archive holds no Airflow plugin."
  }

  validation {
    condition = can(jsondecode(lookup(
      merge(var.environment.airflow_configuration_options, var.environment.regional_airflow_configuration_options), "secrets.backend_kwargs", "{}"
    )))
    error_message = "`environment.airflow_configuration_options[\"secrets.backend_kwargs\"]` must be a JSON object, such as jsonencode({ connections_prefix = \"airflow/connections\" })."
  }

  validation {
    condition = alltrue([
      for component in ["dag_processing", "scheduler", "task", "webserver", "worker"] : contains(local.log_levels, var.environment.logging[component].level)
    ])
    error_message = "`environment.logging.<component>.level` must be one of ${join(", ", local.log_levels)}."
  }

  validation {
    condition     = contains(local.log_retention_days, var.environment.logging.retention_days)
    error_message = "`environment.logging.retention_days` must be a period CloudWatch Logs offers: ${join(", ", local.log_retention_days)}."
  }

  validation {
    condition     = alltrue([for timeout in values(var.environment.timeouts) : can(regex("^([0-9]+[hms])+$", timeout))])
    error_message = "`environment.timeouts` must be durations such as \"120m\" or \"2h30m\"."
  }
}
