# The account sandbox: small and slow, to try things. Accounts differ in size and schedule only, which are all in `locals`.

terraform {
  required_version = ">= 1.10" # the lock file in the state bucket

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # Bucket, key and Region come from <role>.s3.tfbackend: each Region's state is kept in that Region, so that it can be reached when the other
  # one cannot.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

locals {
  size = {
    environment_class = "mw1.micro"
  }
  egress            = "nat_single"
  snapshot_schedule = "rate(1 hour)"
}

provider "aws" {
  region = var.region
}

module "mwaa" {
  source = "../.."

  name              = "analytics"
  role              = var.role
  environment_owner = var.environment_owner
  peer              = var.peer
  environment       = merge({ airflow_version = "2.10.3" }, local.size)
  network           = { cidr = var.cidr, egress = local.egress }
  snapshot          = { schedule = local.snapshot_schedule }
  notifications     = { emails = var.emails }
  tags              = { account = "sandbox", application = "analytics" }
}
