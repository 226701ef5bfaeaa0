# What exists in which role, and what every role may do.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { id = "us-west-2" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/mocked" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-west-2:111122223333:log-group:mocked" }
  }
  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:us-west-2:111122223333:stateMachine:mocked" }
  }
}

variables {
  name   = "analytics"
  prefix = "analytics-us-west-2"
  role   = "secondary"
  peer   = { region = "us-east-1" }

  peer_snapshot_bucket = {
    arn     = "arn:aws:s3:::analytics-us-east-1-snapshots"
    key_arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
  }

  key_arn = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"

  environment_key_arn = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

  dag_bucket = {
    name = "analytics-dags"
    arn  = "arn:aws:s3:::analytics-dags"
  }
  snapshot_bucket = {
    name = "analytics-snapshots"
    arn  = "arn:aws:s3:::analytics-snapshots"
  }
  spec_json    = "{\"Name\":\"analytics\"}"
  binding_json = "{\"SourceBucketArn\":\"arn:aws:s3:::analytics-dags\"}"
  execution_role = {
    arn  = "arn:aws:iam::111122223333:role/analytics-us-west-2-execution"
    name = "analytics-us-west-2-execution"
  }
  network = {
    vpc_id     = "vpc-1"
    subnet_ids = ["subnet-1", "subnet-2"]
  }
}

run "the_secondary_watches_and_takes_over" {
  assert {
    condition     = toset(keys(aws_lambda_function.this)) == toset(["approval", "backup", "drill", "dry_run", "heartbeat_check", "lease", "preflight", "recreate", "restore", "retention"])
    error_message = "The secondary has every function that watches, decides, takes over and keeps."
  }

  assert {
    condition     = toset(keys(aws_sfn_state_machine.this)) == toset(["drill", "failover", "hand_over", "heartbeat_check", "preflight", "retention", "snapshot", "stand_down"])
    error_message = "The secondary has the machines that watch, take over, and hand back."
  }

  assert {
    condition     = toset(keys(aws_scheduler_schedule.this)) == toset(["heartbeat_check", "preflight", "retention", "snapshot"])
    error_message = "Checks, preflights, retention and snapshots are scheduled; neither a failover nor what a failback asks for is, nor a drill unless that is asked for."
  }

  assert {
    condition     = aws_scheduler_schedule.this["snapshot"].target[0].input == "{\"scheduled_at\":\"<aws.scheduler.scheduled-time>\"}"
    error_message = "EventBridge Scheduler replaces only the literal <aws.scheduler.scheduled-time>."
  }
}

# Failure covered: a lease that begins with the wrong holder lets the secondary act while the primary lives.
run "the_lease_begins_with_the_primary" {
  assert {
    condition = jsondecode(aws_dynamodb_table_item.lease[0].item) == jsondecode(jsonencode({
      pk        = { S = "lease" }
      sk        = { S = "lease" }
      holder    = { S = "us-east-1" }
      token     = { N = "1" }
      since     = { N = "0" }
      reason    = { S = "created" }
      live      = { BOOL = true }
      execution = { S = "" }
      locked    = { BOOL = false }
    }))
    error_message = "The lease must begin live, unlocked, with token 1 and the primary as its holder."
  }

  assert {
    condition = (
      jsondecode(aws_cloudformation_stack.lease[0].template_body).Resources.Lease.Properties.StreamSpecification.StreamViewType == "NEW_AND_OLD_IMAGES" && jsondecode(aws_cloudformation_stack.lease[0].template_body).Resources.Lease.Properties.TimeToLiveSpecification.AttributeName == "expires_at" &&
      jsondecode(aws_cloudformation_stack.lease[0].template_body).Resources.Lease.Properties.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled && jsondecode(aws_cloudformation_stack.lease[0].template_body).Resources.Lease.Properties.SSESpecification.KMSMasterKeyId == var.key_arn
    )
    error_message = "The table must be fit for a replica: streams, TTL, recovery, the multi-Region key."
  }
}

# Failure covered: iam:PassRole on "*", service:* and grants of whole services.
run "no_role_has_a_wildcard_action" {
  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.function), values(aws_iam_role_policy.machine), values(aws_iam_role_policy.schedule), aws_iam_role_policy.execution_role[*]) : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
      ]
    ]))
    error_message = "No statement may have a wildcard in an action."
  }

  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.function), values(aws_iam_role_policy.machine), values(aws_iam_role_policy.schedule), aws_iam_role_policy.execution_role[*]) : [
        for statement in jsondecode(policy.policy).Statement :
        !contains(flatten([statement.Resource]), "*") || contains(["ContinuityAnswers", "ForwardedLogDelivery", "ForwardedNetworkInterfaceLookup", "ForwardedNetworkLookup", "LookAround", "PublishMetrics", "ReadSchedulerHeartbeat"], statement.Sid)
      ]
    ]))
    error_message = "The resource \"*\" is for what has no finer resource only."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["recreate"].policy).Statement : statement.Resource if statement.Sid == "PassExecutionRole"
    ] == ["arn:aws:iam::111122223333:role/analytics-us-west-2-execution"]
    error_message = "Only the execution role may be passed."
  }
}

