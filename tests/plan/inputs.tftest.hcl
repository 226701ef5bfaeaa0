# Bad input is refused in the plan, by a message that names the field and what is accepted.

mock_provider "aws" {
  source = "./tests/plan/mocks"
}

variables {
  name              = "analytics"
  role              = "secondary"
  environment_owner = "lifecycle"
  peer              = { region = "us-east-1" }
}

run "good_input_is_accepted" {
  command = plan

  assert {
    condition     = output.strategy == "backup_restore"
    error_message = "A secondary's strategy is backup_restore by default."
  }
}

run "a_standby_is_accepted" {
  command = plan

  variables {
    strategy = "warm_standby"
    standby  = { schedule = "rate(30 minutes)" }
  }

  assert {
    condition     = output.strategy == "warm_standby"
    error_message = "A secondary may stand by."
  }
}

run "a_standby_schedule_in_words_is_refused" {
  command = plan

  variables {
    strategy = "warm_standby"
    standby  = { schedule = "hourly" }
  }

  expect_failures = [var.standby]
}

run "a_refresh_schedule_in_words_is_refused" {
  command = plan

  variables {
    strategy = "hot_standby"
    standby  = { refresh_schedule = "often" }
  }

  expect_failures = [var.standby]
}

run "a_strategy_that_is_none_is_refused" {
  command = plan

  variables {
    strategy = "active_active"
  }

  expect_failures = [var.strategy]
}

run "a_standalone_has_no_strategy_and_no_peer" {
  command = plan

  variables {
    role     = "standalone"
    strategy = "backup_restore"
  }

  expect_failures = [var.strategy, var.peer]
}

run "a_role_that_is_none_is_refused" {
  command = plan

  variables {
    role = "tertiary"
  }

  expect_failures = [var.role]
}

run "terraform_cannot_own_the_secondarys_environment" {
  command = plan

  variables {
    environment_owner = "terraform"
  }

  expect_failures = [var.environment_owner]
}

run "a_secondary_needs_its_peer" {
  command = plan

  variables {
    peer = null
  }

  expect_failures = [var.peer]
}

run "a_primary_needs_all_of_its_peer" {
  command = plan

  variables {
    role = "primary"
    peer = { region = "us-east-1", key_arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab" }
  }

  expect_failures = [var.peer]
}

run "both_roles_in_one_region_are_refused" {
  command = plan

  variables {
    peer = { region = "us-west-2" }
  }

  expect_failures = [terraform_data.regions]
}

run "a_name_that_mwaa_refuses_is_refused" {
  command = plan

  variables {
    name = "1st environment"
  }

  expect_failures = [var.name]
}

run "half_a_network_is_refused" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1" }
  }

  expect_failures = [var.network]
}

run "a_third_subnet_is_refused" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2", "subnet-3"] }
  }

  expect_failures = [var.network]
}

run "two_networks_are_refused" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2"], cidr = "10.0.0.0/16" }
  }

  expect_failures = [var.network]
}

run "a_rate_in_the_wrong_number_is_refused" {
  command = plan

  variables {
    snapshot  = { schedule = "rate(1 minutes)" }
    heartbeat = { schedule = "rate(0 minutes)" }
  }

  expect_failures = [var.snapshot, var.heartbeat]
}

run "a_cron_expression_of_five_fields_is_refused" {
  command = plan

  variables {
    snapshot = { schedule = "cron(0 2 * * *)" }
  }

  expect_failures = [var.snapshot]
}

run "a_cron_expression_without_question_mark_is_refused" {
  command = plan

  variables {
    snapshot = { schedule = "cron(0 2 * * * *)" }
  }

  expect_failures = [var.snapshot]
}

run "a_cron_expression_is_accepted" {
  command = plan

  variables {
    snapshot = { schedule = "cron(0/30 6-22 ? * MON-FRI *)", tables = { log = "skip" } }
  }

  assert {
    condition     = local.max_age_minutes == 1560
    error_message = "With a cron expression the newest snapshot is too old after 26 hours."
  }
}

run "a_table_policy_that_is_none_is_refused" {
  command = plan

  variables {
    snapshot = { tables = { log = "drop" } }
  }

  expect_failures = [var.snapshot]
}

run "more_missing_than_periods_are_refused" {
  command = plan

  variables {
    heartbeat = { periods = 3, missing = 4 }
  }

  expect_failures = [var.heartbeat]
}

