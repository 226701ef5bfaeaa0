# An environment that sleeps at night and at weekends. It is created and deleted by the state machines, never by Terraform.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region = "us-east-1"
}

module "mwaa" {
  source = "../.."

  name              = "office-hours"
  role              = "standalone"
  environment_owner = "lifecycle"

  hibernation = {
    hibernate  = "cron(0 20 ? * MON-FRI *)"
    resume     = "cron(0 6 ? * MON-FRI *)"
    timezone   = "Europe/Berlin"
    exceptions = ["2026-12-31"]
  }
}

output "state_machine_arns" {
  description = "By name; `hibernate` and `resume` may be started by hand as well."
  value       = module.mwaa.state_machine_arns
}

output "webserver_url_parameter" {
  description = "The SSM parameter that tells the address of the web server since the last resume."
  value       = module.mwaa.webserver_url_parameter
}
