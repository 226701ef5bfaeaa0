# Deciding a failover: the question to a person, and the dry run, which may read all that a failover reads, and change nothing.

locals {
  # From the loss of the primary to the start of the failover ("Verdict of the heartbeat check"); of a cron expression nobody tells the period.
  check_rate        = try(regex("^rate\\(([0-9]+) (minute|hour|day)", var.heartbeat.schedule), null)
  check_seconds     = local.check_rate == null ? null : tonumber(local.check_rate[0]) * { minute = 60, hour = 3600, day = 86400 }[local.check_rate[1]]
  detection_seconds = var.role != "secondary" || local.check_seconds == null || var.failover.health_function_arn != null ? null : var.heartbeat.missing * 60 + local.check_seconds

  # FENCE_SECONDS of dags/continuity/priority.py; a standalone has nobody to be fenced for.
  fence_seconds = var.role == "standalone" ? null : 120

  # Without a question the machine keeps its states and a person may still ask for one by its input.
  approval = coalesce(var.failover.approval, { minutes = 60, without_answer = "fail", again_minutes = 60 })

  decision_variables = {
    ask            = var.failover.approval != null
    answer_seconds = local.approval.minutes * 60
    without_answer = local.approval.without_answer
  }

  approval_function_variables = {
    PRIMARY_REGION = local.primary_region
    LEASE_REGION   = local.lease_region
    ANSWER_SECONDS = tostring(local.approval.minutes * 60)
    REST_SECONDS   = tostring(local.approval.again_minutes * 60)
    WITHOUT_ANSWER = local.approval.without_answer
  }

  dry_run_function_variables = {
    PRIMARY_REGION   = local.primary_region
    PERIODS          = tostring(var.heartbeat.periods)
    MISSING          = tostring(var.heartbeat.missing)
    COOLDOWN_SECONDS = tostring(var.failover.cooldown_minutes * 60)
    LEASE_REGION     = local.lease_region
    DAG_BUCKET       = var.dag_bucket.name
    STRATEGY         = coalesce(var.strategy, "none")
    AUTOMATIC        = tostring(var.failover.automatic)
    ASK              = tostring(var.failover.approval != null)
    DETECTOR         = var.failover.health_function_arn == null ? "" : var.failover.health_function_arn
  }

  question_item = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["approval"] } }
  read_question = {
    Sid       = "ReadQuestion"
    Effect    = "Allow"
    Action    = ["dynamodb:GetItem"]
    Resource  = local.lease_table_arn
    Condition = local.question_item
  }

  approval_statements = [
    local.read_question,
    local.lease_table_key,
    local.list_snapshot_bucket,
    local.hand_over_task_token,
    local.bucket_key,
    {
      Sid       = "WriteQuestion"
      Effect    = "Allow"
      Action    = ["dynamodb:PutItem"]
      Resource  = local.lease_table_arn
      Condition = local.question_item
    },
    {
      Sid      = "ReadTaskToken"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = local.work_objects
    },
    {
      Sid       = "TellOfQuestion"
      Effect    = "Allow"
      Action    = ["events:PutEvents"]
      Resource  = "arn:${local.partition}:events:${local.region}:${local.account_id}:event-bus/default"
      Condition = { StringEquals = { "events:source" = "mwaa-continuity" } }
    },
    {
      Sid      = "ContinuityAnswers"
      Effect   = "Allow"
      Action   = ["states:SendTaskSuccess"]
      Resource = "*" # a task token is of no resource
    },
  ]

  dry_run_statements = concat(local.look_statements, local.watch_statements, [
    local.read_lease_at_home,
    local.read_question,
    local.see_holder,
    {
      Sid      = "ReadSnapshots"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = local.snapshot_objects
    },
  ])
}
