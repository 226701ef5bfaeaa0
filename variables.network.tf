# Where the environment runs.

variable "network" {
  type = object({
    cidr                 = optional(string)
    availability_zones   = optional(list(string))
    egress               = optional(string)
    additional_endpoints = optional(set(string), [])
    flow_logs = optional(object({
      retention_days = optional(number, 30)
      kms_key_arn    = optional(string)
    }))
    vpc_id     = optional(string)
    subnet_ids = optional(list(string))
    create     = optional(bool)
  })
  description = <<-EOT
    The network: one of the caller's own, or a new one.
    - `vpc_id`, `subnet_ids`: a VPC of the caller and exactly two private subnets of it in two Availability Zones,
    - `create`: false says that they are given even where their values are known after apply only. Without them a VPC is created with:
    - `cidr`: its IPv4 range; by default "10.0.0.0/16",
    - `availability_zones`: names of two; by default the first two of the Region,
    - `egress`: `nat_single` (default), `nat_per_az`, or `endpoints` (no internet at all),
    - `additional_endpoints`: further services to reach by VPC endpoint, with `endpoints` only,
    - `flow_logs`: `retention_days` and `kms_key_arn` of flow logs; null writes none.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = var.network.create == null || var.network.create == (var.network.vpc_id == null)
    error_message = "`network.create` must be false with `network.vpc_id`, and true or left out without it."
  }

  validation {
    condition     = (var.network.vpc_id == null) == (var.network.subnet_ids == null)
    error_message = "`network.vpc_id` and `network.subnet_ids` are accepted only together: a VPC and exactly two private subnets of it."
  }

  validation {
    condition     = var.network.vpc_id == null || alltrue([for value in [var.network.cidr, var.network.availability_zones, var.network.egress, var.network.flow_logs] : value == null]) && length(var.network.additional_endpoints) == 0
    error_message = "`network.cidr`, `.availability_zones`, `.egress`, `.additional_endpoints` and `.flow_logs` are accepted only without `network.vpc_id`: a network of your own is left as it is."
  }

  validation {
    condition     = var.network.subnet_ids == null || try(length(distinct(var.network.subnet_ids)) == 2 && length(var.network.subnet_ids) == 2, false)
    error_message = "`network.subnet_ids` must be exactly two different subnets, in two Availability Zones."
  }
}