# Failure covered: a dry run that changes something.
run "a_dry_run_only_reads" {
  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["dry_run"].policy).Statement : [
        for action in flatten([statement.Action]) : can(regex("^(([a-z0-9]+:(Get|List|Describe)[A-Za-z]*)|dynamodb:Query|kms:Decrypt)$", action))
      ] if statement.Sid != "ForwardedLogs"
    ]))
    error_message = "The dry run may do nothing but read, beside its own log."
  }

  assert {
    condition     = aws_lambda_function.this["dry_run"].environment[0].variables.ASK == "false" && !strcontains(aws_sfn_state_machine.this["heartbeat_check"].definition, "\"ask\": true")
    error_message = "Nobody is asked unless that is configured."
  }
}

run "how_long_a_loss_takes_to_be_noticed" {
  assert {
    condition     = output.detection_seconds == 3 * 60 + 60
    error_message = "By default three minutes without a beat, and a check every minute."
  }
}

run "how_long_it_takes_with_other_periods" {
  variables {
    heartbeat = { schedule = "rate(5 minutes)", periods = 10, missing = 8 }
  }

  assert {
    condition     = output.detection_seconds == 8 * 60 + 300
    error_message = "The period of the schedule comes on top of the minutes without a beat."
  }
}

run "a_cron_expression_tells_no_period" {
  variables {
    heartbeat = { schedule = "cron(0/2 * * * ? *)" }
  }

  assert {
    condition     = output.detection_seconds == null
    error_message = "A time that nobody can tell must not be told."
  }
}

run "a_person_is_asked_where_that_is_configured" {
  variables {
    failover = { approval = { minutes = 30, without_answer = "proceed" } }
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.this["heartbeat_check"].definition, "\"ask\": true") && jsondecode(aws_sfn_state_machine.this["failover"].definition).States.AskApproval.TimeoutSeconds == 1800 && strcontains(aws_sfn_state_machine.this["failover"].definition, "\"without_answer\": \"proceed\"")
    error_message = "The failover must ask, wait as long as configured, and then do what is configured."
  }

  assert {
    condition     = aws_lambda_function.this["approval"].environment[0].variables.REST_SECONDS == "3600" && aws_lambda_function.this["dry_run"].environment[0].variables.ASK == "true"
    error_message = "What is left out must have its default."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.function["approval"].policy).Statement : statement.Condition if statement.Sid == "WriteQuestion"] == [{ "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["approval"] } }]
    error_message = "Who answers a question must not be able to move the lease."
  }
}

run "a_machine_calls_its_own_functions_only" {
  assert {
    condition = alltrue([
      for machine, functions in { failover = ["approval", "dry_run", "heartbeat_check", "lease", "recreate", "restore"], hand_over = ["backup", "lease", "recreate"], stand_down = ["lease", "recreate", "restore"], heartbeat_check = ["heartbeat_check", "lease", "recreate"], retention = ["retention"], snapshot = ["backup"] } :
      toset(flatten([for statement in jsondecode(aws_iam_role_policy.machine[machine].policy).Statement : statement.Resource if statement.Sid == "CallFunctions"])) ==
      toset([for function in functions : "arn:aws:lambda:us-west-2:111122223333:function:analytics-us-west-2-${function}"])
    ])
    error_message = "A machine may invoke exactly the functions it calls."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.machine["heartbeat_check"].policy).Statement : statement.Resource if contains(flatten([statement.Action]), "states:StartExecution")
    ] == ["arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-failover"]
    error_message = "Only the heartbeat check may start a failover, and nothing else."
  }

  assert {
    condition     = alltrue([for machine in values(aws_sfn_state_machine.this) : machine.logging_configuration[0].level == "ERROR" && !machine.logging_configuration[0].include_execution_data])
    error_message = "Logs must not hold inputs and outputs: they carry task tokens."
  }
}

run "functions_of_a_private_web_server_run_in_its_network" {
  assert {
    condition     = [for function, resource in aws_lambda_function.this : function if length(resource.vpc_config) > 0] == ["backup", "restore"]
    error_message = "backup and restore run in the VPC; heartbeat_check must reach the other Region whatever happens to it."
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.function : group.kms_key_id == var.key_arn && group.retention_in_days == 90])
    error_message = "Log groups must have a key and a retention."
  }
}

run "functions_of_a_public_web_server_need_no_network" {
  variables {
    webserver_access_mode = "PUBLIC_ONLY"
  }

  assert {
    condition     = length(aws_security_group.functions) == 0 && alltrue([for resource in aws_lambda_function.this : length(resource.vpc_config) == 0])
    error_message = "With a public web server no function runs in the VPC."
  }
}

# Failure covered: monitoring starts a takeover although the operator has switched it off.
run "without_automatic_failover_nothing_may_start_one" {
  variables {
    failover = { automatic = false }
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.machine["heartbeat_check"].policy, "states:StartExecution")
    error_message = "The heartbeat check must not even be allowed to start a failover."
  }
}

run "a_detector_of_the_callers_own_takes_the_place_of_ours" {
  variables {
    failover = { health_function_arn = "arn:aws:lambda:us-west-2:111122223333:function:our-detector" }
  }

  assert {
    condition = (
      strcontains(aws_iam_role_policy.machine["heartbeat_check"].policy, "function:our-detector") &&
      strcontains(aws_sfn_state_machine.this["heartbeat_check"].definition, "function:our-detector")
    )
    error_message = "The machine must call the caller's detector and be allowed to."
  }
}

