# The five log groups, under the names MWAA gives them. Made beforehand, because those MWAA makes are kept for ever and unencrypted by our key.

locals {
  log_group_names = { for component in ["DAGProcessing", "Scheduler", "Task", "WebServer", "Worker"] : component => "airflow-${var.name}-${component}" }
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = local.log_group_names

  name              = each.value
  retention_in_days = var.environment.logging.retention_days
  kms_key_id        = var.key_arn

  tags = var.tags
}
