# The environment itself: the module environment validates every option.

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
}

variable "execution_role" {
  type = object({
    arn                  = optional(string)
    create               = optional(bool)
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
    policy_documents     = optional(map(string), {})
  })
  description = <<-EOT
    The role DAGs run with.
    - `arn`: a role of the caller, left as it is; attach the documents of output `execution_role_policies` to it.
    - `create`: false says that `arn` is given even where its value is known after apply only. The others apply to the role this module creates:
    - `path`: its path,
    - `permissions_boundary`: ARN of a policy that bounds it,
    - `policy_documents`: what the DAGs need beyond MWAA's own needs: policy documents (JSON) by name.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = !contains(keys(var.execution_role.policy_documents), "continuity")
    error_message = "`execution_role.policy_documents` may not have the name \"continuity\", which the policy of the metadata DAGs has."
  }
}

variable "security_group" {
  type = object({
    ids                        = optional(list(string))
    create                     = optional(bool)
    ingress_cidrs              = optional(set(string), [])
    ingress_security_group_ids = optional(map(string), {})
    egress_cidrs               = optional(set(string), ["0.0.0.0/0"])
  })
  description = <<-EOT
    Who reaches the environment, and what it reaches.
    - `ids`: one to five security groups of the caller, left as they are. With a private web server they must admit the functions on port 443: output `functions_security_group_id` of the root module,
    - `create`: false says that `ids` are given even where they are known after apply only. The others apply to the group this module creates, whose members reach each other:
    - `ingress_cidrs`: IPv4 ranges that may open the web server,
    - `ingress_security_group_ids`: security groups that may open the web server, by a name of your choice,
    - `egress_cidrs`: IPv4 ranges the environment may reach; all by default.
  EOT
  default     = {}
  nullable    = false
}
