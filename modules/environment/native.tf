# The environment, where Terraform owns it.

resource "aws_mwaa_environment" "this" {
  count = var.environment_owner == "terraform" ? 1 : 0

  name                             = var.name
  airflow_version                  = var.environment.airflow_version
  airflow_configuration_options    = length(local.options) == 0 ? null : local.options
  environment_class                = var.environment.environment_class
  min_workers                      = var.environment.min_workers
  max_workers                      = local.max_workers
  schedulers                       = local.schedulers
  min_webservers                   = local.min_webservers
  max_webservers                   = local.max_webservers
  execution_role_arn               = local.execution_role_arn
  source_bucket_arn                = var.dag_bucket.arn
  dag_s3_path                      = var.environment.dag_s3_path
  plugins_s3_path                  = var.environment.plugins_s3_path
  plugins_s3_object_version        = var.environment.plugins_s3_object_version
  requirements_s3_path             = var.environment.requirements_s3_path
  requirements_s3_object_version   = var.environment.requirements_s3_object_version
  startup_script_s3_path           = var.environment.startup_script_s3_path
  startup_script_s3_object_version = var.environment.startup_script_s3_object_version
  kms_key                          = var.environment.aws_owned_key ? null : var.environment_key_arn
  webserver_access_mode            = var.environment.webserver_access_mode
  endpoint_management              = var.environment.endpoint_management
  weekly_maintenance_window_start  = var.environment.weekly_maintenance_window_start

  network_configuration {
    subnet_ids         = var.network.subnet_ids
    security_group_ids = local.security_group_ids
  }

  logging_configuration {
    dag_processing_logs {
      enabled   = var.environment.logging.dag_processing.enabled
      log_level = var.environment.logging.dag_processing.level
    }

    scheduler_logs {
      enabled   = var.environment.logging.scheduler.enabled
      log_level = var.environment.logging.scheduler.level
    }

    task_logs {
      enabled   = var.environment.logging.task.enabled
      log_level = var.environment.logging.task.level
    }

    webserver_logs {
      enabled   = var.environment.logging.webserver.enabled
      log_level = var.environment.logging.webserver.level
    }

    worker_logs {
      enabled   = var.environment.logging.worker.enabled
      log_level = var.environment.logging.worker.level
    }
  }

  tags = var.tags

  timeouts {
    create = var.environment.timeouts.create
    update = var.environment.timeouts.update
    delete = var.environment.timeouts.delete
  }

  lifecycle {
    # All arguments, beside the name, that MWAA cannot update: another value would delete the environment and its database, be it changed
    # here (which ownership.tf refuses) or in an environment recreated by hand.
    ignore_changes = [
      endpoint_management,
      kms_key,
      network_configuration[0].subnet_ids,
    ]
  }

  depends_on = [
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy.additional,
    aws_iam_role_policy.mwaa,
    aws_vpc_security_group_egress_rule.this,
    aws_vpc_security_group_ingress_rule.self,
    terraform_data.ownership,
    terraform_data.preflight,
  ]
}