run "the_primary_takes_snapshots_and_keeps_a_replica_of_the_lease" {
  variables {
    role                       = "primary"
    peer                       = { region = "us-east-1", lease_table_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/analytics-us-east-1-lease" }
    batch_replication_role_arn = "arn:aws:iam::111122223333:role/batch"
    peer_dag_bucket_arn        = "arn:aws:s3:::analytics-us-east-1-dags"
  }

  assert {
    condition     = toset(keys(aws_lambda_function.this)) == toset(["backup", "failback", "lease", "recreate", "replicate_existing", "restore", "retention"]) && toset(keys(aws_sfn_state_machine.this)) == toset(["failback", "replicate_existing", "retention", "snapshot"])
    error_message = "The primary takes snapshots, replicates existing objects and comes back; it cannot fail over."
  }

  assert {
    condition     = keys(aws_scheduler_schedule.this) == ["retention", "snapshot"]
    error_message = "A failback is started by hand."
  }

  assert {
    condition     = length(aws_cloudformation_stack.lease) == 0 && aws_dynamodb_table_replica.lease[0].global_table_arn == var.peer.lease_table_arn
    error_message = "The primary keeps a replica, no table of its own."
  }

  assert {
    condition     = aws_lambda_function.this["backup"].environment[0].variables.LEASE_TABLE == "analytics-us-east-1-lease"
    error_message = "The replica has the name of its home."
  }

  assert {
    condition = [
      for statement in jsondecode(output.dag_policy_json).Statement : [statement.Resource, statement.Condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]] if statement.Sid == "ContinuityBeat"
    ] == [["arn:aws:dynamodb:us-west-2:111122223333:table/analytics-us-east-1-lease", ["beat#us-west-2"]]]
    error_message = "The canary DAG writes its own Region's beats to its own Region's replica, and cannot touch the lease."
  }

  assert {
    condition = [
      for statement in jsondecode(output.dag_policy_json).Statement : [statement.Action, statement.Resource, statement.Condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]] if statement.Sid == "ContinuityGuard"
    ] == [[["dynamodb:GetItem"], "arn:aws:dynamodb:us-west-2:111122223333:table/analytics-us-east-1-lease", ["lease"]]]
    error_message = "The guard reads the lease from its own Region's replica, and cannot write it."
  }

  assert {
    condition     = [for statement in jsondecode(output.dag_policy_json).Statement : statement.Resource if contains(statement.Action, "airflow:InvokeRestApi")] == ["arn:aws:airflow:us-west-2:111122223333:role/analytics/Op"]
    error_message = "Tasks may use the REST API of their own environment only, and not as its administrator."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.function["replicate_existing"].policy).Statement : statement.Resource if statement.Sid == "PassBatchReplicationRole"] == ["arn:aws:iam::111122223333:role/batch"]
    error_message = "Only the Batch Replication role may be passed."
  }
}

run "the_primary_comes_back_by_what_it_may_ask_of_the_secondary" {
  command = plan

  variables {
    role                       = "primary"
    environment_owner          = "terraform"
    peer                       = { region = "us-east-1", lease_table_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/analytics-us-east-1-lease" }
    batch_replication_role_arn = "arn:aws:iam::111122223333:role/batch"
    peer_dag_bucket_arn        = "arn:aws:s3:::analytics-us-east-1-dags"
    failback                   = { drain_minutes = 5 }
    failover                   = { poll_seconds = 5 }
    snapshot                   = { timeout_minutes = 10 }
  }

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.machine["failback"].policy).Statement : statement.Resource if statement.Sid == "CallFunctions"])) == toset([for function in ["failback", "lease", "recreate", "restore"] : "arn:aws:lambda:us-west-2:111122223333:function:analytics-us-west-2-${function}"])
    error_message = "The machine invokes its own Region's functions only."
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["failback"].policy).Statement : statement.Resource if contains(statement.Action, "states:StartExecution")
    ])) == toset([for machine in ["hand_over", "stand_down"] : "arn:aws:states:us-east-1:111122223333:stateMachine:analytics-us-east-1-${machine}"])
    error_message = "In the other Region it starts what hands over and what stands down, by the names that they have there."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["lease"].policy).Statement : [statement.Resource, statement.Condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]] if contains(statement.Action, "dynamodb:UpdateItem")
      ] == [["arn:aws:dynamodb:us-east-1:111122223333:table/analytics-us-east-1-lease", ["lease"]]] && alltrue([
        for function in ["failback", "lease"] : aws_lambda_function.this[function].environment[0].variables.LEASE_REGION == "us-east-1"
    ])
    error_message = "The lease is written where its table has its home: of two Regions that write one item, the later one wins."
  }

  assert {
    condition     = alltrue([for function in ["failback", "recreate"] : !strcontains(aws_iam_role_policy.function[function].policy, "airflow:CreateEnvironment") && !strcontains(aws_iam_role_policy.function[function].policy, "airflow:DeleteEnvironment") && !strcontains(aws_iam_role_policy.function[function].policy, "iam:PassRole")])
    error_message = "What Terraform owns nobody else creates or deletes."
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.this["failback"].definition).States.Restore.Parameters.Payload.replace == true &&
      jsondecode(aws_sfn_state_machine.this["failback"].definition).States.Restore.Next == "TakeLease" &&
      jsondecode(aws_sfn_state_machine.this["failback"].definition).States.WaitForHandOver.Seconds == 5
    )
    error_message = "What the fenced primary ran is replaced, then the lease is taken; three quarters of an hour of waiting fit 700 looks of five seconds."
  }
}

