# The spec, and what stands around an environment.

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

  mock_resource "aws_security_group" {
    defaults = { id = "sg-own" }
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
  network             = { vpc_id = "vpc-1", subnet_ids = ["subnet-b", "subnet-a"] }
  dag_bucket          = { name = "dags", arn = "arn:aws:s3:::dags" }
  key_arn             = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234"
  environment_key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
}

run "spec_without_any_option" {
  assert {
    condition = output.spec == {
      Name                 = "analytics"
      AirflowVersion       = "2.10.3"
      DagS3Path            = "dags"
      EnvironmentClass     = "mw1.small"
      MinWorkers           = 1
      MaxWorkers           = 10
      Schedulers           = 2
      MinWebservers        = 2
      MaxWebservers        = 2
      WebserverAccessMode  = "PRIVATE_ONLY"
      EndpointManagement   = "SERVICE"
      ExecutionRoleArn     = "arn:aws:iam::111122223333:role/analytics-use1-execution"
      SourceBucketArn      = "arn:aws:s3:::dags"
      KmsKey               = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
      NetworkConfiguration = { SubnetIds = tolist(["subnet-b", "subnet-a"]), SecurityGroupIds = tolist(["sg-own"]) }
      LoggingConfiguration = {
        DagProcessingLogs = { Enabled = true, LogLevel = "INFO" }
        SchedulerLogs     = { Enabled = true, LogLevel = "INFO" }
        TaskLogs          = { Enabled = true, LogLevel = "INFO" }
        WebserverLogs     = { Enabled = true, LogLevel = "INFO" }
        WorkerLogs        = { Enabled = true, LogLevel = "INFO" }
      }
    }
    error_message = "With no option the spec must be complete and have no null member."
  }

  assert {
    condition     = length(aws_mwaa_environment.this) == 0
    error_message = "An environment the state machines own must not be a resource."
  }
}

# Failure covered: Min/MaxWebservers forgotten.
run "spec_with_every_option" {
  variables {
    tags = { Team = "data" }
    environment = {
      airflow_version                        = "2.11.2"
      airflow_configuration_options          = { "core.lazy_load_plugins" = "False", "webserver.instance_name" = "analytics" }
      regional_airflow_configuration_options = { "webserver.instance_name" = "analytics, us-east-1" }
      environment_class                      = "mw1.large"
      min_workers                            = 2
      max_workers                            = 20
      schedulers                             = 3
      min_webservers                         = 3
      max_webservers                         = 4
      dag_s3_path                            = "airflow/dags"
      plugins_s3_path                        = "plugins.zip"
      plugins_s3_object_version              = "p1"
      requirements_s3_path                   = "requirements.txt"
      requirements_s3_object_version         = "r1"
      startup_script_s3_path                 = "startup.sh"
      startup_script_s3_object_version       = "s1"
      webserver_access_mode                  = "PUBLIC_ONLY"
      endpoint_management                    = "CUSTOMER"
      weekly_maintenance_window_start        = "SUN:03:30"
      logging                                = { scheduler = { level = "WARNING" }, worker = { enabled = false } }
    }
  }

  assert {
    condition = output.spec == {
      Name                         = "analytics"
      AirflowVersion               = "2.11.2"
      AirflowConfigurationOptions  = tomap({ "core.lazy_load_plugins" = "False", "webserver.instance_name" = "analytics, us-east-1" })
      DagS3Path                    = "airflow/dags"
      EnvironmentClass             = "mw1.large"
      MinWorkers                   = 2
      MaxWorkers                   = 20
      Schedulers                   = 3
      MinWebservers                = 3
      MaxWebservers                = 4
      PluginsS3Path                = "plugins.zip"
      PluginsS3ObjectVersion       = "p1"
      RequirementsS3Path           = "requirements.txt"
      RequirementsS3ObjectVersion  = "r1"
      StartupScriptS3Path          = "startup.sh"
      StartupScriptS3ObjectVersion = "s1"
      WebserverAccessMode          = "PUBLIC_ONLY"
      EndpointManagement           = "CUSTOMER"
      WeeklyMaintenanceWindowStart = "SUN:03:30"
      ExecutionRoleArn             = "arn:aws:iam::111122223333:role/analytics-use1-execution"
      SourceBucketArn              = "arn:aws:s3:::dags"
      KmsKey                       = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
      Tags                         = tomap({ Team = "data" })
      NetworkConfiguration         = { SubnetIds = tolist(["subnet-b", "subnet-a"]), SecurityGroupIds = tolist(["sg-own"]) }
      LoggingConfiguration = {
        DagProcessingLogs = { Enabled = true, LogLevel = "INFO" }
        SchedulerLogs     = { Enabled = true, LogLevel = "WARNING" }
        TaskLogs          = { Enabled = true, LogLevel = "INFO" }
        WebserverLogs     = { Enabled = true, LogLevel = "INFO" }
        WorkerLogs        = { Enabled = false, LogLevel = "INFO" }
      }
    }
    error_message = "Every option must reach the spec, and regional options must win."
  }

  assert {
    condition = output.binding == {
      ExecutionRoleArn            = "arn:aws:iam::111122223333:role/analytics-use1-execution"
      SourceBucketArn             = "arn:aws:s3:::dags"
      KmsKey                      = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
      Tags                        = tomap({ Team = "data" })
      NetworkConfiguration        = { SubnetIds = tolist(["subnet-b", "subnet-a"]), SecurityGroupIds = tolist(["sg-own"]) }
      AirflowConfigurationOptions = tomap({ "webserver.instance_name" = "analytics, us-east-1" })
    }
    error_message = "The binding must hold what belongs to the Region, and nothing else."
  }
}

