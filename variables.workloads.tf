# What DAGs run outside of the environment, and which services they may use.

variable "workloads" {
  type = object({
    containers = optional(map(object({
      tag                   = optional(string)
      image                 = optional(string)
      cpu                   = optional(number, 256)
      memory                = optional(number, 512)
      architecture          = optional(string, "X86_64")
      ephemeral_storage_gib = optional(number)
      command               = optional(list(string))
      environment           = optional(map(string), {})
      secrets               = optional(map(string), {})
      user                  = optional(string)
      read_only_root        = optional(bool, true)
      policy_documents      = optional(map(string), {})
    })), {})
    egress             = optional(map(object({ cidr = string, port = number })), { https = { cidr = "0.0.0.0/0", port = 443 } })
    container_insights = optional(bool, true)
    keep_images        = optional(number, 30)
    access = optional(object({
      athena = optional(object({
        workgroups    = list(string)
        databases     = list(string)
        read          = optional(list(string), [])
        write         = list(string)
        create_tables = optional(bool, false)
        key_arns      = optional(list(string), [])
      }))
      glue = optional(object({ jobs = list(string) }))
      emr = optional(object({
        cluster_ids  = optional(list(string), [])
        cluster_tags = optional(map(string), {})
        pass_roles   = optional(list(string), [])
      }))
      lambda = optional(object({ functions = list(string) }))
      ecs = optional(list(object({
        cluster          = string
        task_definitions = list(string)
        pass_roles       = list(string)
        log_groups       = optional(list(string), [])
      })), [])
      secrets_manager_backend = optional(object({
        connections_prefix = optional(string, "airflow/connections")
        variables_prefix   = optional(string, "airflow/variables")
        config_prefix      = optional(string)
        key_arns           = optional(list(string), [])
      }))
    }), {})
  })
  description = <<-EOT
    What DAGs run outside of the environment, and which services they may use; null, the default, nothing. With two Regions it is given in both.
    - `containers`: by name, containers that DAGs run on Fargate, each with a repository, a task definition, a log group and roles of its own:
      - `tag`: which image of its own repository runs (output `image_repositories`); or `image`: one from elsewhere,
      - `cpu` (units; 1024 are one vCPU), `memory` (MiB), `architecture` (`X86_64` or `ARM64`), `ephemeral_storage_gib`: its size,
      - `command`, `environment`: what it starts with; a DAG may override both,
      - `secrets`: environment variables by ARN of a secret or of an SSM parameter,
      - `user`, `read_only_root`: whom it runs as, and whether it may write nowhere but in /tmp,
      - `policy_documents`: what the code in it may do, as policy documents (JSON) by name,
    - `egress`: what containers may reach, by name: IPv4 range and TCP port; HTTPS anywhere by default,
    - `container_insights`: whether CloudWatch keeps metrics of the cluster,
    - `keep_images`: how many images a repository keeps,
    - `access`: what the execution role is allowed beyond the containers, on what is named and on nothing else:
      - `athena`: queries in `workgroups` over `databases`; data below the S3 locations `read` and `write` (results, tables); `create_tables`; `key_arns` of the data,
      - `glue`: `jobs` that exist are started,
      - `emr`: steps on clusters by `cluster_ids` or `cluster_tags`; with `pass_roles` (ARNs) clusters with these tags are created and ended,
      - `lambda`: `functions` are invoked,
      - `ecs`: in a `cluster` of yours `task_definitions` (families) are run, with `pass_roles` (ARNs) and `log_groups`,
      - `secrets_manager_backend`: Airflow reads connections and variables from Secrets Manager by these prefixes; `key_arns` of secrets under keys of your own.
    [modules/workloads](modules/workloads/README.md) has an example, and how a DAG gets to know its containers.
  EOT
  default     = null
}
