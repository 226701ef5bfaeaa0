# What one Region consists of, by role; and what the two tell each other.

mock_provider "aws" {
  source = "./tests/plan/mocks"
}

variables {
  name              = "analytics"
  role              = "secondary"
  environment_owner = "lifecycle"
  peer              = { region = "us-east-1" }
}

# Failure covered: `aws_mwaa_environment` deleted outside Terraform shows as "1 to add", and any apply silently wakes the environment.
run "the_secondary_has_no_environment_resource" {
  assert {
    condition     = keys(output.state_machine_arns) == ["drill", "failover", "hand_over", "heartbeat_check", "preflight", "retention", "snapshot", "stand_down"]
    error_message = "The secondary must have the machines that watch and take over."
  }

  assert {
    condition     = toset(keys(output.peer)) == toset(["region", "dag_bucket_arn", "snapshot_bucket_arn", "key_arn", "lease_table_arn"]) && output.peer.region == "us-west-2"
    error_message = "The output peer must be what the primary's variable peer takes."
  }

  assert {
    condition     = output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/analytics"
    error_message = "Outputs must not depend on a live environment."
  }

  assert {
    condition     = local.max_age_minutes == 45
    error_message = "By default the newest snapshot is too old after three intervals."
  }
}

run "the_primary_takes_the_peer_of_the_secondary" {
  command = plan

  variables {
    role              = "primary"
    environment_owner = "terraform"
    peer              = merge(run.the_secondary_has_no_environment_resource.peer, { region = "us-east-1" })
  }

  assert {
    condition     = output.peer == null && output.lease_table.name == "analytics-us-west-2-lease"
    error_message = "The primary must reach the lease table by the name of the secondary's."
  }

  assert {
    condition     = keys(output.function_arns) == ["backup", "failback", "lease", "recreate", "replicate_existing", "restore", "retention"]
    error_message = "The primary takes snapshots, comes back, and cannot fail over."
  }
}

run "a_standalone_needs_name_role_and_owner_only" {
  command = plan

  variables {
    role              = "standalone"
    environment_owner = "terraform"
    peer              = null
  }

  assert {
    condition     = output.strategy == null && keys(output.function_arns) == ["backup", "retention"]
    error_message = "A standalone takes snapshots and has no strategy."
  }
}

run "a_network_of_the_callers_own_is_used" {
  command = plan

  variables {
    network = { vpc_id = "vpc-mocked", subnet_ids = ["subnet-1", "subnet-2"] }
  }

  assert {
    condition     = length(module.network) == 0 && output.network.vpc_id == "vpc-mocked"
    error_message = "No network may be made beside the caller's."
  }
}

# Failure covered: names of roles collide between Regions, or grow beyond what IAM takes.
run "a_long_name_with_underscores_is_cut_and_stays_unique" {
  command = plan

  variables {
    name = "department_of_very_long_names_production_analytics_platform"
  }

  assert {
    condition     = can(regex("^department-of-[0-9a-f]{6}-us-west-2$", local.prefix)) && length("${local.prefix}-replicate_existing-function") <= 64
    error_message = "The prefix must be short, hyphenated, hashed, and carry the Region."
  }
}

# Failure covered: credentials in logs and plans.
run "a_secret_in_an_option_hides_the_spec" {
  command = plan

  variables {
    environment = { airflow_configuration_options = { "smtp.smtp_password" = "hunter2" } }
  }

  assert {
    condition     = issensitive(module.continuity.published_spec)
    error_message = "A plan must not print a spec that holds a secret."
  }
}

run "an_ordinary_spec_stays_readable" {
  command = plan

  variables {
    environment = { airflow_configuration_options = { "core.default_task_retries" = "3" } }
  }

  assert {
    condition     = !issensitive(module.continuity.published_spec)
    error_message = "A plan must show what changes in a spec."
  }
}

run "a_standalone_that_hibernates_has_the_machines_and_an_address" {
  command = plan

  variables {
    role        = "standalone"
    peer        = null
    hibernation = { hibernate = "cron(0 20 ? * MON-FRI *)", resume = "cron(0 6 ? * MON-FRI *)", timezone = "Europe/Berlin" }
  }

  assert {
    condition     = keys(output.state_machine_arns) == ["hibernate", "resume", "retention", "snapshot"] && output.webserver_url_parameter == "/analytics-us-west-2/webserver-url"
    error_message = "A standalone that hibernates must have both machines, and tell where the address is."
  }
}

run "a_warm_standby_is_the_secondarys" {
  variables {
    strategy = "warm_standby"
  }

  assert {
    condition     = keys(output.state_machine_arns) == ["drill", "failover", "hand_over", "heartbeat_check", "preflight", "retention", "snapshot", "stand_down", "standby"]
    error_message = "A secondary that stands by must have the machine that keeps the standby."
  }

  assert {
    condition     = keys(output.peer) == keys(run.the_secondary_has_no_environment_resource.peer)
    error_message = "What the two Regions tell each other does not depend on the strategy."
  }
}

run "a_hot_standby_is_the_secondarys" {
  variables {
    strategy = "hot_standby"
  }

  assert {
    condition     = keys(output.state_machine_arns) == ["drill", "failover", "hand_over", "heartbeat_check", "preflight", "refresh", "retention", "snapshot", "stand_down", "standby"] && output.strategy == "hot_standby"
    error_message = "A hot standby must have the machines that keep it and refresh it."
  }
}
