# The state machines and what starts them. A machine, its role and its schedule carry the same name.

locals {
  machines_of_role = {
    standalone = concat(["retention", "snapshot"], local.hibernates ? ["hibernate", "resume"] : [])
    primary    = ["failback", "replicate_existing", "retention", "snapshot"]
    secondary  = concat(["drill", "failover", "hand_over", "heartbeat_check", "preflight", "retention", "snapshot", "stand_down"], local.keeps_standby ? ["standby"] : [], local.refreshes ? ["refresh"] : [])
  }
  machines = toset(local.machines_of_role[var.role])

  machine_names = { for machine in local.machines : machine => "${var.prefix}-${machine}" }
  machine_arns = {
    for machine, name in local.machine_names :
    machine => "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${name}"
  }
  # Of the machine that makes this Region the active one.
  activating_execution_arns = "arn:${local.partition}:states:${local.region}:${local.account_id}:execution:${var.prefix}-${var.role == "primary" ? "failback" : "failover"}:*"

  template_variables = merge(local.hibernation_variables, local.failback_variables, local.decision_variables, {
    partition              = local.partition
    region                 = local.region
    account_id             = local.account_id
    environment_name       = var.name
    functions              = local.function_arns
    machines               = local.machine_arns
    automatic              = var.failover.automatic
    poll_seconds           = var.failover.poll_seconds
    create_timeout_minutes = var.failover.create_timeout_minutes
    heartbeat_seconds      = var.failover.heartbeat_seconds
    parse_deadline_seconds = var.failover.parse_deadline_seconds
    health_function_arn    = coalesce(var.failover.health_function_arn, lookup(local.function_arns, "heartbeat_check", "none"))
  })
  machine_variables = {
    for machine in local.machines : machine => merge(local.template_variables, {
      dag_timeout_minutes = contains(["hand_over", "hibernate", "snapshot"], machine) ? var.snapshot.timeout_minutes : var.failover.dag_timeout_minutes
    })
  }

  # The states that several machines go through (`*.states.json`), and what of them is each machine's own.
  shared_states = jsondecode(file("${path.module}/shared_states.json"))
  filled_states = {
    for machine in local.machines : machine => {
      for states, own in local.shared_states :
      states => trimspace(templatefile("${path.module}/${states}.states.json", merge(local.machine_variables[machine], own[machine]))) if contains(keys(own), machine)
    }
  }

  machine_schedules = {
    for machine, schedule in {
      hibernate = {
        expression   = try(var.hibernation.hibernate, null)
        max_age      = local.window_seconds # a late night is better than none
        max_attempts = 185
      }
      resume = {
        expression   = try(var.hibernation.resume, null)
        max_age      = local.window_seconds
        max_attempts = 185
      }
      snapshot = {
        expression   = var.snapshot.schedule
        max_age      = 300
        max_attempts = 3
      }
      heartbeat_check = {
        expression   = var.heartbeat.schedule
        max_age      = 60 # a late check says nothing that the next one does not
        max_attempts = 1
      }
      drill = {
        expression   = var.drill.schedule
        max_age      = 3600
        max_attempts = 3
      }
      preflight = {
        expression   = var.preflight.schedule
        max_age      = 3600
        max_attempts = 3
      }
      standby = {
        expression   = var.standby.schedule
        max_age      = 3600
        max_attempts = 3
      }
      refresh = {
        expression   = var.standby.refresh_schedule
        max_age      = 300
        max_attempts = 3
      }
      retention = {
        expression   = var.retention.schedule
        max_age      = 300
        max_attempts = 3
      }
    } : machine => schedule if contains(local.machines, machine) && schedule.expression != null && (machine != "retention" || var.retention.enabled) && (machine != "preflight" || var.preflight.enabled)
  }
}

resource "aws_cloudwatch_log_group" "machine" {
  for_each = local.machine_names

  # Log groups below /aws/vendedlogs/ need no entry each in the account's log resource policy, whose size is limited.
  name              = "/aws/vendedlogs/states/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key_arn
  tags              = var.tags
}

resource "aws_sfn_state_machine" "this" {
  #checkov:skip=CKV_AWS_284:traces would want a grant on every resource; executions are told by notices and histories
  #checkov:skip=CKV_AWS_285:failures are logged, but not execution data, which holds task tokens
  for_each = local.machine_names

  name       = each.value
  role_arn   = aws_iam_role.machine[each.key].arn
  definition = templatefile("${path.module}/${each.key}.asl.json", merge(local.machine_variables[each.key], local.filled_states[each.key]))
  tags       = var.tags

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = false # inputs and outputs hold task tokens
    log_destination        = "${aws_cloudwatch_log_group.machine[each.key].arn}:*"
  }

  depends_on = [aws_iam_role_policy.machine]
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:what it holds is a machine's ARN and the time
  for_each = local.machine_schedules

  name                         = local.machine_names[each.key]
  description                  = "Starts the state machine ${local.machine_names[each.key]}"
  schedule_expression          = each.value.expression
  schedule_expression_timezone = contains(["hibernate", "resume"], each.key) ? var.hibernation.timezone : "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.this[each.key].arn
    role_arn = aws_iam_role.schedule[each.key].arn
    # Written out, because jsonencode would escape the angle brackets that EventBridge Scheduler looks for.
    input = "{\"scheduled_at\":\"<aws.scheduler.scheduled-time>\"}"

    retry_policy {
      maximum_event_age_in_seconds = each.value.max_age
      maximum_retry_attempts       = each.value.max_attempts
    }
  }

  depends_on = [aws_iam_role_policy.schedule]
}
