# What is made of rules, what the function may do, and what is refused in the plan.

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
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:us-west-2:111122223333:mocked", id = "https://sqs.us-west-2.amazonaws.com/111122223333/mocked" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:us-west-2:111122223333:function:mocked" }
  }
}

variables {
  name    = "analytics"
  prefix  = "analytics-us-west-2"
  key_arn = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  rules = [
    { name = "orders", buckets = ["landing"], prefix = "orders/", suffix = ".csv", dataset = "s3://landing/orders" },
    { name = "all", buckets = ["landing", "other"], dag_id = "load" },
    { name = "jobs", pattern = "{\"source\":[\"aws.glue\"]}", dag_id = "after_job" },
  ]
}

run "each_rule_looks_for_its_events" {
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["orders"].event_pattern) == jsondecode(jsonencode({
      source      = ["aws.s3"]
      detail-type = ["Object Created"]
      detail      = { bucket = { name = ["landing"] }, object = { key = [{ wildcard = "orders/*.csv" }] } }
    }))
    error_message = "New objects by bucket, prefix and suffix."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["all"].event_pattern).detail == jsondecode("{\"bucket\":{\"name\":[\"landing\",\"other\"]}}")
    error_message = "Without prefix and suffix every key is taken."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.this["jobs"].event_pattern == var.rules[2].pattern
    error_message = "A pattern is taken as it is."
  }

  assert {
    condition     = aws_cloudwatch_event_target.this["jobs"].input_transformer[0].input_template == "{\"rule\":\"jobs\",\"event\":<aws.events.event.json>}"
    error_message = "EventBridge replaces only the literal <aws.events.event.json>, and the message names its rule."
  }

  assert {
    condition = jsondecode(aws_lambda_function.this.environment[0].variables.RULES) == jsondecode(jsonencode([
      { name = "orders", buckets = ["landing"], prefix = "orders/", suffix = ".csv", dataset = "s3://landing/orders" },
      { name = "all", buckets = ["landing", "other"], dag_id = "load" },
      { name = "jobs", dag_id = "after_job" },
    ]))
    error_message = "The function knows every rule, without what it leaves out."
  }
}

# Failure covered: more calls than InvokeRestApi allows; events lost while they wait.
run "the_queue_and_the_rate_are_bounded" {
  assert {
    condition     = aws_lambda_event_source_mapping.this.scaling_config[0].maximum_concurrency == 2 && aws_lambda_function.this.environment[0].variables.PACE_MILLISECONDS == "334"
    error_message = "Two invocations, each with a call every third of a second, make six calls a second."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "One event that waits must not hold up its batch."
  }

  assert {
    condition     = aws_sqs_queue.events.message_retention_seconds == 1209600 && aws_sqs_queue.events.visibility_timeout_seconds == 6 * aws_lambda_function.this.timeout && jsondecode(aws_sqs_queue.events.redrive_policy).maxReceiveCount == 1000
    error_message = "Events are kept as long as SQS can, and waiting does not send them to the dead-letter queue."
  }

  assert {
    condition     = aws_sqs_queue.events.sqs_managed_sse_enabled && aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "Both queues are encrypted."
  }

  assert {
    condition = {
      for statement in jsondecode(aws_sqs_queue_policy.events.policy).Statement : statement.Sid => statement.Condition if statement.Effect == "Allow"
      } == jsondecode(jsonencode({
        EventsByRule           = { ArnEquals = { "aws:SourceArn" = [for rule in ["all", "jobs", "orders"] : "arn:aws:events:us-west-2:111122223333:rule/analytics-us-west-2-event-${rule}"] } }
        NotificationsOfBuckets = { ArnEquals = { "aws:SourceArn" = ["arn:aws:s3:::landing", "arn:aws:s3:::other"] }, StringEquals = { "aws:SourceAccount" = "111122223333" } }
    }))
    error_message = "Only these rules and buckets may send."
  }
}

