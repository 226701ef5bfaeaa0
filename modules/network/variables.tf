variable "name" {
  type        = string
  description = "Name of the environment this network is for. It appears in descriptions only."
  nullable    = false
}

variable "prefix" {
  type        = string
  description = "What the names of all resources start with. It is unique within the account and carries the Region, because IAM is global."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,39}$", var.prefix))
    error_message = "`prefix` must be 1 to 40 letters, digits and hyphens and start with a letter."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource of this module."
  default     = {}
  nullable    = false
}

variable "cidr" {
  type        = string
  description = "IPv4 range of the VPC. Each private subnet takes a quarter of it, each public subnet a sixteenth."
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("^[0-9.]+/(1[6-9]|2[0-4])$", var.cidr))
    error_message = "`cidr` must be an IPv4 range in CIDR notation with a prefix length from /16 to /24, such as \"10.1.0.0/16\"."
  }
}

variable "availability_zones" {
  type        = list(string)
  description = "Names of the two Availability Zones to use. Null takes the first two of the Region. Set it where MWAA does not offer one of those."
  default     = null

  validation {
    condition     = var.availability_zones == null || try(length(distinct(var.availability_zones)) == 2 && length(var.availability_zones) == 2, false)
    error_message = "`availability_zones` must be null or the names of exactly two different Availability Zones, such as [\"us-east-1a\", \"us-east-1b\"]."
  }
}

variable "egress" {
  type        = string
  description = <<-EOT
    How the private subnets reach AWS and the internet:
    - `nat_single`: one NAT gateway; its Availability Zone is a single point of failure,
    - `nat_per_az`: one NAT gateway in each Availability Zone,
    - `endpoints`: not at all: no internet gateway, every service through a VPC endpoint.
  EOT
  default     = "nat_single"
  nullable    = false

  validation {
    condition     = contains(["nat_single", "nat_per_az", "endpoints"], var.egress)
    error_message = "`egress` must be \"nat_single\", \"nat_per_az\" or \"endpoints\"."
  }
}

variable "additional_endpoints" {
  type        = set(string)
  description = "Services to add an interface endpoint for beside those of `endpoints.tf`, for what the DAGs call: [\"secretsmanager\", \"ssm\"]. Only with `egress = \"endpoints\"`."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for service in var.additional_endpoints : can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", service))])
    error_message = "`additional_endpoints` must hold service names without \"com.amazonaws.<region>.\" before them, such as \"secretsmanager\"."
  }

  validation {
    condition     = length(var.additional_endpoints) == 0 || var.egress == "endpoints"
    error_message = "`additional_endpoints` is accepted only with `egress = \"endpoints\"`; with a NAT gateway every service is reached through it."
  }
}

variable "flow_logs" {
  type = object({
    retention_days = optional(number, 30)
    kms_key_arn    = optional(string)
  })
  description = <<-EOT
    Flow logs of the VPC in CloudWatch Logs. Null (the default) writes none.
    - `retention_days`: how long they are kept,
    - `kms_key_arn`: key of the log group; its policy must admit CloudWatch Logs.
  EOT
  default     = null

  validation {
    condition = var.flow_logs == null || try(contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.flow_logs.retention_days
    ), false)
    error_message = "`flow_logs.retention_days` must be a period CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}
