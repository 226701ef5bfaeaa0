# Execution-role presets: what a DAG needs of a service, on the resources that are named and on no others. Statements whose
# Sid starts with "Forwarded" are for calls that the service makes with the role's rights, and no client does.
# Which documents there are is known while planning, even where ARNs are not: no `try` over what may hold them.

locals {
  arn = "arn:${var.account.partition}"
  own = { for service in ["athena", "ecs", "elasticmapreduce", "glue", "lambda", "logs"] : service => "${local.arn}:${service}:${var.account.region}:${var.account.id}" }

  emr = coalesce(var.presets.emr, { cluster_ids = [], cluster_tags = {}, pass_roles = [] })
  ecs = coalesce(var.presets.ecs, [])

  secrets = var.presets.secrets_manager_backend

  statements = {
    athena = local.athena_statements
    glue   = local.glue_statements
    emr    = local.emr_statements
    lambda = local.lambda_statements
    ecs    = local.ecs_statements
    # The prefixes themselves are read by what module environment allows every secrets backend.
    secrets_manager_backend = local.secrets_statements
  }

  lambda_statements = [for functions in [var.presets.lambda == null ? [] : var.presets.lambda.functions] : {
    Sid      = "Invoke"
    Effect   = "Allow"
    Action   = ["lambda:InvokeFunction"]
    Resource = flatten([for name in functions : ["${local.own.lambda}:function:${name}", "${local.own.lambda}:function:${name}:*"]])
  } if length(functions) > 0]

  glue_statements = [for jobs in [var.presets.glue == null ? [] : var.presets.glue.jobs] : {
    Sid      = "RunJobs"
    Effect   = "Allow"
    Action   = ["glue:BatchStopJobRun", "glue:GetJob", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun"]
    Resource = [for job in jobs : "${local.own.glue}:job/${job}"]
  } if length(jobs) > 0]

  secrets_statements = [for keys in [local.secrets == null ? [] : local.secrets.key_arns] : {
    Sid       = "ForwardedSecretsKey"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = keys
    Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.account.region}.${var.account.dns_suffix}" } }
  } if length(keys) > 0]

  # Without permission for a prefix every look-up there would fail: null switches a kind of look-up off.
  secrets_kwargs = local.secrets == null ? {} : {
    connections_prefix = local.secrets.connections_prefix
    variables_prefix   = local.secrets.variables_prefix
    config_prefix      = local.secrets.config_prefix
  }
  options = local.secrets == null ? {} : {
    "secrets.backend"        = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
    "secrets.backend_kwargs" = jsonencode(local.secrets_kwargs)
  }

  # What answers from inside a VPC that has no way out only by an interface endpoint.
  endpoints = {
    athena                  = ["athena", "glue"]
    glue                    = ["glue"]
    emr                     = ["elasticmapreduce"]
    lambda                  = ["lambda"]
    ecs                     = ["ecs"]
    secrets_manager_backend = ["secretsmanager"]
  }
}
