# What each state machine and each schedule may do.

locals {
  # The functions that a machine calls.
  machine_functions = {
    snapshot           = ["backup"]
    heartbeat_check    = ["heartbeat_check", "lease", "recreate"]
    failover           = ["approval", "dry_run", "heartbeat_check", "lease", "recreate", "restore"]
    drill              = ["drill", "recreate", "restore"]
    failback           = ["failback", "lease", "recreate", "restore"]
    hand_over          = ["backup", "lease", "recreate"]
    stand_down         = ["lease", "recreate", "restore"]
    replicate_existing = ["replicate_existing"]
    retention          = ["retention"]
    preflight          = ["preflight"]
    standby            = ["lease", "recreate"]
    refresh            = ["restore"]
    hibernate          = ["backup", "hibernation", "preflight", "recreate"]
    resume             = ["backup", "hibernation", "recreate", "restore"]
  }
  invoked_arns = {
    for machine in local.machines : machine => distinct([
      for function in local.machine_functions[machine] :
      function == "heartbeat_check" ? local.template_variables.health_function_arn : local.function_arns[function]
    ])
  }

  machine_statements = {
    snapshot           = []
    replicate_existing = []
    retention          = []
    preflight          = []
    heartbeat_check = [
      for statement in [{
        Sid      = "StartFailover"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = lookup(local.machine_arns, "failover", "none")
      }] : statement if var.failover.automatic
    ]
    drill      = []
    failover   = []
    failback   = []
    hand_over  = []
    stand_down = []
    hibernate  = []
    resume     = []
    standby    = []
    refresh    = []
  }
}

resource "aws_iam_role" "machine" {
  for_each = local.machine_names

  name                 = each.value
  description          = "State machine ${each.value}"
  path                 = var.function_roles.path
  permissions_boundary = var.function_roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "machine" {
  for_each = local.machine_names

  name = each.key
  role = aws_iam_role.machine[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "CallFunctions"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = local.invoked_arns[each.key]
      }],
      local.machine_statements[each.key],
      [{
        Sid    = "ForwardedLogDelivery"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
          "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
        ]
        Resource = "*" # log delivery has no resource of its own
      }],
    )
  })
}

resource "aws_iam_role" "schedule" {
  for_each = local.machine_schedules

  name                 = "${local.machine_names[each.key]}-schedule"
  description          = "Schedule of the state machine ${local.machine_names[each.key]}"
  path                 = var.function_roles.path
  permissions_boundary = var.function_roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.account_id
          "aws:SourceArn"     = "arn:${local.partition}:scheduler:${local.region}:${local.account_id}:schedule-group/default"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  for_each = local.machine_schedules

  name = each.key
  role = aws_iam_role.schedule[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "StartStateMachine"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = local.machine_arns[each.key]
    }]
  })
}
