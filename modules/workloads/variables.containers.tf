# The containers that DAGs run.

locals {
  # Memory that Fargate offers by CPU units, in MiB: from, to, in steps of.
  fargate_sizes = {
    "256"   = concat([512], range(1024, 2048 + 1, 1024))
    "512"   = range(1024, 4096 + 1, 1024)
    "1024"  = range(2048, 8192 + 1, 1024)
    "2048"  = range(4096, 16384 + 1, 1024)
    "4096"  = range(8192, 30720 + 1, 1024)
    "8192"  = range(16384, 61440 + 1, 4096)
    "16384" = range(32768, 122880 + 1, 8192)
  }
}

variable "containers" {
  type = map(object({
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
  }))
  description = <<-EOT
    Containers that DAGs run on Fargate, by name. Each has a repository, a task definition, a log group and two roles of its own.
    - `tag`: which image of its own repository runs; or `image`: one from elsewhere,
    - `cpu` (units; 1024 are one vCPU), `memory` (MiB), `architecture` (`X86_64` or `ARM64`), `ephemeral_storage_gib` (21 to 200; 20 by default): its size,
    - `command`, `environment`: what it starts with, which a DAG may override for one run,
    - `secrets`: environment variables from secrets: name to ARN of a secret of Secrets Manager or of a parameter of SSM, readable under their AWS managed keys or the key of this module,
    - `user`: whom it runs as, in the place of the image's own user,
    - `read_only_root`: whether it may write nowhere but in /tmp,
    - `policy_documents`: what the code in it may do: policy documents (JSON) by name. Nothing by default.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.containers) : can(regex("^[a-z][a-z0-9]*(_[a-z0-9]+)*$", name)) && length(name) <= 20])
    error_message = "Names of `containers` must be 1 to 20 small letters, digits and single underscores between them: names of roles, of repositories and of Airflow options are made of them."
  }

  validation {
    condition     = alltrue([for container in values(var.containers) : (container.tag == null) != (container.image == null)])
    error_message = "Each of `containers` must have either `tag`, of an image in its own repository, or `image`."
  }

  validation {
    condition     = alltrue([for container in values(var.containers) : container.tag == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", container.tag)) && container.tag != "latest"])
    error_message = "`containers.<name>.tag` must be the tag of one image, such as \"1.4.0\" or a commit, and not \"latest\": tags cannot be moved to another image."
  }

  validation {
    condition     = alltrue([for container in values(var.containers) : contains(lookup(local.fargate_sizes, tostring(container.cpu), []), container.memory)])
    error_message = "`containers.<name>.cpu` and `.memory` must be a size that Fargate offers: ${join("; ", [for cpu in [256, 512, 1024, 2048, 4096, 8192, 16384] : "${cpu} with ${local.fargate_sizes[cpu][0]} to ${reverse(local.fargate_sizes[cpu])[0]}"])} MiB."
  }

  validation {
    condition     = alltrue([for container in values(var.containers) : contains(["X86_64", "ARM64"], container.architecture)])
    error_message = "`containers.<name>.architecture` must be \"X86_64\" or \"ARM64\"."
  }

  validation {
    condition     = alltrue([for container in values(var.containers) : container.ephemeral_storage_gib == null || try(container.ephemeral_storage_gib >= 21 && container.ephemeral_storage_gib <= 200, false)])
    error_message = "`containers.<name>.ephemeral_storage_gib` must be from 21 to 200; without it a container has 20."
  }

  validation {
    condition = alltrue(flatten([for container in values(var.containers) : [
      for arn in values(container.secrets) : can(regex("^arn:[a-z-]+:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*?]+|ssm:[a-z0-9-]+:[0-9]{12}:parameter/[^*?]+)$", arn))
    ]]))
    error_message = "`containers.<name>.secrets` must map environment variables to ARNs of secrets or of SSM parameters, such as \"arn:aws:secretsmanager:us-east-1:111122223333:secret:report-a1b2c3\"."
  }

  validation {
    condition = alltrue(flatten([for container in values(var.containers) : [
      for name in concat(keys(container.environment), keys(container.secrets)) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) && !(contains(keys(container.environment), name) && contains(keys(container.secrets), name))
    ]]))
    error_message = "Environment variables of `containers` must have names of letters, digits and underscores, and be either in `environment` or in `secrets`."
  }

  validation {
    condition = alltrue(flatten([for container in values(var.containers) : [
      for name, document in container.policy_documents : can(regex("^[a-zA-Z0-9+=,.@_-]{1,128}$", name)) && can(jsondecode(document).Statement)
    ]]))
    error_message = "`containers.<name>.policy_documents` must map names (letters, digits and +=,.@_-) to IAM policy documents in JSON with a \"Statement\"."
  }
}

variable "egress" {
  type = map(object({
    cidr = string
    port = number
  }))
  description = "What containers may reach, by a name of your choice: an IPv4 range and a TCP port. HTTPS anywhere by default."
  default     = { https = { cidr = "0.0.0.0/0", port = 443 } }
  nullable    = false

  validation {
    condition     = alltrue([for rule in values(var.egress) : can(cidrnetmask(rule.cidr)) && rule.port >= 1 && rule.port <= 65535])
    error_message = "`egress` must be IPv4 ranges in CIDR notation with a port, such as { database = { cidr = \"10.0.0.0/16\", port = 5432 } }."
  }
}

variable "container_insights" {
  type        = bool
  description = "Whether CloudWatch keeps metrics of the cluster, which it charges for."
  default     = true
  nullable    = false
}

variable "keep_images" {
  type        = number
  description = "How many images a repository keeps, the newest."
  default     = 30
  nullable    = false

  validation {
    condition     = floor(var.keep_images) == var.keep_images && var.keep_images >= 1 && var.keep_images <= 1000
    error_message = "`keep_images` must be a whole number from 1 to 1000."
  }
}

variable "force_destroy" {
  type        = bool
  description = "Whether repositories that hold images may be destroyed."
  default     = false
  nullable    = false
}
