# A root that makes what it brings to the module, so that nothing of it is known while planning.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

variable "brought" {
  type        = set(string)
  description = "Which of `network`, `key`, `environment_key`, `execution_role`, `security_group`, `notifications`, `dag_bucket`, `snapshot_bucket` are the caller's own."
  nullable    = false
}

resource "terraform_data" "made_here" {
  for_each = {
    vpc             = "vpc-1"
    subnet_a        = "subnet-1"
    subnet_b        = "subnet-2"
    key             = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    environment_key = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    role            = "arn:aws:iam::111122223333:role/mine"
    security_group  = "sg-1"
    topic           = "arn:aws:sns:us-west-2:111122223333:mine"
    dags            = "mine-dags"
    snapshots       = "mine-snapshots"
  }

  input = each.value
}

locals {
  made = { for name, made in terraform_data.made_here : name => made.output }
  own  = { for name in ["network", "key", "environment_key", "execution_role", "security_group", "notifications", "dag_bucket", "snapshot_bucket"] : name => contains(var.brought, name) }
}

module "mwaa" {
  source = "../../../.."

  name              = "analytics"
  role              = "standalone"
  environment_owner = "terraform"

  network = {
    vpc_id     = local.own.network ? local.made.vpc : null
    subnet_ids = local.own.network ? [local.made.subnet_a, local.made.subnet_b] : null
    create     = !local.own.network
  }
  key             = { arn = local.own.key ? local.made.key : null, create = !local.own.key }
  environment_key = { arn = local.own.environment_key ? local.made.environment_key : null, create = !local.own.environment_key }
  execution_role  = { arn = local.own.execution_role ? local.made.role : null, create = !local.own.execution_role }
  security_group  = { ids = local.own.security_group ? [local.made.security_group] : null, create = !local.own.security_group }
  dag_bucket      = { name = local.own.dag_bucket ? local.made.dags : null, create = !local.own.dag_bucket }
  snapshot_bucket = { name = local.own.snapshot_bucket ? local.made.snapshots : null, create = !local.own.snapshot_bucket }
  notifications   = { topic_arn = local.own.notifications ? local.made.topic : null, create = !local.own.notifications }
}

output "environment_arn" {
  description = "ARN of the environment."
  value       = module.mwaa.environment_arn
}
