# One Region of an MWAA environment that survives the loss of the other: its network, its storage, the environment and what acts on it.
# There is no provider block: the Region is the caller's, and one state holds one Region.

data "aws_region" "this" {}

locals {
  region   = data.aws_region.this.id
  strategy = var.role == "standalone" ? null : coalesce(var.strategy, "backup_restore")

  # Only a secondary has anything to keep ready; in a primary the strategy is told, and changes nothing.
  keeps_standby = var.role == "secondary" && contains(["warm_standby", "hot_standby"], coalesce(local.strategy, "none"))
  refreshes     = local.keeps_standby && local.strategy == "hot_standby"

  # Names start with it. It carries the Region, because IAM is global, and leaves the longest role name within 64 characters: a name that
  # is too long or has an underscore (buckets take none) is cut and gets a hash, so that two of them never meet.
  hyphenated = replace(var.name, "_", "-")
  short_name = local.hyphenated == var.name && length(var.name) <= 21 ? var.name : "${trimsuffix(substr(local.hyphenated, 0, 14), "-")}-${substr(sha256(var.name), 0, 6)}"
  prefix     = "${local.short_name}-${local.region}"

  # Once, if there are any. By `[*]` the network, which `workloads` depends on, would depend on all of it; by `try` plans would know less than they can.
  workloads = var.workloads == null ? [] : ["workloads"]

  # What the caller asks for, and the options that workloads need: of the Region where they name what is there only.
  environment = merge(var.environment, {
    airflow_configuration_options          = merge(concat([for made in local.workloads : module.workloads[0].airflow_configuration_options], [var.environment.airflow_configuration_options])...)
    regional_airflow_configuration_options = merge(concat([for made in local.workloads : module.workloads[0].regional_airflow_configuration_options], [var.environment.regional_airflow_configuration_options])...)
  })

  # Where secrets are kept in options against all advice, a plan must not print them; the spec as a whole then goes unprinted.
  options            = keys(merge(local.environment.airflow_configuration_options, local.environment.regional_airflow_configuration_options))
  has_secret_options = anytrue([for option in local.options : can(regex("password|passwd|secret_key|token|fernet|api_key|private_key|credential|_conn$|broker_url|result_backend", option))])
  # By index, because a conditional is sensitive as soon as one of its branches is.
  spec_json    = [jsonencode(module.environment.spec), sensitive(jsonencode(module.environment.spec))][local.has_secret_options ? 1 : 0]
  binding_json = [jsonencode(module.environment.binding), sensitive(jsonencode(module.environment.binding))][local.has_secret_options ? 1 : 0]

  # The age at which the newest snapshot is too old: three of its intervals, or a day and a little where a cron expression hides the interval.
  rate            = try(regex("^rate\\(([0-9]+) (minute|hour|day)", var.snapshot.schedule), null)
  rate_minutes    = local.rate == null ? null : tonumber(local.rate[0]) * { minute = 1, hour = 60, day = 1440 }[local.rate[1]]
  max_age_minutes = coalesce(var.snapshot.max_age_minutes, local.rate_minutes == null ? 1560 : min(3 * local.rate_minutes, 10080))
  own_network     = coalesce(var.network.create, var.network.vpc_id == null)
  makes_lake      = var.metadata_lake == null ? false : var.metadata_lake.lake == null # `try` would make it unknown where a part of the lake is
  network = {
    vpc_id     = local.own_network ? module.network[0].vpc_id : var.network.vpc_id
    subnet_ids = local.own_network ? module.network[0].private_subnet_ids : var.network.subnet_ids
  }
}

# A plan must say so before anything is touched: with both roles in one Region nothing would survive its loss.
resource "terraform_data" "regions" {
  input = local.region

  lifecycle {
    precondition {
      condition     = var.peer == null || try(var.peer.region != local.region, true)
      error_message = "`peer.region` is ${try(var.peer.region, "")}, which is the provider's own Region: it must be the other one."
    }
  }
}

module "network" {
  source = "./modules/network"
  count  = local.own_network ? 1 : 0

  name                 = var.name
  prefix               = local.prefix
  tags                 = var.tags
  cidr                 = coalesce(var.network.cidr, "10.0.0.0/16")
  availability_zones   = var.network.availability_zones
  egress               = coalesce(var.network.egress, "nat_single")
  additional_endpoints = toset(concat(tolist(var.network.additional_endpoints), flatten([for made in local.workloads : tolist(module.workloads[0].endpoint_services) if var.network.egress == "endpoints"])))
  flow_logs            = var.network.flow_logs
}

