# One environment with what a team usually turns on: DAG bucket and network of its own, hibernation, events, containers, grants,
# pruning, retention, notices.

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

  name              = "platform"
  role              = "standalone"
  environment_owner = "lifecycle"
  tags              = { team = "data-platform", cost-center = "4711" }

  environment = {
    airflow_version                 = "2.10.3"
    environment_class               = "mw1.medium"
    min_workers                     = 2
    max_workers                     = 8
    requirements_s3_path            = "requirements.txt"
    webserver_access_mode           = "PRIVATE_ONLY"
    weekly_maintenance_window_start = "SUN:03:30"

    airflow_configuration_options = {
      "core.default_task_retries" = "2"
      "celery.worker_autoscale"   = "10,5"
    }

    logging = {
      task           = { level = "INFO" }
      scheduler      = { level = "WARNING" }
      retention_days = 30
    }
  }

  network = {
    cidr      = "10.20.0.0/16"
    egress    = "nat_per_az"
    flow_logs = { retention_days = 14 }
  }

  security_group = { ingress_cidrs = ["10.0.0.0/8"] }

  snapshot  = { schedule = "rate(15 minutes)", base_interval_hours = 12, max_age_minutes = 60 }
  retention = { all_hours = 72, daily = 14, weekly = 8, monthly = 24 }
  prune     = { schedule = "@daily", history_days = 60 }

  hibernation = {
    hibernate           = "cron(0 20 ? * MON-FRI *)"
    resume              = "cron(0 6 ? * MON-FRI *)"
    timezone            = "Europe/Berlin"
    catchup_after_sleep = "latest"
    smoke               = { dag_id = "smoke", timeout_minutes = 10 }
  }

  event_trigger = {
    wake  = true
    rules = [{ name = "orders", buckets = ["landing-zone"], prefix = "orders/", dataset = "s3://landing-zone/orders" }]
  }

  workloads = {
    containers = {
      report = { tag = "1.4.0", cpu = 512, memory = 1024 }
    }
    access = {
      glue                    = { jobs = ["orders-to-parquet"] }
      secrets_manager_backend = {}
    }
  }

  notifications = { emails = ["on-call@example.com"] }
}

output "dag_bucket" {
  description = "Where DAGs go: below `dags/`."
  value       = module.mwaa.dag_bucket
}

output "containers" {
  description = "What DAGs know of the containers."
  value       = module.mwaa.containers
}

output "image_repositories" {
  description = "Where images are pushed to."
  value       = module.mwaa.image_repositories
}

output "dashboard_name" {
  description = "The dashboard of this Region."
  value       = module.mwaa.dashboard_name
}