run "the_role_has_no_wildcard_action_and_nothing_it_does_not_need" {
  assert {
    condition     = alltrue(flatten([for statement in jsondecode(aws_iam_role_policy.function.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]]))
    error_message = "No statement may have a wildcard in an action."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.function.policy).Statement : statement.Sid if contains(flatten([statement.Resource]), "*")] == ["PublishMetrics"]
    error_message = "The resource \"*\" is for what has no finer resource only."
  }

  assert {
    condition     = toset([for statement in jsondecode(aws_iam_role_policy.function.policy).Statement : statement.Sid]) == toset(["CallRestApi", "ForwardedLogs", "ForwardedTableKey", "GetEnvironment", "KeepWhatWasDelivered", "PublishMetrics", "PutBackAndRenewMessages", "RefuseBadEvents", "TakeMessages"])
    error_message = "By itself the module reads no lease, starts no machine and is in no network."
  }

  assert {
    condition     = aws_dynamodb_table.ledger[0].name == "analytics-us-west-2-events" && aws_dynamodb_table.ledger[0].ttl[0].attribute_name == "expires_at" && !contains(keys(aws_lambda_function.this.environment[0].variables), "LEASE_TABLE")
    error_message = "By itself the module has a table of its own."
  }

  assert {
    condition     = length(aws_lambda_function.this.vpc_config) == 0
    error_message = "Only a private web server needs the function in its network."
  }
}

run "it_wakes_an_environment_that_hibernates" {
  variables {
    known_by           = "hibernation"
    ledger_table       = { name = "analytics-us-west-2-lease" }
    resume_machine_arn = "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-resume"
    network            = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }
    alarm_topic_arn    = "arn:aws:sns:us-west-2:111122223333:notices"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.function.policy).Statement : statement.Sid => statement.Resource if contains(["WakeEnvironment", "SeeWhetherItRuns"], statement.Sid)
      } == {
      WakeEnvironment  = "arn:aws:states:us-west-2:111122223333:stateMachine:analytics-us-west-2-resume"
      SeeWhetherItRuns = "arn:aws:dynamodb:us-west-2:111122223333:table/analytics-us-west-2-lease"
    }
    error_message = "It may start resume alone, and read whether the environment sleeps."
  }

  assert {
    condition     = length(aws_dynamodb_table.ledger) == 0 && aws_lambda_function.this.environment[0].variables.LEASE_TABLE == "analytics-us-west-2-lease" && length(aws_lambda_function.this.vpc_config) == 1
    error_message = "It shares the lease table, and runs where the web server is."
  }

  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.this), "events-age") && alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_actions == toset([var.alarm_topic_arn])])
    error_message = "Alarms go to the topic."
  }
}

run "where_two_regions_share_an_environment_events_wait_by_nature" {
  variables {
    known_by     = "lease"
    ledger_table = { name = "analytics-us-west-2-lease" }
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "events-age")
    error_message = "In the Region that does not deliver, the oldest event is always old."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.function.policy).Statement : statement.Condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"] if statement.Sid == "SeeWhetherItRuns"] == [["lease"]]
    error_message = "It reads the lease."
  }
}

# Failure covered: an id that makes a path of more than 64 characters fails at the first event instead of in the plan.
run "a_dag_id_that_makes_too_long_a_path_is_refused" {
  command = plan

  variables {
    rules = [{ name = "long", buckets = ["landing"], dag_id = "a23456789012345678901234567890123456789012345678901" }]
  }

  expect_failures = [var.rules]
}

run "a_dag_id_that_just_fits_is_accepted" {
  command = plan

  variables {
    rules = [{ name = "long", buckets = ["landing"], dag_id = "a2345678901234567890123456789012345678901234567890" }]
  }

  assert {
    condition     = length("/dags/${var.rules[0].dag_id}/dagRuns") == 64
    error_message = "50 characters make a path of 64."
  }
}

