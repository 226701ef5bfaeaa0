# What is made of each container, who may do what, and what is refused in the plan.

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
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/mocked" }
  }
  mock_resource "aws_security_group" {
    defaults = { id = "sg-containers" }
  }
}

variables {
  name                = "Analytics_EU"
  prefix              = "analytics-us-west-2"
  key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234"
  network             = { vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2"] }
  execution_role_name = "analytics-us-west-2-execution"
  containers = {
    daily_report = {
      tag         = "1.4.0"
      environment = { MODE = "daily" }
      secrets = {
        PASSWORD = "arn:aws:secretsmanager:us-west-2:111122223333:secret:report-a1b2c3"
        TOKEN    = "arn:aws:ssm:us-west-2:111122223333:parameter/report/token"
      }
      policy_documents = { bucket = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
    }
    curl = { image = "public.ecr.aws/docker/library/alpine:3.20", cpu = 1024, memory = 4096, architecture = "ARM64", user = "1000" }
  }
}

run "each_container_has_what_is_its_own" {
  assert {
    condition     = keys(aws_ecr_repository.this) == ["daily_report"] && aws_ecr_repository.this["daily_report"].name == "analytics-eu/daily-report"
    error_message = "Only a container with a tag has a repository; its name has no Region, so that the registry can replicate it."
  }

  assert {
    condition     = aws_ecr_repository.this["daily_report"].image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.this["daily_report"].image_scanning_configuration[0].scan_on_push && aws_ecr_repository.this["daily_report"].encryption_configuration[0].kms_key == var.key_arn
    error_message = "Images are scanned, encrypted, and never replaced under their tag."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this["daily_report"].container_definitions)[0].image == "111122223333.dkr.ecr.us-west-2.amazonaws.com/analytics-eu/daily-report:1.4.0"
    error_message = "The tag says which image of its own repository runs."
  }

  assert {
    condition = {
      for name, task in aws_ecs_task_definition.this : name => [jsondecode(task.container_definitions)[0].logConfiguration.options["awslogs-group"], jsondecode(task.container_definitions)[0].readonlyRootFilesystem, task.cpu, task.memory, task.runtime_platform[0].cpu_architecture]
      } == {
      daily_report = ["/ecs/analytics-us-west-2-daily_report", true, "256", "512", "X86_64"]
      curl         = ["/ecs/analytics-us-west-2-curl", true, "1024", "4096", "ARM64"]
    }
    error_message = "Each has its own log group and size, and may not write into its image."
  }

  assert {
    condition     = [for secret in jsondecode(aws_ecs_task_definition.this["daily_report"].container_definitions)[0].secrets : secret.name] == ["PASSWORD", "TOKEN"]
    error_message = "Secrets are named by ARN, never by value."
  }

  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.containers) == ["https"] && aws_vpc_security_group_egress_rule.containers["https"].to_port == 443
    error_message = "By default a container reaches HTTPS and nothing else."
  }
}

run "each_container_starts_with_what_is_its_own" {
  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.start["daily_report"].policy).Statement : statement.Sid => statement.Resource } == {
      ForwardedLogs       = "arn:aws:logs:us-west-2:111122223333:log-group:/ecs/analytics-us-west-2-daily_report:*"
      ForwardedImage      = "arn:aws:ecr:us-west-2:111122223333:repository/analytics-eu/daily-report"
      ForwardedRegistry   = "*"
      ForwardedSecrets    = ["arn:aws:secretsmanager:us-west-2:111122223333:secret:report-a1b2c3"]
      ForwardedParameters = ["arn:aws:ssm:us-west-2:111122223333:parameter/report/token"]
      ForwardedSecretsKey = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234"
    }
    error_message = "Who starts a container may read its image, its secrets and its log, and no other's."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.start["curl"].policy).Statement : statement.Sid] == ["ForwardedLogs"]
    error_message = "A public image needs no grant."
  }

  assert {
    condition     = keys(aws_iam_role_policy.task) == ["daily_report/bucket"]
    error_message = "The code in a container may do what its documents say, by default nothing."
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role.task), values(aws_iam_role.start)) : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "111122223333"])
    error_message = "Roles are taken on for tasks of this account only."
  }
}