run "a_primary_whose_environment_the_machines_own_can_create_it_again" {
  command = plan

  variables {
    role                       = "primary"
    peer                       = { region = "us-east-1", lease_table_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/analytics-us-east-1-lease" }
    batch_replication_role_arn = "arn:aws:iam::111122223333:role/batch"
    peer_dag_bucket_arn        = "arn:aws:s3:::analytics-us-east-1-dags"
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.function["recreate"].policy, "airflow:CreateEnvironment") && !strcontains(aws_iam_role_policy.function["recreate"].policy, "airflow:DeleteEnvironment")
    error_message = "It may create what is gone, and remove nothing."
  }
}

run "a_secondary_hands_over_and_stands_down" {
  command = plan

  variables {
    failback = { drain_minutes = 12, when_late = "snapshot" }
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.this["hand_over"].definition).States.Drain.Parameters.Payload.minutes == 12 &&
      jsondecode(aws_sfn_state_machine.this["hand_over"].definition).States.Drain.Parameters.Payload.when_late == "snapshot" &&
      jsondecode(aws_sfn_state_machine.this["hand_over"].definition).States.Drain.TimeoutSeconds == 12 * 60 + 30 * 60
    )
    error_message = "It drains as `failback` says."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.function["recreate"].policy, "airflow:DeleteEnvironment") && !strcontains(aws_iam_role_policy.function["recreate"].policy, "ssm:")
    error_message = "It may remove its environment after a failback."
  }
}

run "a_primary_must_know_the_dag_bucket_it_comes_back_from" {
  command = plan

  variables {
    role                       = "primary"
    peer                       = { region = "us-east-1", lease_table_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/analytics-us-east-1-lease" }
    batch_replication_role_arn = "arn:aws:iam::111122223333:role/batch"
  }

  expect_failures = [var.peer_dag_bucket_arn]
}

run "a_standalone_holds_its_own_lease" {
  variables {
    role                 = "standalone"
    peer                 = null
    peer_snapshot_bucket = null
  }

  assert {
    condition     = jsondecode(aws_dynamodb_table_item.lease[0].item).holder.S == "us-west-2" && keys(aws_sfn_state_machine.this) == ["retention", "snapshot"]
    error_message = "A standalone holds the lease itself and takes snapshots."
  }
}

# Failure covered: a restore overwrites Region-specific settings, so later snapshots go to the dead Region.
run "settings_and_specs_carry_their_region" {
  assert {
    condition     = aws_s3_object.settings.key == "dags/continuity/settings.us-west-2.json" && jsondecode(aws_s3_object.settings.content).snapshot_bucket == "analytics-snapshots" && jsondecode(aws_s3_object.settings.content).dag_prefix == "dags/" && jsondecode(aws_s3_object.settings.content).base_interval_hours == 24 && jsonencode(jsondecode(aws_s3_object.settings.content).prune) == jsonencode({ schedule = null, history_days = 90 }) && jsondecode(aws_s3_object.settings.content).history_days == null && jsondecode(aws_s3_object.settings.content).catchup_after_sleep == "all" && jsondecode(aws_s3_object.settings.content).on_lease_unreachable == "keep" && jsondecode(aws_s3_object.settings.content).lease_stale_minutes == 5
    error_message = "Each Region uploads settings of its own, named by it."
  }

  assert {
    condition     = toset([for object in aws_s3_object.spec : object.key]) == toset(["spec/analytics/published.us-west-2.json", "spec/analytics/binding.us-west-2.json"])
    error_message = "Spec and binding are published below the Region's name."
  }

  assert {
    condition     = alltrue([for file in ["continuity_snapshot.py", "continuity_restore.py", "continuity_go_live.py", "continuity_beat.py", "continuity_guard.py", "continuity_prune.py", "continuity_drain.py", "continuity_undrain.py", "continuity_drill.py", "continuity_lake.py", "continuity/lake_tables.json", "continuity/__init__.py"] : contains(keys(aws_s3_object.dag), file)])
    error_message = "All metadata DAGs and their package must be uploaded."
  }
}

run "without_a_lake_nothing_is_exported_or_granted" {
  assert {
    condition     = jsondecode(aws_s3_object.settings.content).lake == null && length([for statement in jsondecode(output.dag_policy_json).Statement : statement if startswith(statement.Sid, "ContinuityLake")]) == 0
    error_message = "There is no lake unless one is named."
  }
}

run "history_is_exported_to_its_own_part_of_a_lake_in_another_region" {
  variables {
    metadata_lake = { bucket = "lake", region = "us-east-1", prefix = "metadata/", key_arn = "arn:aws:kms:us-east-1:111122223333:key/lake", schedule = "@daily" }
  }

  assert {
    condition     = jsonencode(jsondecode(aws_s3_object.settings.content).lake) == jsonencode({ bucket = "lake", region = "us-east-1", prefix = "metadata/", schedule = "@daily" })
    error_message = "The settings say where the lake is, and when it is written to."
  }

  assert {
    condition = { for statement in jsondecode(output.dag_policy_json).Statement : statement.Sid => statement.Resource if startswith(statement.Sid, "ContinuityLake") } == {
      ContinuityLakeExports = "arn:aws:s3:::lake/metadata/exports/*/environment=analytics/*"
      ContinuityLakeMark    = "arn:aws:s3:::lake/metadata/marks/analytics.json"
      ContinuityLakeBucket  = "arn:aws:s3:::lake"
      ContinuityLakeKey     = "arn:aws:kms:us-east-1:111122223333:key/lake"
    }
    error_message = "An environment writes to its own part of the lake and nowhere else in it."
  }

  assert {
    condition     = [for statement in jsondecode(output.dag_policy_json).Statement : statement.Condition.StringEquals["kms:ViaService"] if statement.Sid == "ContinuityLakeKey"][0] == ["s3.us-east-1.amazonaws.com"]
    error_message = "The lake's key serves by way of S3 in the lake's Region only."
  }
}

run "a_role_of_the_callers_own_is_left_as_it_is" {
  variables {
    execution_role = { arn = "arn:aws:iam::111122223333:role/airflow" }
  }

  assert {
    condition     = length(aws_iam_role_policy.execution_role) == 0 && length(jsondecode(output.dag_policy_json).Statement) > 0
    error_message = "Nothing is attached to the caller's role; the document is an output."
  }
}

run "code_from_a_bucket_of_the_callers_own" {
  variables {
    function_package = { bucket = "code", key = "package.zip", version = "7" }
  }

  assert {
    condition     = aws_lambda_function.this["lease"].s3_bucket == "code" && aws_lambda_function.this["lease"].s3_object_version == "7" && aws_lambda_function.this["lease"].filename == null && output.code_sha256 == null
    error_message = "The package must come from the caller's bucket."
  }
}

# Failure covered: CreateEnvironment is refused at the failover, because MWAA may not do in the function's name what it needs.
run "recreate_may_forward_what_creating_an_environment_needs" {
  command = plan

  assert {
    condition = jsonencode({
      for statement in jsondecode(aws_iam_role_policy.function["recreate"].policy).Statement :
      statement.Sid => sort(flatten([statement.Action])) if startswith(statement.Sid, "Forwarded") && statement.Sid != "ForwardedLogs"
      }) == jsonencode({
      ForwardedNetworkLookup    = ["ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
      ForwardedNetworkEndpoints = ["ec2:CreateNetworkInterface", "ec2:CreateVpcEndpoint"]
      ForwardedBucketEncryption = ["s3:GetEncryptionConfiguration"]
      ForwardedEnvironmentKey = [
        "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ListGrants",
        "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:RevokeGrant",
      ]
      ForwardedServiceLinkedRole = ["iam:CreateServiceLinkedRole"]
      ForwardedLeaseTableKey     = ["kms:Decrypt"]
    })
    error_message = "These are the grants that MWAA asks of whoever creates an environment, beside the key of the lease table, and no others."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["recreate"].policy).Statement : statement.Resource == var.environment_key_arn
      if statement.Sid == "ForwardedEnvironmentKey"
    ])
    error_message = "MWAA must be handed the key of the environment, not the one of the buckets."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["recreate"].policy).Statement : [statement.Resource, statement.Condition.StringEquals["iam:AWSServiceName"]]
      if statement.Sid == "ForwardedServiceLinkedRole"
    ] == [["arn:aws:iam::111122223333:role/aws-service-role/airflow.amazonaws.com/AWSServiceRoleForAmazonMWAA", "airflow.amazonaws.com"]]
    error_message = "Only MWAA's own service-linked role may be created."
  }
}