# Failure covered: `mw1.micro` with the default 2 schedulers is rejected.
run "the_smallest_class_works_with_no_other_option" {
  variables {
    environment = { environment_class = "mw1.micro" }
  }

  assert {
    condition = (
      output.spec.Schedulers == 1 && output.spec.MinWebservers == 1 && output.spec.MaxWebservers == 1 &&
      output.spec.MinWorkers == 1 && output.spec.MaxWorkers == 1
    )
    error_message = "mw1.micro must be given one of each."
  }
}

run "the_largest_class_works_with_no_other_option" {
  variables {
    environment = { environment_class = "mw1.2xlarge" }
  }

  assert {
    condition     = output.spec.Schedulers == 2 && output.spec.MinWebservers == 2 && output.spec.MaxWebservers == 2
    error_message = "Classes above mw1.micro must be given two schedulers and web servers."
  }
}

run "more_webservers_at_least_means_more_at_most" {
  variables {
    environment = { min_webservers = 4 }
  }

  assert {
    condition     = output.spec.MinWebservers == 4 && output.spec.MaxWebservers == 4
    error_message = "The highest number of web servers must follow the lowest where it is not given."
  }
}

run "a_key_aws_owns_leaves_the_member_out" {
  variables {
    environment_owner = "terraform"
    environment       = { aws_owned_key = true }
  }

  assert {
    condition     = aws_mwaa_environment.this[0].kms_key == null
    error_message = "The resource must name no key either."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.mwaa.statement : [tolist(statement.not_resources), tolist(one(statement.condition).values)]
      if length(coalesce(statement.not_resources, [])) > 0
    ] == [[tolist(["arn:aws:kms:*:111122223333:key/*"]), tolist(["sqs.us-east-1.amazonaws.com"])]]
    error_message = "The role must be able to use the key of the Celery queue, which is in no account of ours, and only through SQS."
  }

  assert {
    condition     = !contains(keys(output.spec), "KmsKey") && !contains(keys(output.binding), "KmsKey")
    error_message = "MWAA takes a key AWS owns when no key is named."
  }
}

run "the_spec_is_known_before_anything_exists" {
  command = plan

  variables {
    security_group = { ids = ["sg-1", "sg-2"] }
  }

  assert {
    condition     = output.spec.NetworkConfiguration.SecurityGroupIds == tolist(["sg-1", "sg-2"]) && output.spec.ExecutionRoleArn == "arn:aws:iam::111122223333:role/analytics-use1-execution"
    error_message = "The spec may not wait for the role or the environment."
  }
}

