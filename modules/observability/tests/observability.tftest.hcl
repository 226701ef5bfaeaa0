# Failure covered: a successful failover notifies nobody; one that failed, timed out or was stopped by hand tells nobody either.

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
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-west-2:111122223333:analytics-us-west-2-notices" }
  }
}

variables {
  name    = "analytics"
  prefix  = "analytics-us-west-2"
  role    = "secondary"
  key_arn = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
  state_machine_arns = {
    failover        = "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-failover"
    heartbeat_check = "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-heartbeat_check"
    snapshot        = "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-snapshot"
  }
  function_arns = {
    backup = "arn:aws:lambda:us-west-2:111122223333:function:analytics-us-west-2-backup"
  }
  notifications              = { emails = ["on-call@example.com"] }
  snapshot_age_limit_minutes = 45
}

run "every_failure_and_a_completed_failover_are_told" {
  assert {
    condition     = toset(keys(aws_cloudwatch_event_rule.notice)) == toset(["failover-dry-run", "failover-failure", "failover-question", "failover-success", "heartbeat_check-failure", "snapshot-failure"])
    error_message = "There must be a failure notice per state machine, and of the failover one of success, of a dry run, and the question to a person."
  }

  assert {
    condition = alltrue([
      for notice, rule in aws_cloudwatch_event_rule.notice : join(",", jsondecode(rule.event_pattern).detail.status) == (
        endswith(notice, "-failure") ? "FAILED,TIMED_OUT,ABORTED" : "SUCCEEDED"
      ) if notice != "failover-question"
    ])
    error_message = "A failure notice must cover FAILED, TIMED_OUT and ABORTED."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.notice["failover-success"].event_pattern).detail.stateMachineArn == [var.state_machine_arns.failover]
    error_message = "The success notice must be about the failover machine."
  }

  assert {
    condition = alltrue([
      for notice, rule in aws_cloudwatch_event_rule.notice : lookup(jsondecode(rule.event_pattern).detail, "output", null) == lookup({
        failover-success = [{ wildcard = "*went_live*" }], failover-dry-run = [{ wildcard = "*dry_run*" }]
      }, notice, null)
    ])
    error_message = "The success notice must be for executions that went live only, and no failure notice may depend on an output."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_event_target.notice["failover-success"].input_transformer[0].input_template, "<output>")
    error_message = "The success notice must name the snapshot and the RPO, which are the output."
  }

  assert {
    condition     = alltrue([for notice, target in aws_cloudwatch_event_target.notice : can(regex("^\"[^\"]*<(execution|request_id)>[^\"]*\"$", target.input_transformer[0].input_template))])
    error_message = "A notice must be one quoted sentence that names the execution."
  }

  assert {
    condition = alltrue([
      for target in aws_cloudwatch_event_target.notice : alltrue([
        for variable in regexall("<([a-z_]+)>", target.input_transformer[0].input_template) : contains(keys(target.input_transformer[0].input_paths), variable[0])
      ])
    ])
    error_message = "Every variable of a sentence must have an input path, or it is printed as it stands."
  }

  # Failure covered: the question reaches a person without saying how to answer it.
  assert {
    condition     = alltrue([for part in ["<why>", "<approve>", "<refuse>", "<until>", "<without_answer>"] : strcontains(aws_cloudwatch_event_target.notice["failover-question"].input_transformer[0].input_template, part)])
    error_message = "The question must say why it is asked, how to answer it, until when, and what happens without an answer."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.notice["failover-question"].event_pattern) == jsondecode(jsonencode({ source = ["mwaa-continuity"], detail-type = ["Failover Wants Approval"], detail = { environment = ["analytics"] } }))
    error_message = "The question must be about this environment only."
  }
}

run "only_our_rules_and_alarms_may_publish" {
  assert {
    condition     = aws_sns_topic.this[0].kms_master_key_id == var.key_arn
    error_message = "The topic must be encrypted with the Region's key."
  }

  assert {
    condition     = toset(jsondecode(aws_sns_topic_policy.this[0].policy).Statement[0].Condition.ArnEquals["aws:SourceArn"]) == toset([for notice in keys(aws_cloudwatch_event_rule.notice) : "arn:aws:events:us-west-2:111122223333:rule/analytics-us-west-2-${notice}"])
    error_message = "EventBridge may publish for the rules of this module only."
  }

  assert {
    condition     = jsondecode(aws_sns_topic_policy.this[0].policy).Statement[1].Condition.ArnLike["aws:SourceArn"] == "arn:aws:cloudwatch:us-west-2:111122223333:alarm:analytics-us-west-2-*"
    error_message = "CloudWatch may publish for the alarms of this module only."
  }

  assert {
    condition     = aws_sns_topic_subscription.email["on-call@example.com"].protocol == "email"
    error_message = "The address must be subscribed."
  }
}