run "who_has_security_groups_of_their_own_can_admit_the_functions" {
  assert {
    condition     = output.functions_security_group_id == aws_security_group.functions[0].id
    error_message = "The security group of the functions must be told."
  }
}

run "functions_of_a_public_web_server_need_no_security_group" {
  command = plan

  variables {
    webserver_access_mode = "PUBLIC_ONLY"
  }

  assert {
    condition     = output.functions_security_group_id == null
    error_message = "Outside of the network there is no security group."
  }
}

# Failure covered: a snapshot is deleted in one Region while the other holds no newer one.
run "retention_looks_into_the_other_region_and_tags_in_its_own" {
  command = plan

  assert {
    condition = jsonencode({
      for statement in jsondecode(aws_iam_role_policy.function["retention"].policy).Statement : statement.Sid => flatten([statement.Resource])
      if contains(["ListSnapshotsOfPeer", "ReadWhatSnapshotsOfPeerAre", "KeyOfPeer", "TagSnapshots"], statement.Sid)
      }) == jsonencode({
      KeyOfPeer           = [var.peer_snapshot_bucket.key_arn]
      ListSnapshotsOfPeer = [var.peer_snapshot_bucket.arn]
      ReadWhatSnapshotsOfPeerAre = [
        "${var.peer_snapshot_bucket.arn}/snapshots/analytics/*/manifest.json",
        "${var.peer_snapshot_bucket.arn}/snapshots/analytics/*/verification.json",
      ]
      TagSnapshots = ["arn:aws:s3:::analytics-snapshots/snapshots/analytics/*"]
    })
    error_message = "It may list and read in the other Region, and tag below snapshots/ of its own bucket."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["retention"].policy).Statement : !anytrue([for action in statement.Action : contains(["s3:DeleteObject", "s3:DeleteObjectVersion"], action)])
    ])
    error_message = "It deletes nothing: lifecycle rules do."
  }

  assert {
    condition = {
      for name in ["ALL_HOURS", "DAILY", "WEEKLY", "MONTHLY", "PEER_BUCKET", "PEER_REGION"] : name => aws_lambda_function.this["retention"].environment[0].variables[name]
      } == {
      ALL_HOURS = "48", DAILY = "7", WEEKLY = "5", MONTHLY = "12", PEER_BUCKET = "analytics-us-east-1-snapshots", PEER_REGION = "us-east-1"
    }
    error_message = "It must know what to keep and where to look."
  }
}

