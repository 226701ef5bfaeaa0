# The environment as a resource of Terraform.

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
  environment_owner   = "terraform"
  network             = { vpc_id = "vpc-1", subnet_ids = ["subnet-a", "subnet-b"] }
  dag_bucket          = { name = "dags", arn = "arn:aws:s3:::dags" }
  key_arn             = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234"
  environment_key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
}

run "the_resource_says_what_the_spec_says" {
  variables {
    tags = { Team = "data" }
    environment = {
      airflow_version                        = "2.11.2"
      airflow_configuration_options          = { "core.lazy_load_plugins" = "False" }
      regional_airflow_configuration_options = { "webserver.instance_name" = "analytics" }
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
      timeouts                               = { create = "3h" }
    }
  }

  assert {
    condition = {
      Name                        = aws_mwaa_environment.this[0].name
      AirflowVersion              = aws_mwaa_environment.this[0].airflow_version
      AirflowConfigurationOptions = nonsensitive(aws_mwaa_environment.this[0].airflow_configuration_options)
      DagS3Path                   = aws_mwaa_environment.this[0].dag_s3_path
      EnvironmentClass            = aws_mwaa_environment.this[0].environment_class
      MinWorkers                  = aws_mwaa_environment.this[0].min_workers
      MaxWorkers                  = aws_mwaa_environment.this[0].max_workers
      Schedulers                  = aws_mwaa_environment.this[0].schedulers
      MinWebservers               = aws_mwaa_environment.this[0].min_webservers
      MaxWebservers               = aws_mwaa_environment.this[0].max_webservers

      PluginsS3Path                = aws_mwaa_environment.this[0].plugins_s3_path
      PluginsS3ObjectVersion       = aws_mwaa_environment.this[0].plugins_s3_object_version
      RequirementsS3Path           = aws_mwaa_environment.this[0].requirements_s3_path
      RequirementsS3ObjectVersion  = aws_mwaa_environment.this[0].requirements_s3_object_version
      StartupScriptS3Path          = aws_mwaa_environment.this[0].startup_script_s3_path
      StartupScriptS3ObjectVersion = aws_mwaa_environment.this[0].startup_script_s3_object_version

      WebserverAccessMode          = aws_mwaa_environment.this[0].webserver_access_mode
      EndpointManagement           = aws_mwaa_environment.this[0].endpoint_management
      WeeklyMaintenanceWindowStart = aws_mwaa_environment.this[0].weekly_maintenance_window_start
      ExecutionRoleArn             = aws_mwaa_environment.this[0].execution_role_arn
      SourceBucketArn              = aws_mwaa_environment.this[0].source_bucket_arn
      KmsKey                       = aws_mwaa_environment.this[0].kms_key
      Tags                         = aws_mwaa_environment.this[0].tags
      NetworkConfiguration = {
        SubnetIds        = tolist(aws_mwaa_environment.this[0].network_configuration[0].subnet_ids)
        SecurityGroupIds = tolist(aws_mwaa_environment.this[0].network_configuration[0].security_group_ids)
      }
      LoggingConfiguration = {
        for member, logs in {
          DagProcessingLogs = aws_mwaa_environment.this[0].logging_configuration[0].dag_processing_logs[0]
          SchedulerLogs     = aws_mwaa_environment.this[0].logging_configuration[0].scheduler_logs[0]
          TaskLogs          = aws_mwaa_environment.this[0].logging_configuration[0].task_logs[0]
          WebserverLogs     = aws_mwaa_environment.this[0].logging_configuration[0].webserver_logs[0]
          WorkerLogs        = aws_mwaa_environment.this[0].logging_configuration[0].worker_logs[0]
        } : member => { Enabled = logs.enabled, LogLevel = logs.log_level }
      }
    } == output.spec
    error_message = "The resource and the spec must be the same environment."
  }

  assert {
    condition     = aws_mwaa_environment.this[0].timeouts.create == "3h" && aws_mwaa_environment.this[0].timeouts.delete == "60m"
    error_message = "Timeouts must be those asked for, else the defaults."
  }
}

run "an_environment_with_no_option" {
  assert {
    condition     = aws_mwaa_environment.this[0].airflow_configuration_options == null && aws_mwaa_environment.this[0].schedulers == 2
    error_message = "The defaults must do."
  }
}

# Failure covered: recreated with another KMS key or subnets, an environment must be replaced.
run "nothing_but_a_person_replaces_it" {
  variables {
    network             = { vpc_id = "vpc-1", subnet_ids = ["subnet-c", "subnet-d"] }
    environment_key_arn = "arn:aws:kms:us-east-1:111122223333:key/aaaaaaaa-12ab-34cd-56ef-1234567890ab"
    environment         = { endpoint_management = "SERVICE" }
  }

  # The first run of this file created it with "CUSTOMER".
  assert {
    condition = (
      toset(aws_mwaa_environment.this[0].network_configuration[0].subnet_ids) == toset(["subnet-a", "subnet-b"]) &&
      aws_mwaa_environment.this[0].kms_key == "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" &&
      aws_mwaa_environment.this[0].endpoint_management == "CUSTOMER"
    )
    error_message = "What MWAA cannot update must stay as it is, even where no claim holds it: the environment may not be replaced."
  }
}