module "storage" {
  source = "./modules/storage"

  name                         = var.name
  prefix                       = local.prefix
  tags                         = var.tags
  role                         = var.role
  peer                         = var.peer
  key                          = var.key
  environment_key              = var.environment.aws_owned_key ? null : var.environment_key
  dag_bucket                   = var.dag_bucket
  dag_s3_path                  = var.environment.dag_s3_path
  snapshot_bucket              = var.snapshot_bucket
  additional_replication_rules = var.additional_replication_rules
  force_destroy                = var.force_destroy
  send_events                  = local.keeps_standby
}

module "environment" {
  source = "./modules/environment"

  name                = var.name
  prefix              = local.prefix
  tags                = var.tags
  role                = var.role
  environment_owner   = var.environment_owner
  environment         = local.environment
  network             = local.network
  dag_bucket          = module.storage.dag_bucket
  key_arn             = module.storage.key_arn
  environment_key_arn = module.storage.environment_key_arn
  execution_role      = var.execution_role
  security_group      = var.security_group
}

module "continuity" {
  source = "./modules/continuity"

  name                  = var.name
  prefix                = local.prefix
  tags                  = var.tags
  role                  = var.role
  strategy              = local.strategy
  peer                  = var.peer == null ? null : { region = var.peer.region, lease_table_arn = var.peer.lease_table_arn }
  peer_snapshot_bucket  = module.storage.peer_snapshot_bucket
  peer_dag_bucket_arn   = try(var.peer.dag_bucket_arn, null)
  environment_owner     = var.environment_owner
  key_arn               = module.storage.key_arn
  environment_key_arn   = module.storage.environment_key_arn
  dag_bucket            = module.storage.dag_bucket
  dag_s3_path           = var.environment.dag_s3_path
  snapshot_bucket       = module.storage.snapshot_bucket
  spec_json             = local.spec_json
  binding_json          = local.binding_json
  network               = local.network
  webserver_access_mode = var.environment.webserver_access_mode

  execution_role = {
    arn  = module.environment.execution_role_arn
    name = module.environment.execution_role_name
  }

  webserver_security_group_ids = coalesce(var.security_group.create, var.security_group.ids == null) ? { environment = one(module.environment.security_group_ids) } : {}
  batch_replication_role_arn   = module.storage.batch_replication_role_arn

  snapshot = {
    schedule            = var.snapshot.schedule
    timeout_minutes     = var.snapshot.timeout_minutes
    base_interval_hours = var.snapshot.base_interval_hours
    tables              = var.snapshot.tables
    local_variables     = var.snapshot.local_variables
    local_connections   = var.snapshot.local_connections
  }
  retention   = var.retention
  preflight   = var.preflight
  drill       = var.drill
  prune       = var.prune
  heartbeat   = var.heartbeat
  failover    = var.failover
  standby     = var.standby
  failback    = var.failback
  hibernation = var.hibernation
  metadata_lake = var.metadata_lake == null ? null : merge(
    local.makes_lake ? module.metadata_lake[0].lake : var.metadata_lake.lake,
    { schedule = var.metadata_lake.schedule },
  )
  function_package   = var.function_package
  function_roles     = var.function_roles
  log_retention_days = var.log_retention_days
}

module "observability" {
  source = "./modules/observability"

  name                       = var.name
  prefix                     = local.prefix
  tags                       = var.tags
  role                       = var.role
  key_arn                    = module.storage.key_arn
  state_machine_arns         = module.continuity.state_machine_arns
  function_arns              = module.continuity.function_arns
  notifications              = var.notifications
  dashboard                  = var.dashboard
  unknown_periods            = var.heartbeat.periods
  verdict_every_minute       = var.heartbeat.schedule == "rate(1 minute)" && var.failover.health_function_arn == null
  snapshot_age_limit_minutes = local.max_age_minutes
  hibernates                 = var.hibernation != null
  smokes                     = try(var.hibernation.smoke, null) != null
  takes_events               = var.event_trigger != null
  keeps_standby              = local.keeps_standby
  refreshes                  = local.refreshes
}