run "the_other_regions_bucket_must_be_known" {
  command = plan

  variables {
    peer_snapshot_bucket = null
  }

  expect_failures = [var.peer_snapshot_bucket]
}

run "a_standalone_has_itself_only" {
  command = plan

  variables {
    role                 = "standalone"
    peer                 = null
    peer_snapshot_bucket = null
  }

  assert {
    condition     = aws_lambda_function.this["retention"].environment[0].variables.PEER_BUCKET == "" && !strcontains(aws_iam_role_policy.function["retention"].policy, "OfPeer")
    error_message = "Nothing of another Region may be asked for or granted."
  }
}

run "retention_can_be_switched_off" {
  command = plan

  variables {
    retention = { enabled = false }
  }

  assert {
    condition     = !contains(keys(aws_scheduler_schedule.this), "retention") && contains(keys(aws_sfn_state_machine.this), "retention")
    error_message = "It must not run by itself, and can be started by hand."
  }
}

run "a_preflight_changes_nothing" {
  variables {
    preflight = { enabled = false }
  }

  assert {
    condition = alltrue([
      for action in flatten([for statement in jsondecode(aws_iam_role_policy.function["preflight"].policy).Statement : statement.Action if !startswith(statement.Sid, "Forwarded")]) :
      contains(["cloudwatch:PutMetricData", "kms:Decrypt"], action) || can(regex("^[a-z0-9]+:(Describe|Get|List)[A-Za-z]+$", action))
    ])
    error_message = "The preflight looks, and writes nothing but its metric; no action of it is a pattern."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["preflight"].policy).Statement : statement.Action if statement.Resource == "*"] == [
      ["cloudwatch:PutMetricData"],
      ["airflow:ListEnvironments", "ec2:DescribeNetworkAcls", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints", "logs:DescribeLogGroups", "servicequotas:GetServiceQuota"],
    ]
    error_message = "Only what knows no finer resource is granted on all."
  }

  assert {
    condition     = !contains(keys(aws_scheduler_schedule.this), "preflight") && contains(keys(aws_sfn_state_machine.this), "preflight")
    error_message = "Without a schedule the preflight is started by hand."
  }
}

run "a_standalone_that_hibernates_can_remove_and_create_its_environment" {
  variables {
    role                 = "standalone"
    peer                 = null
    peer_snapshot_bucket = null
    hibernation = {
      hibernate  = "cron(0 20 ? * MON-FRI *)"
      resume     = "cron(0 6 ? * MON-FRI *)"
      timezone   = "Europe/Berlin"
      exceptions = ["2026-12-31", "2026-12-24"]

      catchup_after_sleep = "none"
      smoke               = { dag_id = "smoke_test" }
    }
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.this["resume"].definition).States.SmokePlan.Parameters.dag_id == "smoke_test" &&
      jsondecode(aws_sfn_state_machine.this["resume"].definition).States.Smoke.Parameters.Payload.deadline_seconds == 900 &&
      anytrue([for statement in jsondecode(aws_iam_role_policy.function["restore"].policy).Statement : contains(flatten([statement.Action]), "cloudwatch:PutMetricData")])
    )
    error_message = "A resume starts the smoke run that is asked for, waits a quarter of an hour, and publishes how it ended."
  }

  assert {
    condition     = jsondecode(aws_s3_object.settings.content).catchup_after_sleep == "none"
    error_message = "What is made up for after a sleep is a setting of the metadata DAGs."
  }

  assert {
    condition     = keys(aws_lambda_function.this) == ["backup", "hibernation", "preflight", "recreate", "restore", "retention"] && keys(aws_sfn_state_machine.this) == ["hibernate", "resume", "retention", "snapshot"]
    error_message = "A standalone that hibernates has what puts it away and brings it back, and nothing that fails over."
  }

  assert {
    condition = alltrue([
      for machine, functions in { hibernate = ["backup", "hibernation", "preflight", "recreate"], resume = ["backup", "hibernation", "recreate", "restore"] } :
      toset(flatten([for statement in jsondecode(aws_iam_role_policy.machine[machine].policy).Statement : statement.Resource if statement.Sid == "CallFunctions"])) ==
      toset([for function in functions : "arn:aws:lambda:us-west-2:111122223333:function:analytics-us-west-2-${function}"])
    ])
    error_message = "A machine may invoke exactly the functions it calls."
  }

  assert {
    condition = {
      for name, policy in aws_iam_role_policy.function : name => [for statement in jsondecode(policy.policy).Statement : statement.Resource if contains(flatten([statement.Action]), "airflow:DeleteEnvironment")]
      if length([for statement in jsondecode(policy.policy).Statement : statement if contains(flatten([statement.Action]), "airflow:DeleteEnvironment")]) > 0
    } == { recreate = ["arn:aws:airflow:us-west-2:111122223333:environment/analytics"] }
    error_message = "Only recreate may delete an environment, and this one only."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["hibernation"].policy).Statement : [statement.Action, statement.Condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]] if statement.Sid == "KeepState"
    ] == [[["dynamodb:GetItem", "dynamodb:PutItem"], ["hibernation#us-west-2"]]]
    error_message = "The function hibernation may touch its own item only, never the lease."
  }

  assert {
    condition = alltrue(flatten([
      for policy in values(aws_iam_role_policy.function) : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
      ]
    ]))
    error_message = "No statement may have a wildcard in an action."
  }

  assert {
    condition = (
      aws_scheduler_schedule.this["hibernate"].schedule_expression_timezone == "Europe/Berlin" && aws_scheduler_schedule.this["resume"].schedule_expression_timezone == "Europe/Berlin" &&
      aws_scheduler_schedule.this["snapshot"].schedule_expression_timezone == "UTC" && aws_scheduler_schedule.this["hibernate"].target[0].retry_policy[0].maximum_event_age_in_seconds == 7200
    )
    error_message = "Nights are of their time zone, and a late one is started within its window."
  }

  assert {
    condition     = aws_lambda_function.this["hibernation"].environment[0].variables.TIMEZONE == "Europe/Berlin" && aws_lambda_function.this["hibernation"].environment[0].variables.EXCEPTIONS == "2026-12-24,2026-12-31"
    error_message = "The calendar must reach the function."
  }

  assert {
    condition     = aws_ssm_parameter.webserver_url[0].name == "/analytics-us-west-2/webserver-url" && aws_lambda_function.this["recreate"].environment[0].variables.URL_PARAMETER == output.webserver_url_parameter
    error_message = "The address must be published where the output says."
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.this["hibernate"].definition).States.AsksLeft.Choices[0].NumericGreaterThanEquals == 25 &&
      jsondecode(aws_sfn_state_machine.this["hibernate"].definition).States.Defaults.Result.accept_portable == false &&
      jsondecode(aws_sfn_state_machine.this["resume"].definition).States.EnsureEnvironment.ResultSelector["published_version.$"] == "$.Payload.published_version"
    )
    error_message = "Two hours, asked every five minutes, are 25 attempts; a portable snapshot is refused; a resume says which version is published."
  }
}

