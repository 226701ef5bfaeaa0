# Input that is refused before anything is touched.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "us-east-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_data "aws_ssm_parameters_by_path" {
    defaults = { values = [] }
  }
}

override_data {
  target = data.aws_subnet.this[0]
  values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
}

override_data {
  target = data.aws_subnet.this[1]
  values = { availability_zone = "us-east-1b", vpc_id = "vpc-1" }
}

variables {
  name                = "analytics"
  prefix              = "analytics-use1"
  role                = "standalone"
  environment_owner   = "lifecycle"
  network             = { vpc_id = "vpc-1", subnet_ids = ["subnet-a", "subnet-b"] }
  dag_bucket          = { name = "dags", arn = "arn:aws:s3:::dags" }
  key_arn             = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234"
  environment_key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
}

run "refuses_one_zone_for_both_subnets" {
  command = plan

  override_data {
    target = data.aws_subnet.this[1]
    values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
  }

  expect_failures = [terraform_data.preflight]
}

run "refuses_subnets_of_another_vpc" {
  command = plan

  override_data {
    target = data.aws_subnet.this[1]
    values = { availability_zone = "us-east-1b", vpc_id = "vpc-2" }
  }

  expect_failures = [terraform_data.preflight]
}

run "refuses_name_that_starts_with_a_digit" {
  command = plan

  variables {
    name = "1analytics"
  }

  expect_failures = [var.name]
}

run "refuses_name_of_81_characters" {
  command = plan

  variables {
    name = "abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
  }

  expect_failures = [var.name]
}

run "refuses_prefix_with_an_underscore" {
  command = plan

  variables {
    prefix = "analytics_use1"
  }

  expect_failures = [var.prefix]
}

run "refuses_empty_tag" {
  command = plan

  variables {
    tags = { Team = "" }
  }

  expect_failures = [var.tags]
}

run "refuses_unknown_role" {
  command = plan

  variables {
    role = "main"
  }

  expect_failures = [var.role]
}

run "refuses_unknown_owner" {
  command = plan

  variables {
    environment_owner = "user"
  }

  expect_failures = [var.environment_owner]
}

run "refuses_native_environment_in_a_secondary" {
  command = plan

  variables {
    role              = "secondary"
    environment_owner = "terraform"
  }

  expect_failures = [var.environment_owner]
}

run "refuses_single_subnet" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", subnet_ids = ["subnet-a"] }
  }

  expect_failures = [var.network]
}

run "refuses_one_subnet_twice" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", subnet_ids = ["subnet-a", "subnet-a"] }
  }

  expect_failures = [var.network]
}

run "refuses_three_subnets" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", subnet_ids = ["subnet-a", "subnet-b", "subnet-c"] }
  }

  expect_failures = [var.network]
}

# Failure covered: an environment that is given an alias, which MWAA's guide does not support.
run "refuses_an_alias" {
  command = plan

  variables {
    environment_key_arn = "arn:aws:kms:us-east-1:111122223333:alias/analytics"
  }

  expect_failures = [var.environment_key_arn]
}

run "refuses_no_key_unless_aws_owns_it" {
  command = plan

  variables {
    environment_key_arn = null
  }

  expect_failures = [var.environment_key_arn]
}

run "refuses_id_of_a_multi_region_key" {
  command = plan

  variables {
    environment_key_arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
  }

  expect_failures = [var.environment_key_arn]
}

run "refuses_role_by_name" {
  command = plan

  variables {
    execution_role = { arn = "airflow" }
  }

  expect_failures = [var.execution_role]
}

run "refuses_path_for_a_role_of_the_callers_own" {
  command = plan

  variables {
    execution_role = { arn = "arn:aws:iam::111122223333:role/mine", path = "/airflow/" }
  }

  expect_failures = [var.execution_role]
}

run "refuses_path_without_slashes" {
  command = plan

  variables {
    execution_role = { path = "airflow" }
  }

  expect_failures = [var.execution_role]
}

run "refuses_boundary_by_name" {
  command = plan

  variables {
    execution_role = { permissions_boundary = "boundary" }
  }

  expect_failures = [var.execution_role]
}

run "refuses_policy_that_is_no_policy" {
  command = plan

  variables {
    execution_role = { policy_documents = { athena = "allow" } }
  }

  expect_failures = [var.execution_role]
}

run "refuses_policy_in_place_of_ours" {
  command = plan

  variables {
    execution_role = { policy_documents = { mwaa = "{\"Statement\": []}" } }
  }

  expect_failures = [var.execution_role]
}

run "refuses_no_security_group" {
  command = plan

  variables {
    security_group = { ids = [] }
  }

  expect_failures = [var.security_group]
}

run "refuses_six_security_groups" {
  command = plan

  variables {
    security_group = { ids = ["sg-1", "sg-2", "sg-3", "sg-4", "sg-5", "sg-6"] }
  }

  expect_failures = [var.security_group]
}

run "refuses_ingress_into_groups_of_the_callers_own" {
  command = plan

  variables {
    security_group = { ids = ["sg-1"], ingress_cidrs = ["10.0.0.0/8"] }
  }

  expect_failures = [var.security_group]
}

run "refuses_ingress_from_no_range" {
  command = plan

  variables {
    security_group = { ingress_cidrs = ["10.0.0.0"] }
  }

  expect_failures = [var.security_group]
}

run "refuses_version_mwaa_does_not_offer" {
  command = plan

  variables {
    environment = { airflow_version = "2.10.2" }
  }

  expect_failures = [var.environment]
}

