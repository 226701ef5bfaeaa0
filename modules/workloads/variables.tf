variable "name" {
  type        = string
  description = "Name of the environment whose DAGs run the containers."
  nullable    = false
}

variable "prefix" {
  type        = string
  description = "What names of resources begin with, such as \"analytics-us-east-1\". It names the Region, because roles are global."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]{1,36}$", var.prefix))
    error_message = "`prefix` must be 1 to 36 letters, digits and hyphens: names of roles are made of it."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  default     = {}
  nullable    = false
}

variable "network" {
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
  description = "Where containers run: the VPC and its private subnets."
  nullable    = false
}

variable "key_arn" {
  type        = string
  description = "ARN of the key of this Region for images and logs. Its policy must admit logs.<region>.amazonaws.com."
  nullable    = false
}

variable "execution_role_name" {
  type        = string
  description = "Name of the environment's execution role, which the policies of `access` and of the containers are attached to. Null: to none; output `policy_documents` says what a role of your own needs."
  default     = null
}

variable "roles" {
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  description = "Path and permissions boundary of the roles of the containers; policies have the path as well."
  default     = {}
  nullable    = false
}

variable "log_retention_days" {
  type        = number
  description = "How long what containers print is kept."
  default     = 30
  nullable    = false
}

variable "access" {
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
    })), [])
    secrets_manager_backend = optional(object({
      connections_prefix = optional(string, "airflow/connections")
      variables_prefix   = optional(string, "airflow/variables")
      config_prefix      = optional(string)
      key_arns           = optional(list(string), [])
    }))
  })
  description = "What DAGs may use beside the containers of this module: the presets of modules/access, which validates them."
  default     = {}
  nullable    = false
}