run "without_a_schedule_it_hibernates_by_hand_only" {
  command = plan

  variables {
    role                 = "standalone"
    peer                 = null
    peer_snapshot_bucket = null
    hibernation          = {}
  }

  assert {
    condition     = keys(aws_scheduler_schedule.this) == ["retention", "snapshot"] && contains(keys(aws_sfn_state_machine.this), "hibernate")
    error_message = "The machines must be there, and nothing may start them."
  }
}

# Failure covered: a variable that is left out changes what runs already.
run "without_hibernation_nothing_may_remove_an_environment_that_works" {
  command = plan

  variables {
    role                 = "standalone"
    peer                 = null
    peer_snapshot_bucket = null
  }

  assert {
    condition = length(aws_ssm_parameter.webserver_url) == 0 && alltrue([
      for name, policy in aws_iam_role_policy.function :
      (name == "recreate" || !strcontains(policy.policy, "airflow:DeleteEnvironment")) && !strcontains(policy.policy, "ssm:")
    ])
    error_message = "What is not asked for must not exist; recreate may remove what a drill made."
  }
}

# Failure covered: a drill that cannot be put on a schedule is not held; one without promises cannot miss them.
run "a_drill_runs_by_schedule_and_knows_what_is_promised" {
  command = plan

  variables {
    drill    = { schedule = "cron(0 3 ? * SUN#1 *)", rpo_minutes = 15, rto_minutes = 60 }
    strategy = "backup_restore"
  }

  assert {
    condition     = aws_scheduler_schedule.this["drill"].schedule_expression == "cron(0 3 ? * SUN#1 *)"
    error_message = "A drill that is asked for must be scheduled."
  }

  assert {
    condition = {
      for name, value in aws_lambda_function.this["drill"].environment[0].variables : name => value if contains(["STRATEGY", "RPO_MINUTES", "RTO_MINUTES"], name)
    } == { STRATEGY = "backup_restore", RPO_MINUTES = "15", RTO_MINUTES = "60" }
    error_message = "The function must know what is promised, and whether an environment that is there is a standby."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["drill"].policy).Statement : statement.Resource if statement.Sid == "StoreReports"
    ] == ["arn:aws:s3:::${var.snapshot_bucket.name}/drills/analytics/*"]
    error_message = "A drill writes reports and nothing else."
  }
}

run "hibernation_beside_another_region_is_refused" {
  command = plan

  variables {
    hibernation = {}
  }

  expect_failures = [var.hibernation]
}

