variable "region" {
  type        = string
  description = "The Region of this state."
  nullable    = false
}

variable "role" {
  type        = string
  description = "Role of this Region: `primary` or `secondary`."
  nullable    = false
}

variable "environment_owner" {
  type        = string
  description = "Who creates and deletes the environment: `terraform` or `lifecycle`."
  nullable    = false
}

variable "cidr" {
  type        = string
  description = "IPv4 range of the VPC of this Region."
  nullable    = false
}

variable "peer" {
  type = object({
    region              = string
    dag_bucket_arn      = optional(string)
    snapshot_bucket_arn = optional(string)
    key_arn             = optional(string)
    lease_table_arn     = optional(string)
  })
  description = "The other Region. For the primary it comes from peer.tfvars.json, which is made of the secondary's output `peer`: see accounts/README.md."
  default     = null
}

variable "emails" {
  type        = list(string)
  description = "Who gets notices and alarms."
  default     = []
  nullable    = false
}