run "a_long_dataset_is_accepted_because_it_is_in_no_path" {
  command = plan

  variables {
    rules = [{ name = "long", buckets = ["landing"], dataset = "s3://landing/a/very/long/path/with/many/folders/that/would/never/fit/into/a/path" }]
  }

  assert {
    condition     = length(var.rules[0].dataset) > 64
    error_message = "Longer than a path may be."
  }
}

run "rules_that_say_too_much_or_too_little_are_refused" {
  command = plan

  variables {
    rules = [{ name = "both", buckets = ["landing"], dag_id = "load", dataset = "s3://landing/x" }]
  }

  expect_failures = [var.rules]
}

run "a_rule_without_a_source_is_refused" {
  command = plan

  variables {
    rules = [{ name = "none", dag_id = "load" }]
  }

  expect_failures = [var.rules]
}

run "wildcards_in_keys_are_refused" {
  command = plan

  variables {
    rules = [{ name = "wild", buckets = ["landing"], suffix = "*.csv", dag_id = "load" }]
  }

  expect_failures = [var.rules]
}

run "a_dataset_with_blanks_is_refused" {
  command = plan

  variables {
    rules = [{ name = "blank", buckets = ["landing"], dataset = "s3://landing/a b" }]
  }

  expect_failures = [var.rules]
}

run "a_dataset_with_a_slash_at_its_end_is_refused" {
  command = plan

  variables {
    rules = [{ name = "written", buckets = ["landing"], dataset = "s3://landing/orders/" }]
  }

  expect_failures = [var.rules]
}

run "a_dataset_with_a_fragment_is_refused" {
  command = plan

  variables {
    rules = [{ name = "written", buckets = ["landing"], dataset = "s3://landing/orders#new" }]
  }

  expect_failures = [var.rules]
}

run "a_dataset_with_credentials_is_refused" {
  command = plan

  variables {
    rules = [{ name = "written", buckets = ["landing"], dataset = "postgres://user:word@host:5432/db/schema/table" }]
  }

  expect_failures = [var.rules]
}

run "a_dataset_without_the_slash_after_its_host_is_refused" {
  command = plan

  variables {
    rules = [{ name = "written", buckets = ["landing"], dataset = "s3://landing" }]
  }

  expect_failures = [var.rules]
}

run "datasets_as_airflow_shows_them_are_accepted" {
  command = plan

  variables {
    rules = [for number, uri in ["s3://landing/", "s3://landing/a/b", "file:///a/b", "postgres://host:5432/db/schema/table?a=1&b=2", "x-own://a/", "orders/", "arn:aws:s3:::landing"] :
      { name = "rule-${number}", buckets = ["landing"], dataset = uri }
    ]
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.this) == 7
    error_message = "What Airflow leaves as it is must be accepted."
  }
}

run "a_pattern_that_is_no_json_is_refused" {
  command = plan

  variables {
    rules = [{ name = "jobs", pattern = "source = glue", dag_id = "load" }]
  }

  expect_failures = [var.rules]
}

run "two_rules_of_one_name_are_refused" {
  command = plan

  variables {
    rules = [
      { name = "same", buckets = ["landing"], dag_id = "load" },
      { name = "same", buckets = ["other"], dag_id = "load" },
    ]
  }

  expect_failures = [var.rules]
}

run "more_rules_than_variables_have_room_for_are_refused" {
  command = plan

  variables {
    rules = [for number in range(60) : { name = "rule-${number}", buckets = ["landing"], prefix = "prefix-${number}/", dag_id = "load" }]
  }

  expect_failures = [aws_lambda_function.this]
}

run "more_calls_than_aws_allows_are_refused" {
  command = plan

  variables {
    calls_per_second = 11
  }

  expect_failures = [var.calls_per_second]
}

run "waking_what_does_not_hibernate_is_refused" {
  command = plan

  variables {
    resume_machine_arn = "arn:aws:states:us-west-2:111122223333:stateMachine:resume"
  }

  expect_failures = [var.resume_machine_arn]
}
