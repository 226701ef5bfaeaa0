# The spec: the canonical CreateEnvironment document. It has the member names of the MWAA API, none of them null, and depends on no
# attribute of a live environment.

locals {
  limits = local.class_limits[var.environment.environment_class]

  schedulers     = coalesce(var.environment.schedulers, local.limits.schedulers.default)
  max_workers    = coalesce(var.environment.max_workers, local.limits.workers.default)
  min_webservers = coalesce(var.environment.min_webservers, local.limits.webservers.default)
  max_webservers = coalesce(var.environment.max_webservers, local.min_webservers)

  options = merge(var.environment.airflow_configuration_options, var.environment.regional_airflow_configuration_options)

  # What of the spec belongs to this Region. It is laid over another Region's spec when that is materialised here.
  binding = merge(
    {
      ExecutionRoleArn = local.execution_role_arn
      SourceBucketArn  = var.dag_bucket.arn
      NetworkConfiguration = {
        SubnetIds        = var.network.subnet_ids
        SecurityGroupIds = local.security_group_ids
      }
    },
    # Members are left out by what is known while planning, never by comparing a value that may not be known yet.
    var.environment.aws_owned_key ? {} : { KmsKey = var.environment_key_arn },
    length(var.tags) == 0 ? {} : { Tags = var.tags },
    length(var.environment.regional_airflow_configuration_options) == 0 ? {} : {
      AirflowConfigurationOptions = var.environment.regional_airflow_configuration_options
    },
  )

  logging_configuration = {
    DagProcessingLogs = { Enabled = var.environment.logging.dag_processing.enabled, LogLevel = var.environment.logging.dag_processing.level }
    SchedulerLogs     = { Enabled = var.environment.logging.scheduler.enabled, LogLevel = var.environment.logging.scheduler.level }
    TaskLogs          = { Enabled = var.environment.logging.task.enabled, LogLevel = var.environment.logging.task.level }
    WebserverLogs     = { Enabled = var.environment.logging.webserver.enabled, LogLevel = var.environment.logging.webserver.level }
    WorkerLogs        = { Enabled = var.environment.logging.worker.enabled, LogLevel = var.environment.logging.worker.level }
  }

  optional_members = {
    PluginsS3Path                = var.environment.plugins_s3_path
    PluginsS3ObjectVersion       = var.environment.plugins_s3_object_version
    RequirementsS3Path           = var.environment.requirements_s3_path
    RequirementsS3ObjectVersion  = var.environment.requirements_s3_object_version
    StartupScriptS3Path          = var.environment.startup_script_s3_path
    StartupScriptS3ObjectVersion = var.environment.startup_script_s3_object_version
    WeeklyMaintenanceWindowStart = var.environment.weekly_maintenance_window_start
  }

  spec = merge(
    local.binding,
    {
      Name                 = var.name
      AirflowVersion       = var.environment.airflow_version
      DagS3Path            = var.environment.dag_s3_path
      EnvironmentClass     = var.environment.environment_class
      MinWorkers           = var.environment.min_workers
      MaxWorkers           = local.max_workers
      Schedulers           = local.schedulers
      MinWebservers        = local.min_webservers
      MaxWebservers        = local.max_webservers
      WebserverAccessMode  = var.environment.webserver_access_mode
      EndpointManagement   = var.environment.endpoint_management
      LoggingConfiguration = local.logging_configuration
    },
    length(local.options) == 0 ? {} : { AirflowConfigurationOptions = local.options },
    { for member, value in local.optional_members : member => value if value != null },
  )
}
