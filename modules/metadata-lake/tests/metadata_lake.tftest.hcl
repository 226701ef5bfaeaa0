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

run "queries_are_limited_and_encrypted_whatever_the_client_wants" {
  assert {
    condition     = aws_athena_workgroup.this.configuration[0].enforce_workgroup_configuration && aws_athena_workgroup.this.configuration[0].bytes_scanned_cutoff_per_query == 107374182400
    error_message = "The workgroup's settings hold for every query."
  }

  assert {
    condition     = aws_athena_workgroup.this.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == "SSE_KMS" && aws_athena_workgroup.this.configuration[0].result_configuration[0].output_location == "s3://run-history-us-west-2-111122223333-lake/metadata/results/"
    error_message = "Results are encrypted under the lake's key."
  }

  assert {
    condition     = keys(aws_athena_named_query.this) == ["cost_of_retries", "database_growth", "failures_by_hour", "monthly_runs", "runs_by_region", "slowest_tasks"] && alltrue([for query in aws_athena_named_query.this : query.database == "run_history_metadata" && length(query.description) > 20])
    error_message = "Saved queries say what they answer."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this[0].rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.key_arn && aws_s3_bucket_public_access_block.this[0].restrict_public_buckets
    error_message = "The bucket is encrypted and closed."
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this[0].rule : rule.id] == ["abort-incomplete-uploads", "deleted-files", "results"]
    error_message = "Exports are kept for ever unless said otherwise."
  }
}

run "the_machine_merges_every_table" {
  assert {
    condition     = [for table in jsondecode(aws_sfn_state_machine.merge.definition).States.Statements.Result : table.table] == keys(local.tables) && jsondecode(aws_sfn_state_machine.merge.definition).States.Merge.ItemProcessor.States.MergeTable.Parameters.QueryExecutionContext.Database == "run_history_metadata"
    error_message = "Each table has its statements."
  }

  assert {
    condition     = alltrue([for table in local.statements : strcontains(table.create, "LOCATION 's3://run-history-us-west-2-111122223333-lake/metadata/tables/${table.table}/'") && strcontains(table.create, "'table_type' = 'ICEBERG'")])
    error_message = "Tables lie below the lake's prefix."
  }

  assert {
    condition     = { for name, schedule in aws_scheduler_schedule.this : name => [schedule.schedule_expression, schedule.target[0].input] } == { merge = ["rate(6 hours)", "{\"tidy\":false}"], tidy = ["cron(30 2 ? * SUN *)", "{\"tidy\":true}"] }
    error_message = "It merges by schedule, and puts files in order once a week."
  }

  assert {
    condition     = alltrue(flatten([for statement in concat(jsondecode(aws_iam_role_policy.machine.policy).Statement, jsondecode(output.reader_policy).Statement) : [for action in statement.Action : !strcontains(action, "*")]]))
    error_message = "No statement may have a wildcard in an action."
  }

  assert {
    condition     = [for statement in concat(jsondecode(aws_iam_role_policy.machine.policy).Statement, jsondecode(output.reader_policy).Statement) : statement.Sid if contains(flatten([statement.Resource]), "*")] == ["ForwardedLogDelivery"]
    error_message = "The resource \"*\" is for what has no finer resource only."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.reader_policy).Statement : !contains(statement.Action, "s3:PutObject") || statement.Resource == "arn:aws:s3:::run-history-us-west-2-111122223333-lake/metadata/results/*"])
    error_message = "Who queries writes results and nothing else."
  }
}

run "a_bucket_of_the_callers_own_is_left_as_it_is" {
  variables {
    bucket     = "my-lake"
    key_prefix = "airflow/history/"
  }

  assert {
    condition     = length(aws_s3_bucket.this) + length(aws_s3_bucket_policy.this) + length(aws_s3_bucket_lifecycle_configuration.this) == 0 && output.lake == { bucket = "my-lake", region = "us-west-2", prefix = "airflow/history/", key_arn = var.key_arn }
    error_message = "Nothing of the caller's bucket is changed."
  }
}

run "exports_can_expire" {
  variables {
    export_days = 400
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this[0].rule : [rule.filter[0].prefix, rule.expiration[0].days] if rule.id == "exports"] == [["metadata/exports/", 400]]
    error_message = "Exports, and nothing else, expire when the caller says so."
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
