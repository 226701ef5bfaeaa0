# The functions: one package, one handler each.

locals {
  functions_of_role = {
    standalone = concat(["backup", "retention"], local.hibernates ? ["hibernation", "preflight", "recreate", "restore"] : [])
    primary    = ["backup", "failback", "lease", "recreate", "replicate_existing", "restore", "retention"]
    secondary  = ["approval", "backup", "drill", "dry_run", "heartbeat_check", "lease", "preflight", "recreate", "restore", "retention"]
  }
  functions = toset(local.functions_of_role[var.role])

  # Computed from the names, not read from the resources: policies and state machines are then readable in a plan.
  function_names = { for function in local.functions : function => "${var.prefix}-${function}" }
  function_arns = {
    for function, name in local.function_names :
    function => "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${name}"
  }

  # These call InvokeRestApi, which a private web server answers only from inside its VPC. The heartbeat check stays
  # outside: it must reach the other Region whatever happens to this network.
  functions_in_vpc = var.webserver_access_mode == "PRIVATE_ONLY" ? setintersection(local.functions, ["backup", "restore"]) : toset([])

  common_variables = {
    ENVIRONMENT_NAME = var.name
    SNAPSHOT_BUCKET  = var.snapshot_bucket.name
    LEASE_TABLE      = local.lease_table_name
    LOG_LEVEL        = "INFO"
  }

  function_settings = {
    approval = {
      description = "Asks a person whether ${var.name} fails over to ${local.region}, and hands over the answer."
      timeout     = 30
      memory      = 256
      variables   = local.approval_function_variables
    }
    backup = {
      description = "Starts a snapshot of the environment ${var.name} and verifies it."
      timeout     = 900 # verifying reads every object of a snapshot
      memory      = 512
      variables = {
        DAG_TIMEOUT_SECONDS = tostring(var.snapshot.timeout_minutes * 60)
      }
    }
    drill = {
      description = "Says whether a drill of ${var.name} in ${local.region} may begin, and reports what it showed."
      timeout     = 50
      memory      = 256
      variables = {
        STRATEGY    = coalesce(var.strategy, "none")
        RPO_MINUTES = var.drill.rpo_minutes == null ? "" : tostring(var.drill.rpo_minutes)
        RTO_MINUTES = var.drill.rto_minutes == null ? "" : tostring(var.drill.rto_minutes)
        REFRESH_ARN = local.refreshes ? local.machine_arns["refresh"] : ""
      }
    }
    dry_run = {
      description = "Says what a failover of ${var.name} to ${local.region} would do now, and changes nothing."
      timeout     = 900 # choosing a snapshot verifies every object of it
      memory      = 512
      variables   = local.dry_run_function_variables
    }
    failback = {
      description = "Asks ${local.peer_region} to hand over the environment ${var.name}, and copies what it did meanwhile."
      timeout     = 900 # it copies for up to ten minutes, then is asked again
      memory      = 512
      variables   = local.failback_function_variables
    }
    heartbeat_check = {
      description = "Says whether the environment ${var.name} in ${local.primary_region} is healthy."
      timeout     = 50 # it runs every minute
      memory      = 256
      variables = {
        PRIMARY_REGION = local.primary_region
        PERIODS        = tostring(var.heartbeat.periods)
        MISSING        = tostring(var.heartbeat.missing)
      }
    }
    hibernation = {
      description = "Says who puts the environment ${var.name} away or brings it back, and what state it is in."
      timeout     = 30
      memory      = 256
      variables = {
        TIMEZONE   = try(var.hibernation.timezone, "UTC")
        EXCEPTIONS = join(",", sort(try(var.hibernation.exceptions, [])))
      }
    }
    lease = {
      description = "Takes and reads the lease: which Region of ${var.name} is active."
      timeout     = 30
      memory      = 256
      variables = {
        COOLDOWN_SECONDS = tostring(var.failover.cooldown_minutes * 60)
        LEASE_REGION     = local.lease_region
      }
    }
    preflight = {
      description = "Says whether the environment ${var.name} in ${local.region} could be created again."
      timeout     = 300
      memory      = 512
      variables = {
        PRIMARY_REGION = local.primary_region
        DAG_BUCKET     = var.dag_bucket.name
      }
    }
    recreate = {
      description = "Makes the environment ${var.name} in ${local.region} match its spec."
      timeout     = 120
      memory      = 256
      variables = merge(
        {
          PRIMARY_REGION = local.primary_region
          DAG_BUCKET     = var.dag_bucket.name
          DAG_S3_PATH    = local.dag_folder
        },
        local.hibernates ? { URL_PARAMETER = local.url_parameter } : {},
      )
    }
    restore = {
      description = "Chooses a snapshot of ${var.name} and starts its restore."
      timeout     = 900 # choosing verifies every object of a snapshot
      memory      = 512
      variables = merge(
        {
          DAG_BUCKET = var.dag_bucket.name
        },
        local.refreshes ? { DRILL_ARN = local.machine_arns["drill"] } : {},
      )
    }
    retention = {
      description = "Tags the snapshots of ${var.name} in ${local.region} that newer ones supersede."
      timeout     = 600
      memory      = 512
      variables = {
        ALL_HOURS   = tostring(var.retention.all_hours)
        DAILY       = tostring(var.retention.daily)
        WEEKLY      = tostring(var.retention.weekly)
        MONTHLY     = tostring(var.retention.monthly)
        PEER_BUCKET = local.peer_bucket_name
        PEER_REGION = local.peer_region
      }
    }
    replicate_existing = {
      description = "Replicates what was in the buckets of ${var.name} before replication was set up."
      timeout     = 120
      memory      = 256
      variables = {
        BUCKET_ARNS    = join(",", [var.dag_bucket.arn, var.snapshot_bucket.arn])
        BATCH_ROLE_ARN = var.batch_replication_role_arn
        ACCOUNT_ID     = local.account_id
      }
    }
  }

  package_path = "${path.module}/../../functions/package.zip"
  code_sha256  = var.function_package == null ? filebase64sha256(local.package_path) : null
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.function_names

  name              = "/aws/lambda/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key_arn
  tags              = var.tags
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:traces would want a grant on every resource; each log line carries the request's id instead
  #checkov:skip=CKV_AWS_115:state machines call one at a time; reserved concurrency would be taken from the account's own functions
  #checkov:skip=CKV_AWS_116:every call is a synchronous one of a state machine, which tells of what fails
  #checkov:skip=CKV_AWS_173:variables hold names and ARNs, no secrets; AWS encrypts them by its own key
  #checkov:skip=CKV_AWS_272:the package is committed and compared with its sources byte by byte; a signing profile would be the caller's
  for_each = local.function_names

  function_name     = each.value
  description       = local.function_settings[each.key].description
  role              = aws_iam_role.function[each.key].arn
  runtime           = "python3.12"
  handler           = "mwaa_continuity.${each.key}.handler"
  timeout           = local.function_settings[each.key].timeout
  memory_size       = local.function_settings[each.key].memory
  filename          = var.function_package == null ? local.package_path : null
  source_code_hash  = local.code_sha256
  s3_bucket         = try(var.function_package.bucket, null)
  s3_key            = try(var.function_package.key, null)
  s3_object_version = try(var.function_package.version, null)
  tags              = var.tags

  environment {
    variables = merge(local.common_variables, local.function_settings[each.key].variables)
  }

  dynamic "vpc_config" {
    for_each = contains(local.functions_in_vpc, each.key) ? [var.network] : []

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = [aws_security_group.functions[0].id]
    }
  }

  lifecycle {
    precondition {
      condition     = each.key != "replicate_existing" || var.batch_replication_role_arn != null
      error_message = "batch_replication_role_arn is null; role \"primary\" needs the ARN of the role that S3 Batch Replication works with."
    }
  }

  # The log group first, or the first invocation makes one without retention and key; the grants first, or Lambda
  # cannot make the network interfaces.
  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function]
}

resource "aws_security_group" "functions" {
  count = length(local.functions_in_vpc) > 0 ? 1 : 0

  name_prefix = "${var.prefix}-functions-"
  description = "Functions of ${var.name} that call the private web server"
  vpc_id      = var.network.vpc_id
  tags        = merge(var.tags, { Name = "${var.prefix}-functions" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "functions" {
  count = length(local.functions_in_vpc) > 0 ? 1 : 0

  security_group_id = aws_security_group.functions[0].id
  description       = "AWS services, by VPC endpoint or NAT"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "webserver" {
  for_each = length(local.functions_in_vpc) > 0 ? var.webserver_security_group_ids : {}

  security_group_id            = each.value
  description                  = "Functions that start DAGs over the REST API"
  referenced_security_group_id = aws_security_group.functions[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = var.tags
}