module "metadata_lake" {
  source = "./modules/metadata-lake"
  count  = local.makes_lake ? 1 : 0

  name               = var.name
  prefix             = local.prefix
  tags               = var.tags
  environments       = concat([var.name], var.metadata_lake.environments)
  bucket             = var.metadata_lake.bucket
  key_arn            = coalesce(var.metadata_lake.key_arn, module.storage.key_arn)
  first_date         = var.metadata_lake.first_date
  merge_schedule     = var.metadata_lake.merge_schedule
  tidy_schedule      = var.metadata_lake.tidy_schedule
  query_limit_gib    = var.metadata_lake.query_limit_gib
  result_days        = var.metadata_lake.result_days
  export_days        = var.metadata_lake.export_days
  force_destroy      = var.force_destroy
  alarm_topic_arn    = module.observability.topic_arn
  machine_roles      = var.function_roles
  log_retention_days = var.log_retention_days
}

module "event_trigger" {
  source = "./modules/event-trigger"
  count  = var.event_trigger == null ? 0 : 1

  name   = var.name
  prefix = local.prefix
  tags   = var.tags
  rules  = var.event_trigger.rules

  known_by           = var.role != "standalone" ? "lease" : var.hibernation != null ? "hibernation" : "environment"
  ledger_table       = { name = module.continuity.lease_table.name }
  resume_machine_arn = var.event_trigger.wake ? module.continuity.state_machine_arns["resume"] : null
  key_arn            = module.storage.key_arn
  calls_per_second   = var.event_trigger.calls_per_second
  max_concurrency    = var.event_trigger.max_concurrency
  max_age_minutes    = var.event_trigger.max_age_minutes
  alarm_topic_arn    = module.observability.topic_arn
  topic_arns         = var.event_trigger.topic_arns
  function_package   = var.function_package
  function_roles     = var.function_roles
  log_retention_days = var.log_retention_days

  network = var.environment.webserver_access_mode != "PRIVATE_ONLY" ? null : {
    subnet_ids         = local.network.subnet_ids
    security_group_ids = [module.continuity.functions_security_group_id]
  }
}

# Destroyed before all else, and what it invokes then may refuse: Terraform knows neither an environment that is none of its resources, nor
# what lies in the bucket, and a precondition is evaluated for what is planned to exist, not for what goes.
resource "aws_lambda_invocation" "may_be_destroyed" {
  function_name   = module.continuity.function_arns["backup"]
  lifecycle_scope = "CRUD"

  input = jsonencode({
    action       = "may_be_destroyed"
    owner        = var.environment_owner
    snapshots_go = !var.force_destroy && (coalesce(var.key.create, var.key.arn == null) || coalesce(var.snapshot_bucket.create, var.snapshot_bucket.name == null))
  })

  depends_on = [terraform_data.regions, module.network, module.storage, module.environment, module.continuity, module.observability, module.event_trigger, module.workloads]
}

# Not validations of the variable: the network's endpoints depend on that, and options of an environment may depend on its network.
resource "terraform_data" "workloads" {
  count = var.workloads == null ? 0 : 1

  lifecycle {
    precondition {
      condition     = var.workloads.access.secrets_manager_backend == null || !contains(keys(merge(var.environment.airflow_configuration_options, var.environment.regional_airflow_configuration_options)), "secrets.backend")
      error_message = "`workloads.access.secrets_manager_backend` sets the Airflow option \"secrets.backend\": leave it out of `environment`, or leave out the preset."
    }

    precondition {
      condition     = !anytrue([for option in keys(merge(var.environment.airflow_configuration_options, var.environment.regional_airflow_configuration_options)) : startswith(option, "workloads.")])
      error_message = "`environment` must not set options of the section \"workloads\": by them DAGs know the containers of `workloads`."
    }
  }
}

module "workloads" {
  source = "./modules/workloads"
  count  = var.workloads == null ? 0 : 1

  name                = var.name
  prefix              = local.prefix
  tags                = var.tags
  network             = local.network
  key_arn             = module.storage.key_arn
  containers          = var.workloads.containers
  egress              = var.workloads.egress
  container_insights  = var.workloads.container_insights
  keep_images         = var.workloads.keep_images
  access              = var.workloads.access
  execution_role_name = module.environment.execution_role_name
  roles               = var.function_roles
  log_retention_days  = var.log_retention_days
  force_destroy       = var.force_destroy
}