# Failure covered: log groups have no retention.
run "log_groups_have_names_retention_and_key" {
  variables {
    environment = { logging = { retention_days = 30 } }
  }

  assert {
    condition = toset(values(output.log_group_names)) == toset([
      "airflow-analytics-DAGProcessing", "airflow-analytics-Scheduler", "airflow-analytics-Task", "airflow-analytics-WebServer", "airflow-analytics-Worker",
    ])
    error_message = "Log groups must have the names MWAA looks for."
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.retention_in_days == 30 && group.kms_key_id == "arn:aws:kms:us-east-1:111122223333:key/mrk-1234"])
    error_message = "Log groups must be kept for as long as asked and be encrypted."
  }
}

# Failure covered: role trusts lambda/s3/ssm.
run "only_mwaa_of_this_account_may_assume_the_role" {
  assert {
    condition = (
      length(data.aws_iam_policy_document.trust.statement) == 1 &&
      toset(one(data.aws_iam_policy_document.trust.statement[0].principals).identifiers) == toset(["airflow.amazonaws.com", "airflow-env.amazonaws.com"]) &&
      one(data.aws_iam_policy_document.trust.statement[0].condition).variable == "aws:SourceAccount" &&
      tolist(one(data.aws_iam_policy_document.trust.statement[0].condition).values) == tolist(["111122223333"])
    )
    error_message = "The role must trust airflow.amazonaws.com and airflow-env.amazonaws.com, for this account, and nobody else."
  }
}

# Failure covered: IAM `service:*`.
run "the_role_may_do_what_mwaa_needs_and_no_more" {
  assert {
    condition     = alltrue(flatten([for statement in data.aws_iam_policy_document.mwaa.statement : [for action in statement.actions : !strcontains(action, "*")]]))
    error_message = "No action may be a wildcard."
  }

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.mwaa.statement : statement.actions if contains(coalesce(statement.resources, []), "*")])) == toset([
      "cloudwatch:PutMetricData", "logs:DescribeLogGroups", "s3:GetAccountPublicAccessBlock",
    ])
    error_message = "Only actions that know no resource may be allowed on all."
  }

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.mwaa.statement : statement.resources if contains(statement.actions, "s3:GetObject")])) == toset([
      "arn:aws:s3:::dags/*",
    ])
    error_message = "Objects must be readable in the DAG bucket only."
  }

  assert {
    condition = alltrue([
      for statement in data.aws_iam_policy_document.mwaa.statement :
      toset(statement.resources) == toset(["arn:aws:kms:us-east-1:111122223333:key/mrk-1234", "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"]) &&
      toset(one(statement.condition).values) == toset(["s3.us-east-1.amazonaws.com", "sqs.us-east-1.amazonaws.com"])
      if contains(statement.actions, "kms:Decrypt")
    ])
    error_message = "The keys must be usable only through S3 and SQS."
  }

  assert {
    condition     = aws_iam_role_policy.mwaa[0].role == "analytics-use1-execution" && length(aws_iam_role_policy.additional) == 0
    error_message = "The policy must be attached, and nothing else."
  }
}

run "the_role_is_bounded_and_extended_as_asked" {
  variables {
    execution_role = {
      path                 = "/airflow/"
      permissions_boundary = "arn:aws:iam::111122223333:policy/boundary"
      policy_documents     = { athena = "{\"Version\": \"2012-10-17\", \"Statement\": []}" }
    }
  }

  assert {
    condition     = aws_iam_role.execution[0].path == "/airflow/" && aws_iam_role.execution[0].permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    error_message = "Path and boundary must be those asked for."
  }

  assert {
    condition     = output.execution_role_arn == "arn:aws:iam::111122223333:role/airflow/analytics-use1-execution"
    error_message = "The ARN must carry the path."
  }

  assert {
    condition     = aws_iam_role_policy.additional["athena"].policy == "{\"Version\": \"2012-10-17\", \"Statement\": []}"
    error_message = "The caller's policy must be attached under its name."
  }
}

run "a_role_of_the_callers_own_is_left_alone" {
  variables {
    execution_role = { arn = "arn:aws:iam::111122223333:role/mine" }
  }

  assert {
    condition     = length(aws_iam_role.execution) == 0 && length(aws_iam_role_policy.mwaa) == 0 && output.execution_role_name == null
    error_message = "Neither a role may be created, nor a policy be attached to the caller's."
  }

  assert {
    condition     = output.spec.ExecutionRoleArn == "arn:aws:iam::111122223333:role/mine" && output.execution_role_policy_json != null
    error_message = "The caller's role must be used, and what it needs be told."
  }
}