run "an_in_flight_policy_that_is_none_is_refused" {
  command = plan

  variables {
    failover = { in_flight = { dags = { nightly = "keep" } } }
  }

  expect_failures = [var.failover]
}

run "a_question_that_cannot_be_asked_is_refused" {
  command = plan

  variables {
    failover = { approval = { minutes = 1440, without_answer = "wait" } }
  }

  expect_failures = [var.failover]
}

run "a_question_before_nothing_is_refused" {
  command = plan

  variables {
    failover = { automatic = false, approval = {} }
  }

  expect_failures = [var.failover]
}

run "a_detector_that_is_no_function_is_refused" {
  command = plan

  variables {
    failover = { health_function_arn = "our-detector" }
  }

  expect_failures = [var.failover]
}

run "the_name_of_our_policy_is_taken" {
  command = plan

  variables {
    execution_role = { policy_documents = { continuity = "{\"Statement\":[]}" } }
  }

  expect_failures = [var.execution_role]
}

run "a_base_that_never_ages_is_refused" {
  command = plan

  variables {
    snapshot = { base_interval_hours = 169 }
  }

  expect_failures = [var.snapshot]
}

run "half_hours_between_bases_are_refused" {
  command = plan

  variables {
    snapshot = { base_interval_hours = 0.5 }
  }

  expect_failures = [var.snapshot]
}

# Failure covered: a snapshot that is still being taken is superseded.
run "a_retention_shorter_than_a_snapshot_may_take_is_refused" {
  command = plan

  variables {
    retention = { all_hours = 23 }
  }

  expect_failures = [var.retention]
}

run "a_retention_of_half_a_week_is_refused" {
  command = plan

  variables {
    retention = { weekly = 0.5 }
  }

  expect_failures = [var.retention]
}

run "a_retention_that_never_runs_is_refused" {
  command = plan

  variables {
    retention = { schedule = "hourly" }
  }

  expect_failures = [var.retention]
}

run "a_preflight_schedule_in_words_is_refused" {
  command = plan

  variables {
    preflight = { schedule = "daily" }
  }

  expect_failures = [var.preflight]
}

run "a_prune_schedule_of_six_fields_is_refused" {
  command = plan

  variables {
    prune = { schedule = "cron(0 4 * * ? *)" }
  }

  expect_failures = [var.prune]
}

run "a_lake_schedule_of_event_bridge_is_refused" {
  command = plan

  variables {
    metadata_lake = { schedule = "rate(1 hour)" }
  }

  expect_failures = [var.metadata_lake]
}

run "a_lake_made_elsewhere_has_its_bucket_there" {
  command = plan

  variables {
    metadata_lake = {
      lake   = { bucket = "lake", region = "us-east-1", prefix = "metadata/", key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
      bucket = "another"
    }
  }

  expect_failures = [var.metadata_lake]
}

run "a_lake_made_elsewhere_is_told_as_its_output_says" {
  command = plan

  variables {
    metadata_lake = {
      lake = { bucket = "lake", region = "Virginia", prefix = "metadata", key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
    }
  }

  expect_failures = [var.metadata_lake]
}

run "an_environment_is_no_other_of_its_own_lake" {
  command = plan

  variables {
    metadata_lake = { environments = [var.name] }
  }

  expect_failures = [var.metadata_lake]
}

run "pruning_everything_is_refused" {
  command = plan

  variables {
    prune = { schedule = "@daily", history_days = 0 }
  }

  expect_failures = [var.prune]
}

run "half_a_day_of_history_is_refused" {
  command = plan

  variables {
    failover = { history_days = 0.5 }
  }

  expect_failures = [var.failover]
}

run "a_lease_that_is_unreachable_is_kept_or_paused_for" {
  command = plan

  variables {
    failover = { on_lease_unreachable = "stop" }
  }

  expect_failures = [var.failover]
}

run "a_lease_is_not_stale_within_a_minute" {
  command = plan

  variables {
    failover = { on_lease_unreachable = "pause", lease_stale_minutes = 1 }
  }

  expect_failures = [var.failover]
}

run "a_lease_is_not_stale_between_two_checks" {
  command = plan

  variables {
    heartbeat = { schedule = "rate(3 minutes)" }
    failover  = { on_lease_unreachable = "pause", lease_stale_minutes = 5 }
  }

  expect_failures = [var.failover]
}

run "a_lease_is_stale_after_two_checks" {
  command = plan

  variables {
    heartbeat = { schedule = "rate(1 hour)" }
    failover  = { on_lease_unreachable = "pause", lease_stale_minutes = 120 }
  }

  assert {
    condition     = output.fence_seconds == 120
    error_message = "Twice the interval is enough, and a Region of two knows how long fencing takes."
  }
}

run "hibernation_beside_a_peer_is_refused" {
  command = plan

  variables {
    hibernation = {}
  }

  expect_failures = [var.hibernation]
}

run "hibernation_of_what_terraform_owns_is_refused" {
  command = plan

  variables {
    role              = "standalone"
    environment_owner = "terraform"
    peer              = null
    hibernation       = {}
  }

  expect_failures = [var.hibernation]
}

run "a_rate_is_no_time_to_sleep" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { hibernate = "rate(1 day)" }
  }

  expect_failures = [var.hibernation]
}