run "dags_run_these_containers_and_no_others" {
  assert {
    condition     = keys(aws_iam_policy.access) == ["ecs"] && aws_iam_policy.access["ecs"].name == "analytics-us-west-2-ecs" && aws_iam_role_policy_attachment.access["ecs"].role == "analytics-us-west-2-execution"
    error_message = "The containers' policy is attached to the execution role."
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_policy.access["ecs"].policy).Statement : statement.Sid => statement.Resource if contains(["Run0", "PassRoles0"], statement.Sid) } == {
      Run0       = flatten([for family in ["curl", "daily_report"] : ["arn:aws:ecs:us-west-2:111122223333:task-definition/analytics-us-west-2-${family}", "arn:aws:ecs:us-west-2:111122223333:task-definition/analytics-us-west-2-${family}:*"]])
      PassRoles0 = flatten([for kind in ["start", "task"] : [for name in ["curl", "daily_report"] : "arn:aws:iam::111122223333:role/analytics-us-west-2-${name}-${kind}"]])
    }
    error_message = "Only these families are run, and only their roles are passed."
  }

  assert {
    condition = jsondecode(output.regional_airflow_configuration_options["workloads.daily_report"]) == jsondecode(jsonencode({
      cluster           = "analytics-us-west-2-containers"
      task_definition   = "analytics-us-west-2-daily_report"
      container         = "daily_report"
      subnets           = ["subnet-1", "subnet-2"]
      security_groups   = ["sg-containers"]
      log_group         = "/ecs/analytics-us-west-2-daily_report"
      log_stream_prefix = "task/daily_report"
    }))
    error_message = "A DAG finds all that it needs in one option."
  }
}

run "presets_alone_need_no_cluster" {
  variables {
    containers = {}
    access     = { glue = { jobs = ["orders"] }, secrets_manager_backend = {} }
    roles      = { path = "/airflow/" }
  }

  assert {
    condition     = length(aws_ecs_cluster.this) == 0 && length(aws_security_group.containers) == 0 && keys(aws_iam_policy.access) == ["glue"] && aws_iam_policy.access["glue"].path == "/airflow/"
    error_message = "Without containers there is no cluster."
  }

  assert {
    condition     = toset(keys(output.airflow_configuration_options)) == toset(["secrets.backend", "secrets.backend_kwargs"]) && output.endpoint_services == toset(["glue", "secretsmanager"])
    error_message = "The backend is set by options."
  }
}

run "a_role_of_the_callers_own_is_told_what_it_needs" {
  variables {
    execution_role_name = null
  }

  assert {
    condition     = length(aws_iam_policy.access) == 0 && keys(output.policy_documents) == ["ecs"]
    error_message = "Nothing is attached to a role of the caller's own."
  }
}

run "a_size_that_fargate_has_not_is_refused" {
  command = plan

  variables {
    containers = { report = { tag = "1", cpu = 256, memory = 4096 } }
  }

  expect_failures = [var.containers]
}

run "no_image_and_two_images_are_refused" {
  command = plan

  variables {
    containers = { neither = {}, both = { tag = "1", image = "alpine:3.20" } }
  }

  expect_failures = [var.containers]
}

run "a_tag_that_moves_is_refused" {
  command = plan

  variables {
    containers = { report = { tag = "latest" } }
  }

  expect_failures = [var.containers]
}

run "a_name_that_no_option_can_have_is_refused" {
  command = plan

  variables {
    containers = { "daily-report" = { tag = "1" } }
  }

  expect_failures = [var.containers]
}

run "a_secret_by_value_is_refused" {
  command = plan

  variables {
    containers = { report = { tag = "1", secrets = { PASSWORD = "hunter2" } } }
  }

  expect_failures = [var.containers]
}

run "a_policy_that_iam_would_refuse_is_refused_before" {
  command = plan

  variables {
    access = { glue = { jobs = [for number in range(200) : "a-job-with-a-long-name-${number}"] } }
  }

  expect_failures = [aws_iam_policy.access["glue"]]
}