run "silence_of_the_primary_is_an_alarm_and_of_the_secondary_is_none" {
  assert {
    condition     = aws_cloudwatch_metric_alarm.snapshot_age.threshold == 2700 && aws_cloudwatch_metric_alarm.snapshot_age.period * aws_cloudwatch_metric_alarm.snapshot_age.evaluation_periods == 2700
    error_message = "The alarm must look back as far as the limit, in seconds."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.finding["snapshot-portable"].metric_name == "SnapshotPortable" && aws_cloudwatch_metric_alarm.finding["snapshot-portable"].threshold == 0 && aws_cloudwatch_metric_alarm.finding["snapshot-portable"].treat_missing_data == "ignore" && length(aws_cloudwatch_metric_alarm.finding["snapshot-portable"].alarm_actions) == 1
    error_message = "A fall to portable snapshots must be told once, and again when they are full."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.snapshot_age.treat_missing_data == "notBreaching"
    error_message = "The secondary takes no snapshots before it holds the lease: that is no alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.unknown_health[0].metric_name == "UnknownHealth" && aws_cloudwatch_metric_alarm.unknown_health[0].evaluation_periods == 5
    error_message = "Unknown health for five periods must raise an alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.unknown_health[0].treat_missing_data == "missing"
    error_message = "Where verdicts come less often than every minute, a minute without one is no alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.function_errors["backup"].dimensions.FunctionName == "analytics-us-west-2-backup"
    error_message = "The alarm must watch the function by its name."
  }
}

run "no_verdict_is_an_alarm_where_one_is_due_every_minute" {
  variables {
    verdict_every_minute = true
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.unknown_health[0].treat_missing_data == "breaching" && strcontains(aws_cloudwatch_metric_alarm.unknown_health[0].alarm_description, "or has not run")
    error_message = "A switched-off schedule or a refused metric must not be silent."
  }
}

run "the_primary_alarms_on_missing_snapshots" {
  variables {
    role                       = "primary"
    snapshot_age_limit_minutes = 4320
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.snapshot_age.treat_missing_data == "breaching"
    error_message = "In the primary no data means no snapshot."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.snapshot_age.period == 3600 && aws_cloudwatch_metric_alarm.snapshot_age.evaluation_periods == 72
    error_message = "Above a day CloudWatch wants periods of an hour."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.unknown_health) == 0
    error_message = "Only the secondary checks health."
  }
}

run "a_topic_of_the_callers_own_is_left_as_it_is" {
  variables {
    notifications = { topic_arn = "arn:aws:sns:us-west-2:111122223333:on-call" }
  }

  assert {
    condition     = length(aws_sns_topic.this) == 0 && length(aws_sns_topic_policy.this) == 0 && output.topic_arn == "arn:aws:sns:us-west-2:111122223333:on-call"
    error_message = "No topic and no policy may be made beside the caller's."
  }
}

run "bad_addresses_are_refused" {
  command = plan

  variables {
    notifications              = { emails = ["on-call"], topic_arn = "on-call" }
    snapshot_age_limit_minutes = 0
  }

  expect_failures = [var.notifications, var.snapshot_age_limit_minutes]
}

run "an_environment_that_sleeps_says_so_and_takes_no_snapshots" {
  variables {
    role       = "standalone"
    hibernates = true
    state_machine_arns = {
      hibernate = "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-hibernate"
      resume    = "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-resume"
    }
  }

  assert {
    condition     = keys(aws_cloudwatch_event_rule.notice) == ["hibernate-failure", "hibernate-success", "resume-failure", "resume-success"]
    error_message = "Every failure and every completed hibernation and resume must be told."
  }

  assert {
    condition = {
      for notice, rule in aws_cloudwatch_event_rule.notice : notice => jsondecode(rule.event_pattern).detail.output[0].wildcard if endswith(notice, "-success")
    } == { "hibernate-success" = "*fell_asleep*", "resume-success" = "*came_back*" }
    error_message = "An execution that found nothing to do is not told as complete."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.snapshot_age.treat_missing_data == "notBreaching"
    error_message = "A night without snapshots is no alarm while the environment sleeps."
  }

  assert {
    condition     = !strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "SmokeFailed")
    error_message = "Without a smoke run nothing is published of any."
  }
}

run "a_smoke_run_is_shown" {
  variables {
    role       = "standalone"
    hibernates = true
    smokes     = true
  }

  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "SmokeFailed")
    error_message = "The dashboard shows how smoke runs ended."
  }
}

run "a_secondary_that_could_not_take_over_is_told" {
  assert {
    condition     = aws_cloudwatch_metric_alarm.finding["preflight"].metric_name == "PreflightFailures" && aws_cloudwatch_metric_alarm.finding["preflight"].threshold == 0 && aws_cloudwatch_metric_alarm.finding["preflight"].treat_missing_data == "ignore"
    error_message = "One failed check raises the alarm, and it lasts until a preflight finds none."
  }
}

