# What is made of exports, within what limits, and what is refused in the plan.

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
  name         = "run-history"
  prefix       = "run-history-us-west-2"
  environments = ["dev", "prod"]
  key_arn      = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
}

# Failure covered: column order undefined against a positional table; no environment column.
run "exports_are_tables_that_nobody_crawls" {
  assert {
    condition     = keys(aws_glue_catalog_table.exported) == ["dag", "dag_run", "log", "table_size", "task_fail", "task_instance", "task_instance_history"] && aws_glue_catalog_database.this.name == "run_history_metadata"
    error_message = "Each exported table is in the catalogue."
  }

  assert {
    condition     = [for column in aws_glue_catalog_table.exported["table_size"].storage_descriptor[0].columns : "${column.name} ${column.type}"] == ["table_name string", "bytes bigint", "estimated_rows bigint", "run_date date", "region string", "version bigint"]
    error_message = "Columns are typed, and called as in the exported objects."
  }

  assert {
    condition     = aws_glue_catalog_table.exported["log"].storage_descriptor[0].ser_de_info[0].serialization_library == "org.openx.data.jsonserde.JsonSerDe"
    error_message = "Lines of JSON: no value can break a row."
  }

  assert {
    condition = { for name, value in aws_glue_catalog_table.exported["log"].parameters : name => value if startswith(name, "projection.") && !startswith(name, "projection.date.interval") || name == "storage.location.template" } == {
      "projection.enabled"            = "true"
      "projection.environment.type"   = "enum"
      "projection.environment.values" = "dev,prod"
      "projection.date.type"          = "date"
      "projection.date.format"        = "yyyy-MM-dd"
      "projection.date.range"         = "2025-01-01,NOW+1DAYS"
      "storage.location.template"     = "s3://run-history-us-west-2-111122223333-lake/metadata/exports/log/environment=$${environment}/date=$${date}"
    }
    error_message = "Partitions are where the export writes them, by environment and day."
  }
}

run "no_environment_is_refused" {
  command = plan

  variables {
    environments = []
  }

  expect_failures = [var.environments]
}

run "an_environment_twice_is_refused" {
  command = plan

  variables {
    environments = ["dev", "dev"]
  }

  expect_failures = [var.environments]
}

run "a_prefix_without_a_slash_is_refused" {
  command = plan

  variables {
    key_prefix = "metadata"
  }

  expect_failures = [var.key_prefix]
}

run "a_day_that_is_none_is_refused" {
  command = plan

  variables {
    first_date = "2025-13-01"
  }

  expect_failures = [var.first_date]
}

run "exports_that_expire_before_they_are_merged_are_refused" {
  command = plan

  variables {
    export_days = 3
  }

  expect_failures = [var.export_days]
}

run "a_schedule_in_words_is_refused" {
  command = plan

  variables {
    merge_schedule = "daily"
  }

  expect_failures = [var.merge_schedule]
}

run "no_limit_is_refused" {
  command = plan

  variables {
    query_limit_gib = 0
  }

  expect_failures = [var.query_limit_gib]
}