run "a_cron_expression_of_another_kind_is_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { resume = "0 6 * * *" }
  }

  expect_failures = [var.hibernation]
}

run "two_equal_times_are_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { hibernate = "cron(0 6 ? * * *)", resume = "cron(0 6 ? * * *)" }
  }

  expect_failures = [var.hibernation]
}

run "a_time_zone_that_is_none_is_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { timezone = "UTC+1 (Berlin)" }
  }

  expect_failures = [var.hibernation]
}

run "another_way_to_be_late_is_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { when_late = "wait" }
  }

  expect_failures = [var.hibernation]
}

run "another_way_to_catch_up_is_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { catchup_after_sleep = "some" }
  }

  expect_failures = [var.hibernation]
}

run "a_smoke_run_that_cannot_be_started_is_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { smoke = { dag_id = "a dag" } }
  }

  expect_failures = [var.hibernation]
}

run "a_smoke_run_without_time_is_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { smoke = { dag_id = "smoke", timeout_minutes = 0 } }
  }

  expect_failures = [var.hibernation]
}

run "half_a_minute_of_drain_is_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { drain_minutes = 0.5 }
  }

  expect_failures = [var.hibernation]
}

run "an_exception_that_is_no_day_is_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { exceptions = ["2026-02-30"] }
  }

  expect_failures = [var.hibernation]
}

run "a_window_of_days_is_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { window_minutes = 1440 }
  }

  expect_failures = [var.hibernation]
}

run "more_attempts_than_a_history_holds_are_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { window_minutes = 720, retry_seconds = 1 }
  }

  expect_failures = [var.hibernation]
}

run "more_polls_than_a_history_holds_are_refused" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = {}
    failover    = { poll_seconds = 1 }
  }

  expect_failures = [var.hibernation]
}

run "a_handover_waits_for_whole_minutes" {
  command = plan

  variables {
    failback = { drain_minutes = 721 }
  }

  expect_failures = [var.failback]
}

run "a_handover_that_is_late_cancels_or_goes_on" {
  command = plan

  variables {
    failback = { when_late = "wait" }
  }

  expect_failures = [var.failback]
}

run "a_drill_of_the_active_region_is_refused" {
  command = plan

  variables {
    role  = "standalone"
    peer  = null
    drill = { schedule = "rate(30 days)" }
  }

  expect_failures = [var.drill]
}

run "a_drill_schedule_in_words_is_refused" {
  command = plan

  variables {
    role  = "secondary"
    drill = { schedule = "once a month" }
  }

  expect_failures = [var.drill]
}

run "half_a_minute_of_recovery_is_refused" {
  command = plan

  variables {
    role  = "secondary"
    drill = { rto_minutes = 0.5 }
  }

  expect_failures = [var.drill]
}

run "waking_what_does_not_hibernate_is_refused" {
  command = plan

  variables {
    event_trigger = { wake = true, rules = [{ name = "orders", buckets = ["landing"], dag_id = "load" }] }
  }

  expect_failures = [var.event_trigger]
}

# Failure covered: every event of a dataset is refused by an Airflow that has no call for it.
run "dataset_events_of_an_airflow_that_takes_none_are_refused" {
  command = plan

  variables {
    environment   = { airflow_version = "2.8.1" }
    event_trigger = { rules = [{ name = "orders", buckets = ["landing"], dataset = "s3://landing/orders" }] }
  }

  expect_failures = [var.event_trigger]
}

run "events_are_delivered_where_the_lease_is" {
  command = plan

  variables {
    event_trigger = { rules = [{ name = "orders", buckets = ["landing"], dag_id = "load" }] }
  }

  assert {
    condition     = keys(output.event_queue) == ["dead_letters", "events"]
    error_message = "A secondary has a queue of its own, for the events of its Region."
  }
}