run "a_standby_that_is_not_in_step_is_told" {
  variables {
    keeps_standby = true
    state_machine_arns = {
      standby = "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-standby"
    }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.finding["standby"].metric_name == "StandbyInStep" && aws_cloudwatch_metric_alarm.finding["standby"].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.finding["standby"].treat_missing_data == "ignore"
    error_message = "A standby that is behind raises the alarm, and it lasts until it is in step."
  }

  assert {
    condition     = keys(aws_cloudwatch_event_rule.notice) == ["standby-failure", "standby-success"] && jsondecode(aws_cloudwatch_event_rule.notice["standby-success"].event_pattern).detail.output == [{ wildcard = "*brought_in_step*" }]
    error_message = "What was created or updated is told; a look that found nothing to do is not."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "StandbyInStep") && contains(output.alarm_names, "analytics-us-west-2-standby")
    error_message = "The dashboard shows the standby, and its alarm."
  }
}

run "a_standby_whose_state_is_too_old_is_told" {
  variables {
    keeps_standby = true
    refreshes     = true
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.standby_age[0].metric_name == "StandbyAgeSeconds" && aws_cloudwatch_metric_alarm.standby_age[0].threshold == aws_cloudwatch_metric_alarm.snapshot_age.threshold && aws_cloudwatch_metric_alarm.standby_age[0].treat_missing_data == "breaching"
    error_message = "A standby that is not refreshed, or of which nobody knows, raises the alarm."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "StandbyAgeSeconds") && contains(output.alarm_names, "analytics-us-west-2-standby-age")
    error_message = "The dashboard shows how old the state in the standby is."
  }
}

run "where_nothing_stands_by_nothing_is_behind" {
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.finding), "standby") && length(aws_cloudwatch_metric_alarm.standby_age) == 0 && !strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "\"Standby")
    error_message = "Without a standby there is no metric of one."
  }
}

run "where_no_preflight_is_scheduled_nothing_waits_for_one" {
  variables {
    role = "primary"
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.finding), "preflight")
    error_message = "Only a secondary has a preflight by schedule."
  }
}

# Failure covered: what is published is seen by nobody, or a graph stays empty because nobody publishes what it names.
run "the_dashboard_shows_what_this_region_publishes" {
  variables {
    function_arns = {
      backup          = "arn:aws:lambda:us-west-2:111122223333:function:analytics-us-west-2-backup"
      heartbeat_check = "arn:aws:lambda:us-west-2:111122223333:function:analytics-us-west-2-heartbeat_check"
    }
  }

  assert {
    condition = toset([
      for metric in flatten([
        for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : [for shown in try(widget.properties.metrics, []) : shown[1] if try(shown[0] == "MwaaContinuity", false)]
      ]) : metric
      ]) == toset([
      "SnapshotAgeSeconds", "SnapshotDurationSeconds", "SnapshotBytes", "SnapshotPortable", "SnapshotsKept", "SnapshotsSuperseded", "SnapshotsKeptBytes",
      "SnapshotsSupersededBytes", "Healthy", "Unhealthy", "UnknownHealth", "EnvironmentChanging",
    ])
    error_message = "The dashboard must show the metrics that the functions of this Region publish, and no others."
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget.x + widget.width <= 24
    ])
    error_message = "A widget must lie within the 24 columns of a dashboard."
  }
}

run "events_are_shown_where_they_are_delivered" {
  variables {
    takes_events = true
  }

  assert {
    condition     = alltrue([for metric in ["EventsDelivered", "EventsRefused", "EventWaitSeconds"] : strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, metric)])
    error_message = "The dashboard must show what became of events."
  }
}

run "hours_asleep_are_shown_where_the_environment_sleeps" {
  variables {
    role       = "standalone"
    hibernates = true
  }

  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "100 * asleep / (awake + asleep)")
    error_message = "The dashboard must show the share of the week that was not paid."
  }
}

run "without_a_dashboard" {
  variables {
    dashboard = false
  }

  assert {
    condition     = length(aws_cloudwatch_dashboard.this) == 0 && output.dashboard_name == null
    error_message = "dashboard = false must leave no dashboard."
  }
}

# Failure covered: a failback that drained the other Region and failed tells nobody there.
run "a_failback_is_told_in_both_regions" {
  variables {
    state_machine_arns = {
      for machine in ["failback", "hand_over", "stand_down"] : machine => "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-${machine}"
    }
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_event_rule.notice)) == toset(["failback-failure", "failback-success", "hand_over-failure", "stand_down-failure"])
    error_message = "Every failure is told, and of what succeeds the failback as a whole."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.notice["failback-success"].event_pattern).detail.output == [{ wildcard = "*failed_back*" }]
    error_message = "A failback that found nothing to do is not told as complete."
  }

  assert {
    condition     = alltrue([for machine in ["failback", "hand_over"] : strcontains(aws_cloudwatch_event_target.notice["${machine}-failure"].input_transformer[0].input_template, "operation put_back")])
    error_message = "Whoever is woken must read how the DAGs that were drained go on."
  }
}