run "the_role_reads_the_secrets_manager_backend_it_is_configured_for" {
  variables {
    environment = {
      airflow_configuration_options = {
        "secrets.backend"        = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
        "secrets.backend_kwargs" = "{\"connections_prefix\": \"mine/connections\", \"config_prefix\": null}"
      }
    }
  }

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.mwaa.statement : statement.resources if contains(statement.actions, "secretsmanager:GetSecretValue")])) == toset([
      "arn:aws:secretsmanager:us-east-1:111122223333:secret:mine/connections/*",
      "arn:aws:secretsmanager:us-east-1:111122223333:secret:airflow/variables/*",
    ])
    error_message = "The role must be able to read the prefixes Airflow looks under, and no others."
  }
}

run "the_role_reads_the_parameter_store_backend_it_is_configured_for" {
  variables {
    environment = {
      airflow_configuration_options = { "secrets.backend" = "airflow.providers.amazon.aws.secrets.systems_manager.SystemsManagerParameterStoreBackend" }
    }
  }

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.mwaa.statement : statement.resources if contains(statement.actions, "ssm:GetParameter")])) == toset([
      "arn:aws:ssm:us-east-1:111122223333:parameter/airflow/connections/*",
      "arn:aws:ssm:us-east-1:111122223333:parameter/airflow/variables/*",
      "arn:aws:ssm:us-east-1:111122223333:parameter/airflow/config/*",
    ])
    error_message = "The role must be able to read the prefixes Airflow looks under."
  }
}

run "no_secrets_backend_no_grant" {
  assert {
    condition     = !anytrue([for statement in data.aws_iam_policy_document.mwaa.statement : anytrue([for action in statement.actions : can(regex("^(secretsmanager|ssm):", action))])])
    error_message = "Without a secrets backend the role may read no secrets."
  }
}

run "the_security_group_lets_in_its_members_and_whom_the_caller_names" {
  variables {
    security_group = { ingress_cidrs = ["10.0.0.0/8"], ingress_security_group_ids = { bastion = "sg-bastion" }, egress_cidrs = ["10.0.0.0/8"] }
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.self[0].referenced_security_group_id == "sg-own" && aws_vpc_security_group_ingress_rule.self[0].ip_protocol == "-1"
    error_message = "Members of the group must reach each other."
  }

  assert {
    condition = alltrue([
      for rule in [aws_vpc_security_group_ingress_rule.cidr["10.0.0.0/8"], aws_vpc_security_group_ingress_rule.security_group["bastion"]] :
      rule.from_port == 443 && rule.to_port == 443 && rule.ip_protocol == "tcp"
    ])
    error_message = "Others must reach the web server, and nothing else."
  }

  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.this) == ["10.0.0.0/8"]
    error_message = "The way out must be the one asked for."
  }
}

run "security_groups_of_the_callers_own_are_left_alone" {
  variables {
    security_group = { ids = ["sg-1"] }
  }

  assert {
    condition     = length(aws_security_group.this) == 0 && length(aws_vpc_security_group_egress_rule.this) == 0 && length(aws_vpc_security_group_ingress_rule.self) == 0
    error_message = "Neither a group may be created nor a rule be added to the caller's."
  }
}

# Failure covered: hard-coded `arn:aws`.
run "other_partitions_have_arns_of_their_own" {
  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  override_data {
    target = data.aws_region.current
    values = { id = "cn-north-1" }
  }

  assert {
    condition     = output.environment_arn == "arn:aws-cn:airflow:cn-north-1:111122223333:environment/analytics" && startswith(output.execution_role_arn, "arn:aws-cn:iam::")
    error_message = "ARNs must be those of the partition."
  }

  assert {
    condition = alltrue(flatten([
      for statement in data.aws_iam_policy_document.mwaa.statement : [for resource in statement.resources : startswith(resource, "arn:aws-cn:")]
      if !contains(statement.resources, "*") && !contains(statement.actions, "kms:Decrypt") && !contains(statement.actions, "s3:ListBucket") && !contains(statement.actions, "s3:GetObject")
    ]))
    error_message = "No ARN made here may name another partition."
  }
}