run "refuses_unknown_class" {
  command = plan

  variables {
    environment = { environment_class = "mw1.tiny" }
  }

  expect_failures = [var.environment]
}

run "refuses_two_schedulers_on_micro" {
  command = plan

  variables {
    environment = { environment_class = "mw1.micro", schedulers = 2 }
  }

  expect_failures = [var.environment]
}

run "refuses_two_web_servers_on_micro" {
  command = plan

  variables {
    environment = { environment_class = "mw1.micro", max_webservers = 2 }
  }

  expect_failures = [var.environment]
}

run "refuses_two_workers_on_micro" {
  command = plan

  variables {
    environment = { environment_class = "mw1.micro", max_workers = 2 }
  }

  expect_failures = [var.environment]
}

run "refuses_one_scheduler_on_small" {
  command = plan

  variables {
    environment = { schedulers = 1 }
  }

  expect_failures = [var.environment]
}

run "refuses_six_schedulers" {
  command = plan

  variables {
    environment = { schedulers = 6 }
  }

  expect_failures = [var.environment]
}

run "refuses_one_web_server_on_small" {
  command = plan

  variables {
    environment = { min_webservers = 1 }
  }

  expect_failures = [var.environment]
}

run "refuses_six_web_servers" {
  command = plan

  variables {
    environment = { max_webservers = 6 }
  }

  expect_failures = [var.environment]
}

run "refuses_more_web_servers_at_least_than_at_most" {
  command = plan

  variables {
    environment = { min_webservers = 4, max_webservers = 3 }
  }

  expect_failures = [var.environment]
}

run "refuses_no_worker" {
  command = plan

  variables {
    environment = { min_workers = 0 }
  }

  expect_failures = [var.environment]
}

run "refuses_half_a_worker" {
  command = plan

  variables {
    environment = { max_workers = 1.5 }
  }

  expect_failures = [var.environment]
}

run "refuses_more_workers_than_any_quota" {
  command = plan

  variables {
    environment = { max_workers = 51 }
  }

  expect_failures = [var.environment]
}

run "refuses_more_workers_at_least_than_at_most" {
  command = plan

  variables {
    environment = { min_workers = 5, max_workers = 4 }
  }

  expect_failures = [var.environment]
}

run "refuses_unknown_access_mode" {
  command = plan

  variables {
    environment = { webserver_access_mode = "PRIVATE" }
  }

  expect_failures = [var.environment]
}

# Failure covered: a mode that the plan accepts and one major of the provider refuses.
run "refuses_an_access_mode_only_one_provider_has" {
  command = plan

  variables {
    environment = { webserver_access_mode = "PUBLIC_AND_PRIVATE" }
  }

  expect_failures = [var.environment]
}

run "refuses_unknown_endpoint_management" {
  command = plan

  variables {
    environment = { endpoint_management = "MINE" }
  }

  expect_failures = [var.environment]
}

run "refuses_maintenance_at_a_quarter" {
  command = plan

  variables {
    environment = { weekly_maintenance_window_start = "SUN:03:15" }
  }

  expect_failures = [var.environment]
}

run "refuses_maintenance_on_no_day" {
  command = plan

  variables {
    environment = { weekly_maintenance_window_start = "SUNDAY:03:30" }
  }

  expect_failures = [var.environment]
}

run "refuses_dag_folder_with_a_slash_at_its_end" {
  command = plan

  variables {
    environment = { dag_s3_path = "dags/" }
  }

  expect_failures = [var.environment]
}

run "refuses_requirements_by_url" {
  command = plan

  variables {
    environment = { requirements_s3_path = "s3://dags/requirements.txt" }
  }

  expect_failures = [var.environment]
}

run "refuses_version_of_nothing" {
  command = plan

  variables {
    environment = { requirements_s3_object_version = "1" }
  }

  expect_failures = [var.environment]
}

run "refuses_option_without_a_section" {
  command = plan

  variables {
    environment = { airflow_configuration_options = { "parallelism" = "32" } }
  }

  expect_failures = [var.environment]
}

run "refuses_option_without_a_value" {
  command = plan

  variables {
    environment = { airflow_configuration_options = { "core.parallelism" = "" } }
  }

  expect_failures = [var.environment]
}

run "refuses_option_mwaa_overrides" {
  command = plan

  variables {
    environment = { airflow_configuration_options = { "celery.worker_concurrency" = "10" } }
  }

  expect_failures = [var.environment]
}

run "refuses_option_mwaa_overrides_per_region" {
  command = plan

  variables {
    environment = { regional_airflow_configuration_options = { "celery.worker_concurrency" = "10" } }
  }

  expect_failures = [var.environment]
}

run "refuses_plugins_airflow_would_not_load" {
  command = plan

  variables {
    environment = { plugins_s3_path = "plugins.zip" }
  }

  expect_failures = [var.environment]
}

run "refuses_secrets_backend_arguments_that_are_no_json" {
  command = plan

  variables {
    environment = { airflow_configuration_options = { "secrets.backend_kwargs" = "connections_prefix" } }
  }

  expect_failures = [var.environment]
}

run "refuses_unknown_log_level" {
  command = plan

  variables {
    environment = { logging = { task = { level = "TRACE" } } }
  }

  expect_failures = [var.environment]
}

run "refuses_retention_cloudwatch_does_not_offer" {
  command = plan

  variables {
    environment = { logging = { retention_days = 10 } }
  }

  expect_failures = [var.environment]
}

run "refuses_timeout_without_a_unit" {
  command = plan

  variables {
    environment = { timeouts = { create = "120" } }
  }

  expect_failures = [var.environment]
}
