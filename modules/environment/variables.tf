variable "name" {
  type        = string
  description = "Name of the environment, the same in both Regions."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][0-9a-zA-Z_-]{0,79}$", var.name))
    error_message = "`name` must be 1 to 80 letters, digits, hyphens and underscores and start with a letter."
  }
}

variable "prefix" {
  type        = string
  description = "What the names of all resources start with, except those MWAA dictates. It is unique within the account and carries the Region, because IAM is global."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,39}$", var.prefix))
    error_message = "`prefix` must be 1 to 40 letters, digits and hyphens and start with a letter."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource of this module, and of the environment itself."
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 50 && alltrue([for value in values(var.tags) : length(value) >= 1 && length(value) <= 256])
    error_message = "`tags` must be at most 50, with values of 1 to 256 characters: MWAA refuses empty ones."
  }
}

variable "role" {
  type        = string
  description = "Role of this Region: `standalone`, `primary` or `secondary`."
  nullable    = false

  validation {
    condition     = contains(["standalone", "primary", "secondary"], var.role)
    error_message = "`role` must be \"standalone\", \"primary\" or \"secondary\"."
  }
}

variable "environment_owner" {
  type        = string
  description = <<-EOT
    Who creates and deletes the environment:
    - `terraform`: a native resource that always runs,
    - `lifecycle`: the state machines; Terraform publishes the spec only. In a primary it is for one that runs already and is handed over (docs/migration.md); in a standalone the state machine `resume` of `hibernation` creates the first one.
    It is decided once: see "Ownership" in README.md.
  EOT
  nullable    = false

  validation {
    condition     = contains(["terraform", "lifecycle"], var.environment_owner)
    error_message = "`environment_owner` must be \"terraform\" or \"lifecycle\"."
  }

  validation {
    condition     = var.role != "secondary" || var.environment_owner == "lifecycle"
    error_message = "`environment_owner` must be \"lifecycle\" with role \"secondary\": there the environment is created at failover."
  }
}

variable "network" {
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
  description = <<-EOT
    Where the environment runs.
    - `vpc_id`: the VPC,
    - `subnet_ids`: exactly two private subnets of it, in two Availability Zones.
  EOT
  nullable    = false

  validation {
    condition     = length(var.network.subnet_ids) == 2 && length(distinct(var.network.subnet_ids)) == length(var.network.subnet_ids)
    error_message = "`network.subnet_ids` must be exactly two different subnets."
  }
}

variable "dag_bucket" {
  type = object({
    name = string
    arn  = string
  })
  description = "Name and ARN of the bucket that holds DAGs, plugins and requirements, in this Region."
  nullable    = false
}

variable "key_arn" {
  type        = string
  description = "ARN of the key of this Region that the DAG bucket and the log groups are encrypted with."
  nullable    = false
}

variable "environment_key_arn" {
  type        = string
  description = "ARN of the key MWAA encrypts the environment with: a single-Region key of this Region. Null with `environment.aws_owned_key` only."
  default     = null

  validation {
    condition     = var.environment_key_arn != null || var.environment.aws_owned_key
    error_message = "`environment_key_arn` is required unless `environment.aws_owned_key` is true."
  }

  validation {
    condition     = var.environment_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}$", var.environment_key_arn))
    error_message = "`environment_key_arn` must be the ARN of a key whose id is a UUID: MWAA supports neither multi-Region keys (\"mrk-...\") nor aliases."
  }
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
    - `arn`: a role of the caller, left as it is; output `execution_role_policy_json` says what it must be allowed.
    - `create`: false says that `arn` is given even where its value is known after apply only. The others apply to the role this module creates:
    - `path`: its path,
    - `permissions_boundary`: ARN of a policy that bounds it,
    - `policy_documents`: what the DAGs need beyond MWAA's own needs: policy documents (JSON) by name.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = var.execution_role.create == null || var.execution_role.create == (var.execution_role.arn == null)
    error_message = "`execution_role.create` must be false with `execution_role.arn`, and true or left out without it."
  }

  validation {
    condition     = var.execution_role.arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/.+$", var.execution_role.arn))
    error_message = "`execution_role.arn` must be the ARN of a role, such as \"arn:aws:iam::111122223333:role/airflow\"."
  }

  validation {
    condition     = var.execution_role.arn == null || (length(var.execution_role.policy_documents) == 0 && var.execution_role.permissions_boundary == null && var.execution_role.path == "/")
    error_message = "`execution_role.path`, `.permissions_boundary` and `.policy_documents` are accepted only without `execution_role.arn`: a role of your own is left as it is."
  }

  validation {
    condition     = can(regex("^/([\\x21-\\x7e]+/)?$", var.execution_role.path))
    error_message = "`execution_role.path` must start and end with a slash, such as \"/airflow/\"."
  }

  validation {
    condition     = var.execution_role.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.execution_role.permissions_boundary))
    error_message = "`execution_role.permissions_boundary` must be the ARN of a policy, such as \"arn:aws:iam::111122223333:policy/boundary\"."
  }

  validation {
    condition     = alltrue([for name, document in var.execution_role.policy_documents : can(regex("^[a-zA-Z0-9+=,.@_-]{1,128}$", name)) && can(jsondecode(document).Statement)])
    error_message = "`execution_role.policy_documents` must map names (letters, digits and +=,.@_-) to IAM policy documents in JSON with a \"Statement\"."
  }

  validation {
    condition     = !contains(keys(var.execution_role.policy_documents), "mwaa")
    error_message = "`execution_role.policy_documents` may not have the name \"mwaa\", which this module's own policy has."
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

  validation {
    condition     = var.security_group.create == null || var.security_group.create == (var.security_group.ids == null)
    error_message = "`security_group.create` must be false with `security_group.ids`, and true or left out without them."
  }

  validation {
    condition     = var.security_group.ids == null || try(length(var.security_group.ids) >= 1 && length(var.security_group.ids) <= 5, false)
    error_message = "`security_group.ids` must be one to five security groups."
  }

  validation {
    condition     = var.security_group.ids == null || (length(var.security_group.ingress_cidrs) == 0 && length(var.security_group.ingress_security_group_ids) == 0)
    error_message = "`security_group.ingress_cidrs` and `.ingress_security_group_ids` are accepted only without `security_group.ids`: groups of your own are left as they are."
  }

  validation {
    condition     = alltrue([for cidr in setunion(var.security_group.ingress_cidrs, var.security_group.egress_cidrs) : can(cidrnetmask(cidr))])
    error_message = "`security_group.ingress_cidrs` and `.egress_cidrs` must be IPv4 ranges in CIDR notation, such as \"10.0.0.0/8\"."
  }
}