run "a_warm_standby_is_kept_by_schedule_and_when_its_spec_arrives" {
  variables {
    strategy = "warm_standby"
  }

  assert {
    condition     = contains(keys(aws_sfn_state_machine.this), "standby") && aws_scheduler_schedule.this["standby"].schedule_expression == "rate(1 hour)"
    error_message = "The standby is looked at every hour."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.standby["spec"].event_pattern) == {
      source      = ["aws.s3"]
      detail-type = ["Object Created"]
      detail = {
        bucket = { name = ["analytics-snapshots"] }
        object = { key = ["spec/analytics/binding.us-west-2.json", "spec/analytics/observed.us-east-1.json", "spec/analytics/published.us-east-1.json"] }
      }
    }
    error_message = "What the functions themselves write below spec/ must start nothing."
  }

  # Failure covered: replication puts the user's own file over the one that hides the DAGs.
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.standby["hidden"].event_pattern).detail == { bucket = { name = ["analytics-dags"] }, object = { key = ["dags/.airflowignore"] } }
    error_message = "What lies over the file that hides the DAGs must be noticed at once."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.standby_events[0].policy).Statement : [statement.Action, statement.Resource]] == [
      [["states:StartExecution"], ["arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-standby"]],
    ]
    error_message = "The rules may start the standby's machine, and nothing else."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.machine["standby"].policy).Statement[0].Resource == [for name in ["lease", "recreate"] : "arn:aws:lambda:us-west-2:111122223333:function:analytics-us-west-2-${name}"]
    error_message = "The machine reads the lease and ensures, no more."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["recreate"].policy).Statement : [statement.Action, statement.Resource]
      if contains(["UpdateStandby", "RememberApplied"], statement.Sid)
      ] == [
      [["airflow:UpdateEnvironment"], "arn:aws:airflow:us-west-2:111122223333:environment/analytics"],
      [["s3:PutObject"], "arn:aws:s3:::analytics-snapshots/spec/analytics/applied.us-west-2.json"],
    ]
    error_message = "Only its own environment may be updated."
  }

  assert {
    condition     = alltrue([for action in ["discard", "remove"] : !strcontains(aws_sfn_state_machine.this["standby"].definition, "\"${action}\"")])
    error_message = "A standby is never deleted by its machine."
  }
}

run "a_hot_standby_is_refreshed_when_a_snapshot_arrives" {
  variables {
    strategy = "hot_standby"
  }

  assert {
    condition     = alltrue([for machine in ["standby", "refresh"] : contains(keys(aws_sfn_state_machine.this), machine)]) && aws_scheduler_schedule.this["refresh"].schedule_expression == "rate(10 minutes)"
    error_message = "A hot standby is kept like a warm one, and refreshed."
  }

  # Failure covered: objects of a snapshot that nobody read back start a refresh each.
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.standby["snapshot"].event_pattern).detail == {
      bucket = { name = ["analytics-snapshots"] }
      object = { key = [{ wildcard = "snapshots/analytics/*/verification.json" }] }
    } && aws_cloudwatch_event_target.standby["snapshot"].target_id == "refresh"
    error_message = "A snapshot counts when it was read back."
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.standby_events[0].policy).Statement : statement.Resource])) == toset([
      for machine in ["refresh", "standby"] : "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-${machine}"
    ])
    error_message = "The rules may start these two machines, and nothing else."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.machine["refresh"].policy).Statement[0].Resource == ["arn:aws:lambda:us-west-2:111122223333:function:analytics-us-west-2-restore"]
    error_message = "The machine restores, no more: it takes no lease and reveals nothing."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["restore"].policy).Statement : [statement.Action, statement.Resource]
      if statement.Sid == "ReadWhatWasRefreshed"
    ] == [[["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::analytics-snapshots/spec/analytics/refreshed.us-west-2.json"]]
    error_message = "What was restored last is noted in one object."
  }

  assert {
    condition     = !strcontains(aws_sfn_state_machine.this["refresh"].definition, "go_live") && !strcontains(aws_sfn_state_machine.this["refresh"].definition, "reveal")
    error_message = "A refresh never goes live."
  }
}

run "a_warm_standby_is_not_refreshed" {
  variables {
    strategy = "warm_standby"
  }

  assert {
    condition     = !contains(keys(aws_sfn_state_machine.this), "refresh") && !contains(keys(aws_cloudwatch_event_rule.standby), "snapshot") && !strcontains(aws_iam_role_policy.function["restore"].policy, "ListExecutions")
    error_message = "Only a hot standby is restored ahead."
  }
}

run "without_a_standby_nothing_may_update_an_environment" {
  assert {
    condition     = !contains(keys(aws_sfn_state_machine.this), "standby") && length(aws_cloudwatch_event_rule.standby) == 0 && length(aws_iam_role.standby_events) == 0
    error_message = "A secondary that holds nothing ready has no machine for it."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.function["recreate"].policy, "UpdateEnvironment")
    error_message = "Without a standby nothing may update an environment."
  }
}

run "a_primary_keeps_no_standby" {
  variables {
    role                       = "primary"
    strategy                   = "warm_standby"
    peer                       = { region = "us-east-1", lease_table_arn = "arn:aws:dynamodb:us-east-1:111122223333:table/analytics-us-east-1-lease" }
    batch_replication_role_arn = "arn:aws:iam::111122223333:role/batch"
    peer_dag_bucket_arn        = "arn:aws:s3:::analytics-us-east-1-dags"
  }

  assert {
    condition     = !contains(keys(aws_sfn_state_machine.this), "standby") && length(aws_cloudwatch_event_rule.standby) == 0
    error_message = "What keeps a standby is in the secondary."
  }
}

run "a_strategy_that_is_none_is_refused" {
  command = plan

  variables {
    strategy = "pilot_light"
  }

  expect_failures = [var.strategy]
}
